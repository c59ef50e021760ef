"""The attestation document of AWS Nitro Enclaves, as bytes become a typed value.

AWS, "Nitro Enclaves Attestation Process", sections 2.2 and 3.2.2. A field that is
not in AWS's list is refused: documents of other AWS devices are signed under the
same root and have other fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from enclaved.verifier.checks import Checks
from enclaved.verifier.nitro.cbor import CborError, CborValue, read_cbor
from enclaved.wire.limits import MAX_TIME_MS

__all__ = ["Document", "check_digest", "read_document"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANDATORY = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}
_OPTIONAL = {"public_key", "user_data", "nonce"}
_DIGEST = "SHA384"
_MOST_PCRS = 32
_PCR_SIZES = (32, 48, 64)
_MAX_MODULE_ID = 256
_MAX_CERTIFICATE = 1024
_MAX_USER_DATA = 1024  # 512 in AWS's older text; documents with more than that are real


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document, not yet verified.

    Attributes:
        module_id: the security module that issued it.
        digest: the digest function of the PCRs.
        timestamp: when it was issued, in Unix milliseconds.
        pcrs: the locked PCRs by index.
        certificate: the certificate of the key that signed it, DER.
        cabundle: the certificates above that one, DER, root first.
        public_key: bytes of the enclave's own; None where it gave none, and so for the next two.
        user_data: bytes of the enclave's own; they carry the binding.
        nonce: bytes that a challenger gave.
    """

    module_id: str
    digest: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: Sequence[bytes]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None

    @property
    def issued_at(self) -> datetime:
        """When it was issued."""
        return _EPOCH + timedelta(milliseconds=self.timestamp)


def read_document(payload: bytes, checks: Checks) -> Document:
    """Return the document that the bytes encode.

    Args:
        payload: the signed bytes.
        checks: the record.

    Returns:
        The document; nothing in it is verified.

    Raises:
        EvidenceError: they encode none (``"unreadable"``), or one with unknown fields (``"unsupported"``).
    """
    try:
        fields = read_cbor(payload)
    except CborError as error:
        raise checks.unreadable("document", found=str(error), wanted="an attestation document in CBOR") from error
    if not isinstance(fields, dict):
        raise checks.unreadable("document", found="another value", wanted="a map")
    missing, unknown = _MANDATORY - fields.keys(), fields.keys() - _MANDATORY - _OPTIONAL
    if missing:
        raise checks.unreadable("document", found=f"no {', '.join(sorted(missing))}", wanted="every mandatory field")
    if unknown:
        raise checks.unsupported("document", found=sorted(map(str, unknown)), wanted="no unknown field")
    return _document(fields, checks)


def check_digest(document: Document, checks: Checks) -> None:
    """Check that the PCRs are of the one digest function.

    Raises:
        EvidenceError: they are of another; the code is ``"unsupported"``.
    """
    if document.digest != _DIGEST:
        raise checks.unsupported("digest", found=document.digest, wanted=_DIGEST)
    checks.authentic("digest", found=document.digest, wanted=_DIGEST, ok=True)


def _document(fields: dict[int | str, CborValue], checks: Checks) -> Document:
    match fields:
        case {
            "module_id": str() as module_id,
            "digest": str() as digest,
            "timestamp": int() as timestamp,
            "pcrs": dict() as pcrs,
            "certificate": bytes() as certificate,
            "cabundle": list() as cabundle,
        } if (
            0 < len(module_id) <= _MAX_MODULE_ID
            and not isinstance(timestamp, bool)
            and 0 < timestamp <= MAX_TIME_MS
            and cabundle
        ):
            return Document(
                module_id=module_id,
                digest=digest,
                timestamp=timestamp,
                pcrs=_pcrs(pcrs, checks),
                certificate=_certificate(certificate, checks),
                cabundle=tuple(_certificate(each, checks) for each in cabundle),
                public_key=_user_data(fields, "public_key", checks),
                user_data=_user_data(fields, "user_data", checks),
                nonce=_user_data(fields, "nonce", checks),
            )
        case _:
            raise checks.unreadable("document", found="fields of other types or sizes", wanted="those of AWS's list")


def _pcrs(pcrs: dict[int | str, CborValue], checks: Checks) -> Mapping[int, bytes]:
    read = {
        index: value
        for index, value in pcrs.items()
        if isinstance(index, int) and 0 <= index < _MOST_PCRS and isinstance(value, bytes) and len(value) in _PCR_SIZES
    }
    if not read or len(read) != len(pcrs):
        raise checks.unreadable(
            "pcrs", found=f"{len(read)} of {len(pcrs)} that fit", wanted=f"1 to {_MOST_PCRS}, of 32, 48 or 64 bytes"
        )
    return dict(sorted(read.items()))


def _certificate(value: CborValue, checks: Checks) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) <= _MAX_CERTIFICATE:
        found = f"{len(value)} bytes" if isinstance(value, bytes) else "another value"
        raise checks.unreadable("certificates", found=found, wanted=f"1 to {_MAX_CERTIFICATE} bytes each")
    return value


def _user_data(fields: dict[int | str, CborValue], name: str, checks: Checks) -> bytes | None:
    value = fields.get(name)
    if value is not None and not (isinstance(value, bytes) and len(value) <= _MAX_USER_DATA):
        found = f"{len(value)} bytes" if isinstance(value, bytes) else "another value"
        raise checks.unreadable(name, found=found, wanted=f"at most {_MAX_USER_DATA} bytes")
    return value
