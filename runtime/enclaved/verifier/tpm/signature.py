"""The signature over a quote: RSASSA-PKCS1-v1_5 or ECDSA, bare or in a TPM's own envelope.

TCG, "Trusted Platform Module Library", part 2 "Structures", section 11.3
(TPMT_SIGNATURE). A bare one is RFC 8017's octet string, or RFC 3279's
ECDSA-Sig-Value in DER. Which form it is, its length (RSA) or its first byte
(ECDSA) says; no form is tried after another. A TPM digests the PCRs with the
hash that it signs with (part 3, TPM2_Quote), so the quote names the hash.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.key import AttestationKey
from enclaved.verifier.tpm.quote import Quote
from enclaved.verifier.tpm.structure import MalformedError, Structure

__all__ = ["check_signature", "digest_of"]

_RSASSA, _ECDSA = 0x0014, 0x0018  # TPM_ALG_ID
_HASHES = {32: (0x000B, hashes.SHA256), 48: (0x000C, hashes.SHA384)}
_ENVELOPE = 6  # algorithm, hash and length before an RSA signature
_DER_SEQUENCE = b"\x30"  # a TPMT_SIGNATURE begins with a zero
_LARGEST_COORDINATE = 66


def digest_of(quote: Quote, checks: Checks) -> hashes.HashAlgorithm:
    """Return the hash of the scheme that the quote was signed with.

    Args:
        quote: the quote.
        checks: the record.

    Raises:
        EvidenceError: it is none of SHA-256 and SHA-384; the code is ``"not_authentic"``.
    """
    known = _HASHES.get(len(quote.pcr_digest))
    checks.authentic(
        "scheme",
        found=f"a PCR digest of {len(quote.pcr_digest)} bytes",
        wanted="32 for SHA-256, or 48 for SHA-384",
        ok=known is not None,
    )
    return _HASHES[len(quote.pcr_digest)][1]()


def check_signature(quote: Quote, signature: bytes | None, name: str, key: AttestationKey, checks: Checks) -> None:
    """Check that the attestation key signed the quote.

    Args:
        quote: the quote.
        signature: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        key: the key.
        checks: the record.

    Raises:
        EvidenceError: there is no signature or it does not parse (``"unreadable"``), it is of another
            scheme (``"unsupported"``), or it does not verify (``"not_authentic"``).
    """
    if signature is None:
        raise checks.unreadable(name, found="no such file", wanted="a signature")
    digest = digest_of(quote, checks)
    try:
        match key.public_key:
            case rsa.RSAPublicKey() as public_key:
                bare = _bare_rsa(signature, public_key.key_size // 8, len(quote.pcr_digest))
                public_key.verify(bare, quote.raw, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePublicKey() as public_key:
                public_key.verify(_bare_ecdsa(signature, len(quote.pcr_digest)), quote.raw, ec.ECDSA(digest))
    except MalformedError as error:
        raise checks.unreadable(name, found=str(error), wanted="a signature of the key's kind") from error
    except InvalidSignature as error:
        raise checks.not_authentic(
            "signature", found="one that does not verify", wanted="one by the attestation key"
        ) from error
    checks.authentic("signature", found="one that verifies", wanted="one by the attestation key", ok=True)


def _bare_rsa(signature: bytes, size: int, digest_size: int) -> bytes:
    if len(signature) == size:
        return signature
    if len(signature) != size + _ENVELOPE:
        raise MalformedError(f"{len(signature)} bytes where {size} or {size + _ENVELOPE} belong")
    fields = _envelope(signature, _RSASSA, digest_size)
    bare = fields.sized(most=size)
    fields.finish()
    return bare


def _bare_ecdsa(signature: bytes, digest_size: int) -> bytes:
    if signature.startswith(_DER_SEQUENCE):
        return signature
    fields = _envelope(signature, _ECDSA, digest_size)
    r, s = fields.sized(most=_LARGEST_COORDINATE), fields.sized(most=_LARGEST_COORDINATE)
    fields.finish()
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _envelope(signature: bytes, algorithm: int, digest_size: int) -> Structure:
    fields = Structure(signature)
    found, digest = fields.number(2), fields.number(2)
    if found != algorithm or digest != _HASHES[digest_size][0]:
        raise MalformedError(f"scheme 0x{found:04x} with hash 0x{digest:04x}")
    return fields
