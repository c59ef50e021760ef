"""Trust: a verified key bundle, the key of it that data is sealed to, and the evidence known for it.

Nothing is sealed without one. Where the policy demands a challenge, a bundle is
trusted on the fresh evidence over our own nonce; what was announced for the same
bundle is verified too, since receipts name announced evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enclaved.errors import EvidenceError
from enclaved.verifier.attestation import VerifiedAttestation, verify_attestation
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.wire.attestation import evidence_digest

__all__ = ["MAX_KNOWN_EVIDENCE", "Trust", "Vetting"]

MAX_KNOWN_EVIDENCE = 8  # attestations kept for one bundle; evidence is renewed a few times in a bundle's hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetting:
    """How this caller verifies attestations.

    Attributes:
        policy: what it accepts.
        roots: the pinned roots; only tests give others than the released ones.
    """

    policy: Policy
    roots: Roots = RELEASED_ROOTS

    def announced(self, encoded: bytes, *, runtime_id: str, at: datetime) -> VerifiedAttestation:
        """Verify what was announced under a runtime's name; it proves no freshness.

        Args:
            encoded: the attestation's bytes, from anywhere.
            runtime_id: under whose name it came.
            at: the present, aware.

        Raises:
            EvidenceError: it is not authentic, or another runtime's.
            AppraisalError: the policy refuses it.
        """
        # 1. Authentic, bound to its bundle, and acceptable; a challenge is asked for apart, where it is demanded.
        verified = verify_attestation(encoded, self.policy, at=at, mode=self._unchallenged, roots=self.roots)
        # 2. Under its own name: one runtime's attestation does not speak for another's topic.
        _check("runtime_id", found=verified.bundle.runtime_id, wanted=runtime_id)
        return verified

    def same_bundle(self, encoded: bytes, *, trust: Trust, at: datetime) -> VerifiedAttestation:
        """Verify further evidence for a bundle that is trusted already.

        Raises:
            EvidenceError: it is not authentic, or speaks for another bundle.
            AppraisalError: the policy refuses it.
        """
        # 1. By the same rules as what was announced.
        verified = self.announced(encoded, runtime_id=trust.runtime_id, at=at)
        # 2. Of the bundle that was sealed to: another's evidence says nothing about this key.
        _check("bundle", found=verified.bundle_digest, wanted=trust.bundle_digest)
        return verified

    def challenged(self, encoded: bytes, *, announced: VerifiedAttestation, nonce: bytes, at: datetime) -> Trust:
        """Verify the answer to a challenge, and trust the bundle.

        Args:
            encoded: the answer's bytes, from anywhere.
            announced: what was announced and verified.
            nonce: our own 32 bytes.
            at: the present, aware.

        Raises:
            EvidenceError: it is not authentic, does not answer the nonce, or speaks for another bundle.
            AppraisalError: the policy refuses it.
        """
        # 1. Authentic, acceptable, and over our own nonce.
        fresh = verify_attestation(encoded, self.policy, at=at, nonce=nonce, roots=self.roots)
        # 2. For the very bundle that was announced.
        _check("bundle", found=fresh.bundle_digest, wanted=announced.bundle_digest)
        return self.trusted(fresh, announced=announced)

    def trusted(self, verified: VerifiedAttestation, *, announced: VerifiedAttestation) -> Trust:
        """Return trust in a bundle that was verified as the policy demands."""
        trust = Trust(verified, suite=self._suite(verified))
        trust.learn(announced.encoded)
        return trust

    @property
    def _unchallenged(self) -> Mode:
        # Only `challenged` gives trust where a challenge is demanded; evidence beside it is as of a given time.
        return Mode.GIVEN if self.policy.freshness.challenge else Mode.NOW

    def _suite(self, verified: VerifiedAttestation) -> str:
        """Return the first of the policy's suites that the bundle has; `verify_attestation` found one."""
        return next(suite for suite in self.policy.suites if verified.bundle.key(suite) is not None)


class Trust:
    """One verified key bundle.

    Attributes:
        verified: the attestation that it is trusted on, with its verdict.
        suite: the suite that data is sealed with.
    """

    def __init__(self, verified: VerifiedAttestation, *, suite: str) -> None:
        self.verified = verified
        self.suite = suite
        self._evidence: dict[bytes, bytes] = {}
        self.learn(verified.encoded)

    @property
    def runtime_id(self) -> str:
        """The runtime's name."""
        return self.verified.bundle.runtime_id

    @property
    def bundle_digest(self) -> bytes:
        """The bundle's digest, 32 bytes."""
        return self.verified.bundle_digest

    @property
    def public_key(self) -> bytes:
        """The bundle's public key of the suite."""
        return self.verified.bundle.key(self.suite) or b""

    def learn(self, encoded: bytes) -> None:
        """Know an attestation that was verified for this bundle; the oldest of too many is forgotten."""
        self._evidence[evidence_digest(encoded)] = encoded
        if len(self._evidence) > MAX_KNOWN_EVIDENCE:
            del self._evidence[next(iter(self._evidence))]

    def evidence(self) -> dict[bytes, bytes]:
        """Return the attestations that verified for this bundle, by `evidence_digest`."""
        return dict(self._evidence)


def _check(step: str, *, found: object, wanted: object) -> None:
    if found != wanted:
        raise EvidenceError("not_authentic", step, found=_shown(found), wanted=_shown(wanted))


def _shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
