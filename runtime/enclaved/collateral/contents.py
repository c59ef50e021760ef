"""Reading what services give: certificates, revocation lists, and how long each may be used.

Only enough is read to know what it is and when it ends. Whether it is genuine is
the verifier's to find out, each time it is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.verifier.certificate import read_certificate, read_pem_certificates
from enclaved.verifier.checks import Checks

__all__ = ["certificate_ends", "certificates", "certificates_end", "crl_ends", "der_crl", "pem"]

_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")


def certificates(data: bytes, name: str, *, count: range) -> list[x509.Certificate]:
    """Return the certificates that a text in PEM holds.

    Args:
        data: the text.
        name: its name, for the error.
        count: how many there may be.

    Raises:
        EvidenceError: there are none, or one does not parse.
        ValueError: there are fewer or more.
    """
    found = read_pem_certificates(data, name, Checks())
    if len(found) not in count:
        most = count.stop - 1
        wanted = f"{most}" if count.start == most else f"{count.start} to {most}"
        raise ValueError(f"{len(found)} certificates where {wanted} belong")
    return found


def pem(chain: Sequence[x509.Certificate]) -> bytes:
    """Return certificates as a text in PEM."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in chain)


def certificate_ends(der: bytes, name: str) -> datetime:
    """Return when a certificate in DER ends.

    Raises:
        EvidenceError: it is none.
    """
    return read_certificate(der, name, Checks()).not_valid_after_utc


def certificates_end(data: bytes, name: str, *, count: range) -> datetime:
    """Return when the first of the certificates in a text in PEM ends.

    Raises:
        EvidenceError: there are none, or one does not parse.
        ValueError: there are fewer or more than there may be.
    """
    return min(each.not_valid_after_utc for each in certificates(data, name, count=count))


def crl_ends(der: bytes) -> datetime:
    """Return the next update of a revocation list in DER: from then on it shows nothing.

    Raises:
        ValueError: it is none, or states no next update.
    """
    try:
        ends = x509.load_der_x509_crl(der).next_update_utc
    except Exception as error:
        # The parser raises ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion and more.
        raise ValueError("not a revocation list in DER") from error
    if ends is None:
        raise ValueError("a revocation list without a next update")
    return ends


def der_crl(body: bytes) -> bytes:
    """Return a revocation list in DER, which a PCCS gives in hex and all others as it is.

    No list in DER is made of hex digits alone: it holds an algorithm's identifier,
    whose bytes are none.

    Args:
        body: the answer's body.
    """
    text = body.strip()
    return bytes.fromhex(text.decode("ascii")) if _HEX.fullmatch(text) else body
