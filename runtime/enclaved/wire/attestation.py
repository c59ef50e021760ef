"""Attestation: a key bundle and the evidence that speaks for it (RFC 9334, section 4.2).

It is published retained for everybody, sent fresh to whoever challenges, and
rides along with the first answer of a session. Evidence is raw vendor bytes and
the vendor's endorsements, under the file names of an evidence folder.
"""

from __future__ import annotations

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.limits import (
    MAX_ATTESTATION,
    MAX_CHALLENGE,
    MAX_ENDORSEMENT,
    MAX_ENDORSEMENTS,
    MAX_PATH,
    MAX_REPORT,
)
from enclaved.wire.lp import sha256
from enclaved.wire.topics import check_name, check_topic

__all__ = [
    "NONCE_SIZE",
    "Attestation",
    "Challenge",
    "ChallengeRequest",
    "Evidence",
    "challenge_root",
    "decode_attestation",
    "decode_challenge_request",
    "encode_attestation",
    "encode_challenge_request",
    "evidence_digest",
]

NONCE_SIZE = 32
_DIGEST_LABEL = b"enclaved/1 evidence digest"


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a device signed, and what vouches for the device.

    Attributes:
        format: the evidence format's name, such as ``"sev-snp"``.
        report: the signed report, quote, document or token, as the device gave it.
        endorsements: certificates, CRLs and TCB information by their file names, each as `check_name` has it.
    """

    format: str
    report: bytes
    endorsements: dict[str, bytes]


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A relying party's nonce, and its place among others that one report answers.

    Attributes:
        nonce: 32 bytes.
        path: the nonce's inclusion path; empty where the report answers this nonce alone.
    """

    nonce: bytes
    path: tuple[bytes, ...]


class Attestation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key bundle with its evidence.

    Attributes:
        v: 1.
        bundle: the bundle's bytes, exactly as they were hashed into the evidence.
        challenge: what the evidence answers, or None where nobody asked.
        evidence: the evidence.
    """

    v: int
    bundle: bytes
    challenge: Challenge | None
    evidence: Evidence


class ChallengeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A relying party's wish for evidence over a nonce of its own.

    Attributes:
        v: 1.
        nonce: 32 random bytes.
        response_topic: where to send the attestation, under the reply prefix.
    """

    v: int
    nonce: bytes
    response_topic: str


def encode_attestation(attestation: Attestation) -> bytes:
    """Return an attestation's bytes."""
    return encode(attestation)


def decode_attestation(data: bytes) -> Attestation:
    """Return the attestation that the bytes encode; its bundle and evidence are still unread.

    Args:
        data: untrusted bytes, at most `MAX_ATTESTATION`.

    Returns:
        The attestation.

    Raises:
        ProtocolError: it is not an attestation of version 1.
    """
    attestation = decode(data, Attestation, what="attestation", max_size=MAX_ATTESTATION)
    if attestation.v != 1:
        raise ProtocolError("attestation", "its version is not 1")
    if attestation.challenge is not None:
        _check_challenge(attestation.challenge)
    _check_evidence(attestation.evidence)
    return attestation


def _check_evidence(evidence: Evidence) -> None:
    check_name(evidence.format, what="attestation: format")
    if len(evidence.report) > MAX_REPORT:
        raise ProtocolError("attestation", f"a report of more than {MAX_REPORT} bytes")
    if len(evidence.endorsements) > MAX_ENDORSEMENTS:
        raise ProtocolError("attestation", f"more than {MAX_ENDORSEMENTS} endorsements")
    for name, endorsement in evidence.endorsements.items():
        check_name(name, what="attestation: endorsement")  # it becomes a file's name: no path, no hidden file
        if len(endorsement) > MAX_ENDORSEMENT:
            raise ProtocolError("attestation", f"an endorsement of more than {MAX_ENDORSEMENT} bytes")


def challenge_root(challenge: Challenge | None) -> bytes:
    """Return what evidence is bound to besides the bundle: the nonce, or nothing.

    Raises:
        ProtocolError: the challenge carries an inclusion path, which version 1 does not define.
    """
    if challenge is None:
        return b""
    if challenge.path:
        raise ProtocolError("challenge", "an inclusion path, which version 1 does not define")
    return challenge.nonce


def evidence_digest(attestation: bytes) -> bytes:
    """Return the 32 bytes by which a receipt names the attestation that spoke for its key."""
    return sha256(_DIGEST_LABEL, attestation)


def encode_challenge_request(request: ChallengeRequest) -> bytes:
    """Return a challenge's bytes."""
    return encode(request)


def decode_challenge_request(data: bytes) -> ChallengeRequest:
    """Return the challenge that the bytes encode.

    Raises:
        ProtocolError: it is not a challenge of version 1.
    """
    request = decode(data, ChallengeRequest, what="challenge", max_size=MAX_CHALLENGE)
    if request.v != 1:
        raise ProtocolError("challenge", "its version is not 1")
    if len(request.nonce) != NONCE_SIZE:
        raise ProtocolError("challenge", f"a nonce has {NONCE_SIZE} bytes")
    check_topic(request.response_topic, what="challenge: response topic")
    return request


def _check_challenge(challenge: Challenge) -> None:
    if len(challenge.nonce) != NONCE_SIZE:
        raise ProtocolError("challenge", f"a nonce has {NONCE_SIZE} bytes")
    if len(challenge.path) > MAX_PATH or any(len(node) != 32 for node in challenge.path):
        raise ProtocolError("challenge", "an inclusion path has at most 32 nodes of 32 bytes")
