"""A quote's structure, as bytes become a typed value.

Intel, "TDX DCAP Quoting Library API", appendix A (quotes of versions 4 and 5), and
"SGX ECDSA QuoteLibReference DCAP API", appendix A (version 3). Header, body and
signature data follow one another; in version 5 the body's type and size stand
before it and are signed with it, and since version 4 the quoting enclave's part
is wrapped once more.

Every length has to lead exactly to the end of what holds it. Behind the whole
quote, zeros are let be: Linux hands out buffers of 8000 bytes. Anything else
there is no part of any quote, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from enclaved.verifier.checks import Checks

__all__ = ["BodyType", "Quote", "Tee", "read_quote"]

_HEADER_SIZE = 48
_UNTYPED_BODIES = frozenset({3, 4})
_TYPED_BODIES = 5
_ECDSA_P256 = 2
_QE_REPORT_CERTIFICATION_DATA = 6
_PCK_CERT_CHAIN = 5
_QE_REPORT_SIZE = 384
_AUTHENTICATION_DATA_SIZE = 32


class Tee(Enum):
    """What made the quote, by the header's TEE type."""

    SGX = 0x00
    TDX = 0x81


class BodyType(Enum):
    """The layout of the body, numbered as version 5 does."""

    SGX = 1
    TD_1_0 = 2
    TD_1_5 = 3

    @property
    def size(self) -> int:
        """The body's size in bytes."""
        return {BodyType.SGX: 384, BodyType.TD_1_0: 584, BodyType.TD_1_5: 648}[self]

    @property
    def tee(self) -> Tee:
        """What makes bodies of this type."""
        return Tee.SGX if self is BodyType.SGX else Tee.TDX


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote; nothing in it is verified.

    Attributes:
        version: 3, 4 or 5.
        tee: what made it.
        qe_vendor_id: 16 bytes; whose quoting enclave made it.
        user_data: 20 bytes of the quoting enclave's own; the first 16 tell its keys apart.
        body_type: the body's layout.
        body: the enclave's or the trust domain's report.
        signed: the bytes that the attestation key signs.
        signature: that signature, r and s, 64 bytes.
        attestation_key: its public key, x and y, 64 bytes.
        qe_report: the quoting enclave's own report, 384 bytes.
        qe_report_signature: the PCK's signature of it, 64 bytes.
        qe_authentication_data: what the quoting enclave hashed together with the attestation key.
        pck_chain: certificates in PEM, the PCK's first.
        whole: all bytes of the quote, without the zeros behind it.
    """

    version: int
    tee: Tee
    qe_vendor_id: bytes
    user_data: bytes
    body_type: BodyType
    body: bytes
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe_report: bytes
    qe_report_signature: bytes
    qe_authentication_data: bytes
    pck_chain: bytes
    whole: bytes


class _Reader:
    """Takes one field after another; running past the end raises `ValueError`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        start, end = self.position, self.position + size
        if end > len(self._data):
            raise ValueError(f"{len(self._data)} bytes, and a field that ends at {end}")
        self.position = end
        return self._data[start:end]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self.position)


def read_quote(data: bytes, checks: Checks) -> Quote:
    """Return the quote that the bytes encode.

    Args:
        data: the file's bytes, their size already checked.
        checks: the record.

    Returns:
        The quote; nothing in it is verified.

    Raises:
        EvidenceError: they encode none (``"unreadable"``), or one of a version, key type, body or
            certification that is not known here (``"unsupported"``).
    """
    try:
        return _read(data, checks)
    except ValueError as error:
        raise checks.unreadable("quote", found=str(error), wanted="a whole quote") from error


def _read(data: bytes, checks: Checks) -> Quote:
    reader = _Reader(data)
    header = _Reader(reader.take(_HEADER_SIZE))
    version, key_type, tee_type = header.number(2), header.number(2), header.number(4)
    if version not in (*_UNTYPED_BODIES, _TYPED_BODIES):
        raise checks.unsupported("version", found=version, wanted="3, 4 or 5")
    if key_type != _ECDSA_P256:
        raise checks.unsupported("attestation key type", found=key_type, wanted=f"{_ECDSA_P256}, ECDSA on P-256")
    if tee_type not in (each.value for each in Tee):
        raise checks.unsupported("tee type", found=tee_type, wanted="0x00 for SGX or 0x81 for TDX")
    tee = Tee(tee_type)
    header.take(4)  # version 3: QE SVN and PCE SVN, by the quoting enclave's own word; later reserved
    vendor_id, user_data = header.take(16), header.take(20)
    body_type = _body_type(reader, version, tee, checks)
    body = reader.take(body_type.size)
    signed = data[: reader.position]
    signature_data = _Reader(reader.take(reader.number(4)))
    whole = data[: reader.position]
    if any(reader.rest()):
        raise ValueError("bytes behind the quote that are not zero")
    signature, attestation_key = signature_data.take(64), signature_data.take(64)
    if version != 3:
        signature_data = _certification(signature_data, _QE_REPORT_CERTIFICATION_DATA, checks)
    qe_report, qe_report_signature = signature_data.take(_QE_REPORT_SIZE), signature_data.take(64)
    qe_authentication_data = signature_data.take(signature_data.number(2))
    if len(qe_authentication_data) != _AUTHENTICATION_DATA_SIZE:
        raise ValueError(f"{len(qe_authentication_data)} bytes of the quoting enclave's authentication data")
    return Quote(
        version=version,
        tee=tee,
        qe_vendor_id=vendor_id,
        user_data=user_data,
        body_type=body_type,
        body=body,
        signed=signed,
        signature=signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_report_signature=qe_report_signature,
        qe_authentication_data=qe_authentication_data,
        pck_chain=_certification(signature_data, _PCK_CERT_CHAIN, checks).rest(),
        whole=whole,
    )


def _body_type(reader: _Reader, version: int, tee: Tee, checks: Checks) -> BodyType:
    if version != _TYPED_BODIES:
        if version == 3 and tee is not Tee.SGX:
            raise ValueError("version 3 with a trust domain's report")
        return BodyType.SGX if tee is Tee.SGX else BodyType.TD_1_0
    number, size = reader.number(2), reader.number(4)
    if number not in (each.value for each in BodyType):
        raise checks.unsupported("body type", found=number, wanted="1, 2 or 3")
    body_type = BodyType(number)
    if size != body_type.size or body_type.tee is not tee:
        raise ValueError(f"a body of type {number} with {size} bytes of {tee.name}")
    return body_type


def _certification(reader: _Reader, kind: int, checks: Checks) -> _Reader:
    """Return the data behind a certification data header, which has to end where its holder ends."""
    found = reader.number(2)
    if found != kind:
        raise checks.unsupported("certification data type", found=found, wanted=kind)
    size, rest = reader.number(4), reader.rest()
    if size != len(rest):
        raise ValueError(f"certification data of {size} bytes where {len(rest)} are left")
    return _Reader(rest)
