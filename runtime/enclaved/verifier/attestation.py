"""Attestations: evidence that speaks for a key bundle, verified before anything is sealed to it.

1. the attestation is read; bundle and evidence inside are still bytes;
2. authentic, by the steps of the evidence format;
3. bound to this bundle and this challenge: an old report, or another enclave's, cannot be replayed;
4. made at the time that it was verified as of, where that was its own time;
5. the challenge is the relying party's own nonce;
6. the bundle is read, now that evidence speaks for its bytes;
7. the bundle is valid;
8. the policy's word on freshness: a nonce, and the bundle's age;
9. the bundle is of the policy's namespace;
10. it has a key of a suite that the policy accepts;
11. the policy accepts what the evidence says.

Which function may be called is asked for each function: `check_function`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.bundle_appraisal import (
    check_age,
    check_function_entry,
    check_namespace,
    check_suites,
    check_validity,
)
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import check_challenged, check_evidence_time
from enclaved.verifier.formats import find_format
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.verifier.verdict import Verdict, Verification
from enclaved.wire.attestation import Attestation, challenge_root, decode_attestation
from enclaved.wire.bundle import FunctionEntry, KeyBundle, binding, bundle_digest, decode_bundle

__all__ = ["VerifiedAttestation", "check_current", "check_function", "judge_attestation", "verify_attestation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAttestation:
    """An attestation that is authentic and that a policy has accepted.

    Attributes:
        encoded: its bytes, as they were received.
        attestation: the same, read.
        bundle: the key bundle that the evidence speaks for.
        bundle_digest: the bundle's digest, 32 bytes.
        claims: what the evidence says.
        verdict: every check that was made.
    """

    encoded: bytes
    attestation: Attestation
    bundle: KeyBundle
    bundle_digest: bytes
    claims: Claims
    verdict: Verdict


def verify_attestation(
    encoded: bytes,
    policy: Policy,
    *,
    at: datetime,
    mode: Mode = Mode.NOW,
    nonce: bytes | None = None,
    roots: Roots = RELEASED_ROOTS,
) -> VerifiedAttestation:
    """Return an attestation, if it is authentic, bound to its bundle and acceptable to the policy.

    Args:
        encoded: the attestation's bytes, from anywhere.
        policy: the relying party's policy.
        at: as of when, aware.
        mode: where that time comes from.
        nonce: the nonce of the relying party's own that the evidence has to answer, 32 bytes.
        roots: the pinned roots; only tests give others than the released ones.

    Returns:
        What was verified.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
        AppraisalError: it is authentic, and the policy refuses it.
    """
    verification = Verification(at=at, mode=mode, with_policy=True)
    try:
        return _run(verification, encoded, policy, at=at, nonce=nonce, roots=roots)
    except ProtocolError as error:
        raise EvidenceError("unreadable", error.what, found=error.reason, wanted="an attestation") from error


def judge_attestation(
    encoded: bytes,
    policy: Policy,
    *,
    at: datetime,
    mode: Mode = Mode.NOW,
    nonce: bytes | None = None,
    roots: Roots = RELEASED_ROOTS,
    function: str | None = None,
) -> Verdict:
    """Return the verdict on an attestation: the steps of `verify_attestation`, with the error inside.

    Args:
        encoded: the attestation's bytes, from anywhere.
        policy: the relying party's policy.
        at: as of when, aware.
        mode: where that time comes from.
        nonce: the nonce of the relying party's own that the evidence has to answer, 32 bytes.
        roots: the pinned roots; only tests give others than the released ones.
        function: a function that has to be acceptable as well.

    Returns:
        The verdict, whatever it is.
    """
    verification = Verification(at=at, mode=mode, with_policy=True)
    try:
        verified = _run(verification, encoded, policy, at=at, nonce=nonce, roots=roots)
        if function is not None:
            check_function_entry(verified.bundle, policy, function, checks=verification.checks)
    except (EvidenceError, AppraisalError, ProtocolError) as error:
        return verification.failed(error)
    return verification.passed()


def check_function(verified: VerifiedAttestation, policy: Policy, name: str) -> FunctionEntry:
    """Return a function of a verified attestation, if the policy lets data be sealed to it.

    Args:
        verified: an attestation that the policy has accepted.
        policy: the relying party's policy.
        name: the function's name.

    Returns:
        What the bundle says of the function.

    Raises:
        AppraisalError: the function is not listed, not there, or not as the policy wants it.
    """
    return check_function_entry(verified.bundle, policy, name, checks=Checks())


def check_current(verified: VerifiedAttestation, policy: Policy, *, at: datetime) -> None:
    """Check again that a bundle is valid and young enough: time passes between two invocations.

    Args:
        verified: an attestation that the policy has accepted.
        policy: the same policy.
        at: the present, aware.

    Raises:
        EvidenceError: the bundle is no longer valid.
        AppraisalError: it is older than the policy allows.
    """
    checks = Checks()
    check_validity(verified.bundle, at=at, checks=checks)
    check_age(verified.bundle, policy, at=at, checks=checks)


def _run(
    verification: Verification, encoded: bytes, policy: Policy, *, at: datetime, nonce: bytes | None, roots: Roots
) -> VerifiedAttestation:
    checks, mode = verification.checks, verification.mode
    # 1. Read, and nothing in it believed.
    attestation = decode_attestation(encoded)
    verification.format = attestation.evidence.format
    # 2. Authentic.
    claims = verification.claims = authenticate(attestation.evidence, at=at, roots=roots, checks=checks)
    # 3. Bound to this bundle and this challenge.
    digest = bundle_digest(attestation.bundle)
    expected = find_format(claims.format).expected_binding(binding(digest, challenge_root(attestation.challenge)))
    checks.equal("bound_data", found=claims.bound_data, wanted=expected)
    # 4. As of its own time, if that was asked for.
    check_evidence_time(claims, at=at, mode=mode, checks=checks)
    # 5. The challenge is ours.
    if nonce is not None:
        _check_own_challenge(attestation, nonce, checks)
    # 6. The bundle that the evidence speaks for.
    bundle = decode_bundle(attestation.bundle)
    # 7. Valid.
    check_validity(bundle, at=at, checks=checks)
    # 8. Fresh enough.
    check_challenged(policy, nonce=nonce, mode=mode, checks=checks)
    check_age(bundle, policy, at=at, checks=checks)
    # 9. Of the policy's namespace.
    check_namespace(bundle, policy, checks=checks)
    # 10. With a suite that the policy accepts.
    check_suites(bundle, policy, checks=checks)
    # 11. Acceptable.
    appraise(claims, policy, checks=checks)
    return VerifiedAttestation(
        encoded=encoded,
        attestation=attestation,
        bundle=bundle,
        bundle_digest=digest,
        claims=claims,
        verdict=verification.passed(),
    )


def _check_own_challenge(attestation: Attestation, nonce: bytes, checks: Checks) -> None:
    challenge = attestation.challenge
    checks.equal("nonce", found=challenge.nonce if challenge else None, wanted=nonce)
