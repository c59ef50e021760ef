"""Commands to a TPM 2.0 and its responses, as bytes (TCG, "Trusted Platform Module Library", parts 2 and 3).

Only what evidence needs: a key to quote with, PCRs, a quote, and bytes out of
non-volatile memory. All authorisations are empty passwords, as operating systems
leave them: who may talk to the TPM is decided by who may open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enclaved.errors import DeviceError

__all__ = ["ENDORSEMENT", "OWNER", "SHA256", "Response", "command", "number", "pcr_selection", "sized"]

OWNER: Final = 0x40000001  # TPM_RH_OWNER
ENDORSEMENT: Final = 0x4000000B  # TPM_RH_ENDORSEMENT
SHA256: Final = 0x000B  # TPM_ALG_SHA256

_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002  # TPM_ST
_HEADER = 10
_EMPTY_PASSWORD = bytes.fromhex("40000009 0000 00 0000")  # TPM_RS_PW, no nonce, no attributes, no secret
_SELECTION_SIZE = 3  # 24 PCRs
_WORDS = {
    0x100: "it was not started: start it with startup-clear",
    0x902: "it has no room for another key: restart it, or whatever loads keys into it",
    0x18B: "there is nothing at this handle or index",
    0x9A2: "the authorisation is not empty",
}


def command(code: int, *handles: int, parameters: bytes = b"", authorised: bool = False) -> bytes:
    """Return a command.

    Args:
        code: the command's code (TPM_CC).
        handles: what it is about.
        parameters: the rest, already encoded.
        authorised: does its first handle need an authorisation.
    """
    area = b"".join(number(handle, 4) for handle in handles)
    if authorised:
        area += number(len(_EMPTY_PASSWORD), 4) + _EMPTY_PASSWORD
    tag = _SESSIONS if authorised else _NO_SESSIONS
    return number(tag, 2) + number(_HEADER + len(area) + len(parameters), 4) + number(code, 4) + area + parameters


def number(value: int, size: int) -> bytes:
    """Return an unsigned number in so many bytes."""
    return value.to_bytes(size, "big")


def sized(data: bytes) -> bytes:
    """Return bytes with their length before them (TPM2B)."""
    return number(len(data), 2) + data


def pcr_selection(indices: Sequence[int]) -> bytes:
    """Return a selection of PCRs of the SHA-256 bank (TPML_PCR_SELECTION)."""
    bits = sum(1 << index for index in indices)
    return number(1, 4) + number(SHA256, 2) + number(_SELECTION_SIZE, 1) + bits.to_bytes(_SELECTION_SIZE, "little")


class Response:
    """A response, taken field by field; what is not there is an error of the device.

    Args:
        data: the response's bytes.
        authorised: did the command need an authorisation.
        handles: how many handles come before the parameters.

    Raises:
        DeviceError: the TPM refused, or the response is malformed.
    """

    def __init__(self, data: bytes, *, authorised: bool = False, handles: int = 0) -> None:
        self._data = data
        self._position = 0
        tag, size, self.code = self.number(2), self.number(4), self.number(4)
        if size != len(data):
            raise DeviceError(f"the TPM answered {len(data)} bytes and announced {size}")
        if self.code:
            words = _WORDS.get(self.code, "see tpm2_rc_decode")
            raise DeviceError(f"the TPM refused with response code 0x{self.code:x}: {words}")
        if tag != (_SESSIONS if authorised else _NO_SESSIONS):
            raise DeviceError(f"the TPM answered with the tag 0x{tag:x}")
        self.handles = [self.number(4) for _ in range(handles)]
        if authorised:
            end = self.number(4) + self._position
            if end > len(data):
                raise DeviceError("the TPM's answer is truncated")
            self._data = data[:end]  # what follows is the session's

    def take(self, size: int) -> bytes:
        """Take so many bytes."""
        end = self._position + size
        if end > len(self._data):
            raise DeviceError("the TPM's answer is truncated")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, size: int) -> int:
        """Take an unsigned number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        """Take a TPM2B."""
        return self.take(self.number(2))

    def rest(self) -> bytes:
        """Take whatever is left of the parameters."""
        return self.take(len(self._data) - self._position)
