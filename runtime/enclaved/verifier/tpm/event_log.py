"""The event log of a measured boot: what was extended into which PCR, in order.

TCG, "PC Client Platform Firmware Profile", section 10 ("Event Logging"), the
crypto agile format. Anybody can write a log; it is true as far as extending its
digests one after the other ends in the values that the TPM quoted. Of an event
only its digest takes part in that, so nothing else of it becomes a claim: types
and descriptions could be changed at will.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.quote import DIGEST_SIZES

__all__ = ["EventLog", "check_event_log", "read_event_log"]

_SIGNATURE = b"Spec ID Event03\0"
_FIRST_DIGEST = bytes(20)  # the first event has the older format, with room for SHA-1
_NO_ACTION = 3  # EV_NO_ACTION: told, and not extended
_LOCALITY = b"StartupLocality\0"
_LAST_PCR = 23
_MOST_ALGORITHMS = 8
_IDS = {"sha256": 0x000B, "sha384": 0x000C, "sha512": 0x000D}  # TPM_ALG_ID


class _MalformedError(ValueError):
    """The bytes are not an event log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """An event log for one bank, not yet verified.

    Attributes:
        digests: for each PCR what was extended into it, in order.
        locality: what PCR 0 began with: the locality that started the TPM.
    """

    digests: Mapping[int, tuple[bytes, ...]]
    locality: int

    def replay(self, index: int, bank: str) -> bytes:
        """Return what a PCR holds after everything that the log has for it."""
        size = DIGEST_SIZES[bank]
        value = (self.locality if index == 0 else 0).to_bytes(size, "big")
        for digest in self.digests[index]:
            value = hashlib.new(bank, value + digest).digest()
        return value


def read_event_log(data: bytes | None, name: str, *, bank: str, checks: Checks) -> EventLog | None:
    """Return what a log says of one bank.

    Args:
        data: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        bank: the quote's bank.
        checks: the record.

    Returns:
        The log, not yet verified, or None where there is no file.

    Raises:
        EvidenceError: it is no log of the crypto agile format, or has nothing on the bank; the code is
            ``"unreadable"``.
    """
    if data is None:
        return None
    try:
        return _Reader(data, bank).log()
    except _MalformedError as error:
        raise checks.unreadable(name, found=str(error), wanted=f"a crypto agile event log with {bank}") from error


def check_event_log(log: EventLog | None, pcrs: Mapping[int, bytes], *, bank: str, checks: Checks) -> None:
    """Check that replaying the log ends in the quoted values of all PCRs that both have.

    Args:
        log: the log; None where none came along.
        pcrs: the quoted values, already verified.
        bank: the quote's bank.
        checks: the record.

    Raises:
        EvidenceError: one PCR holds something else.
    """
    if log is None:
        return
    for index in sorted(pcrs.keys() & log.digests.keys()):
        checks.equal(f"event log: pcr{index}", found=log.replay(index, bank), wanted=pcrs[index])


class _Reader:
    """Takes one little-endian field after the other."""

    def __init__(self, data: bytes, bank: str) -> None:
        self._data = data
        self._bank = bank
        self._position = 0

    def log(self) -> EventLog:
        sizes = self._header()
        digests: dict[int, list[bytes]] = {}
        locality = 0
        while self._position < len(self._data):
            index, kind = self._number(4), self._number(4)
            digest = self._digest(sizes)
            event = self._take(self._number(4))
            if kind == _NO_ACTION:
                if any(digest):  # the profile wants zeros; anything else is an event that was hidden
                    raise _MalformedError("an event that was not extended and has a digest")
                if index == 0 and event.startswith(_LOCALITY) and len(event) == len(_LOCALITY) + 1:
                    locality = event[-1]
                continue
            if index > _LAST_PCR:
                raise _MalformedError(f"an event for PCR {index}")
            digests.setdefault(index, []).append(digest)
        return EventLog(digests={index: tuple(each) for index, each in digests.items()}, locality=locality)

    def _header(self) -> dict[int, int]:
        """Read the first event, which says how large the digests of each algorithm are."""
        index, kind, digest = self._number(4), self._number(4), self._take(len(_FIRST_DIGEST))
        end = self._number(4) + self._position
        if (index, kind, digest) != (0, _NO_ACTION, _FIRST_DIGEST) or self._take(len(_SIGNATURE)) != _SIGNATURE:
            raise _MalformedError("another first event")
        self._take(8)  # platform class, version and errata, size of UINTN
        count = self._number(4)
        if not 0 < count <= _MOST_ALGORITHMS:
            raise _MalformedError(f"{count} algorithms")
        sizes = {self._number(2): self._number(2) for _ in range(count)}
        self._take(self._number(1))  # the vendor's own
        wanted = _IDS[self._bank]
        if self._position != end or len(sizes) != count or sizes.get(wanted) != DIGEST_SIZES[self._bank]:
            raise _MalformedError("a header without the bank, or of another size than it says")
        return sizes

    def _digest(self, sizes: Mapping[int, int]) -> bytes:
        found: dict[int, bytes] = {}
        count = self._number(4)
        if count != len(sizes):
            raise _MalformedError(f"an event with {count} digests")
        for _ in range(count):
            algorithm = self._number(2)
            if algorithm not in sizes or algorithm in found:
                raise _MalformedError(f"a digest of algorithm 0x{algorithm:04x}")
            found[algorithm] = self._take(sizes[algorithm])
        return found[_IDS[self._bank]]

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise _MalformedError("truncated")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")
