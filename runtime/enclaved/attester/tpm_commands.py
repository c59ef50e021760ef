"""What evidence needs of a TPM 2.0: a key, PCRs, a quote, and non-volatile memory.

TCG, "Trusted Platform Module Library", part 3 "Commands". The attestation key is a
primary key of the endorsement hierarchy: a TPM derives it from a seed that only
its maker's reset changes, so it is the same after every start without a file or
a persistent handle, and a policy can pin it. It is restricted: it signs nothing
but what the TPM itself made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enclaved.attester.tpm_connection import TpmConnection
from enclaved.attester.tpm_wire import ENDORSEMENT, OWNER, SHA256, Response, command, number, pcr_selection, sized
from enclaved.errors import DeviceError

__all__ = ["LoadedKey", "Quotation", "Tpm"]

_CREATE_PRIMARY, _FLUSH, _QUOTE = 0x131, 0x165, 0x158  # TPM_CC
_PCR_READ, _PCR_EXTEND = 0x17E, 0x182
_NV_READ, _NV_READ_PUBLIC = 0x14E, 0x169
_NULL, _ECC, _ECDSA, _P256 = 0x0010, 0x0023, 0x0018, 0x0003  # TPM_ALG_ID, TPM_ECC_CURVE
_ATTRIBUTES = 0x00050472  # fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign
_UNIQUE = hashlib.sha256(b"enclaved/1 TPM attestation key").digest()  # other programs' keys are others
_COORDINATE = 32
_PCRS_AT_ONCE = 8  # TPML_DIGEST holds no more
_NV_CHUNK = 512  # the least that every TPM reads at once


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedKey:
    """A key in the TPM, until it is flushed.

    Attributes:
        handle: its handle.
        public_pem: its public half as a SubjectPublicKeyInfo in PEM.
    """

    handle: int
    public_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotation:
    """A quote and its signature, as the TPM gave them.

    Attributes:
        quote: TPMS_ATTEST.
        signature: TPMT_SIGNATURE.
    """

    quote: bytes
    signature: bytes

    def is_over(self, extra_data: bytes, pcrs: Sequence[bytes]) -> bool:
        """Tell whether the quote carries these qualifying bytes, and a digest of these PCRs at its end."""
        signer = int.from_bytes(self.quote[6:8], "big")
        digest = hashlib.sha256(b"".join(pcrs)).digest()
        return self.quote[8 + signer :].startswith(sized(extra_data)) and self.quote.endswith(sized(digest))


class Tpm:
    """A TPM, one method for each command.

    Every method raises `DeviceError` where the TPM refuses, is gone or answers nonsense.

    Args:
        connection: the open TPM.
    """

    def __init__(self, connection: TpmConnection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Let go of the TPM."""
        self._connection.close()

    def create_key(self) -> LoadedKey:
        """Make the attestation key anew from the TPM's seed: ECDSA on P-256 with SHA-256."""
        parameters = (
            number(_NULL, 2),
            number(_ECDSA, 2) + number(SHA256, 2),
            number(_P256, 2),
            number(_NULL, 2),
            sized(_UNIQUE) + sized(b""),
        )
        public = number(_ECC, 2) + number(SHA256, 2) + number(_ATTRIBUTES, 4) + sized(b"") + b"".join(parameters)
        sensitive = sized(sized(b"") + sized(b""))
        sent = sensitive + sized(public) + sized(b"") + number(0, 4)
        response = self._authorised(_CREATE_PRIMARY, ENDORSEMENT, parameters=sent, handles=1)
        return LoadedKey(handle=response.handles[0], public_pem=_public_pem(response.sized()))

    def flush(self, key: LoadedKey) -> None:
        """Remove a key from the TPM, which has room for three."""
        Response(self._connection.send(command(_FLUSH, key.handle)))

    def read_pcrs(self, indices: Sequence[int]) -> list[bytes]:
        """Return the values of PCRs of the SHA-256 bank."""
        values: list[bytes] = []
        for start in range(0, len(indices), _PCRS_AT_ONCE):
            asked = indices[start : start + _PCRS_AT_ONCE]
            response = Response(self._connection.send(command(_PCR_READ, parameters=pcr_selection(asked))))
            response.take(4)  # how often PCRs have changed
            selected = response.take(len(pcr_selection(asked)))
            if selected != pcr_selection(asked) or response.number(4) != len(asked):
                raise DeviceError("the TPM has no SHA-256 bank, or less than 24 PCRs")
            values += [response.sized() for _ in asked]
        return values

    def extend_pcr(self, index: int, digest: bytes) -> None:
        """Extend a PCR of the SHA-256 bank."""
        self._authorised(_PCR_EXTEND, index, parameters=number(1, 4) + number(SHA256, 2) + digest)

    def quote(self, handle: int, extra_data: bytes, indices: Sequence[int]) -> Quotation:
        """Return a quote over PCRs of the SHA-256 bank, with the key's own scheme."""
        parameters = sized(extra_data) + number(_NULL, 2) + pcr_selection(indices)
        response = self._authorised(_QUOTE, handle, parameters=parameters)
        return Quotation(quote=response.sized(), signature=response.rest())

    def read_nv(self, index: int, *, most: int) -> bytes:
        """Return what an index of non-volatile memory holds.

        Args:
            index: the index.
            most: the most bytes that it may hold.
        """
        public = Response(self._connection.send(command(_NV_READ_PUBLIC, index)))
        size = int.from_bytes(public.sized()[-2:], "big")
        if not 0 < size <= most:
            raise DeviceError(f"the TPM's index 0x{index:x} holds {size} bytes, at most {most} are expected")
        data = b""
        while len(data) < size:
            chunk = number(min(_NV_CHUNK, size - len(data)), 2) + number(len(data), 2)
            part = self._authorised(_NV_READ, OWNER, index, parameters=chunk).sized()
            if not part:
                raise DeviceError("the TPM's answer is truncated")
            data += part
        return data

    def _authorised(self, code: int, *asked: int, parameters: bytes, handles: int = 0) -> Response:
        sent = command(code, *asked, parameters=parameters, authorised=True)
        return Response(self._connection.send(sent), authorised=True, handles=handles)


def _public_pem(public: bytes) -> bytes:
    """Return the key of a TPMT_PUBLIC that was made from our template: its point stands at the end."""
    x, y = public[-2 * _COORDINATE - 2 : -_COORDINATE - 2], public[-_COORDINATE:]
    if not public.endswith(sized(x) + sized(y)) or len(x) != _COORDINATE:
        raise DeviceError("the TPM's key is of another form than it was asked for")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise DeviceError("the TPM's key is no point on P-256") from error
