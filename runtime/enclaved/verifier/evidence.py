"""Bare evidence, as an evidence folder holds it: without a key bundle, from wherever it came.

1. authentic, by the format's own steps;
2. made at the time that it was verified as of, where that was its own time;
3. over the relying party's nonce, compared as exact bytes with the format's own field;
4. over a nonce at all, where the policy demands one;
5. acceptable to the policy.

What it is bound to beyond a nonce, and so what its keys are, is not looked at:
`attestation` does that.
"""

from __future__ import annotations

from datetime import datetime

from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.verifier.verdict import Verdict, Verification
from enclaved.wire.attestation import Evidence

__all__ = ["appraise_evidence", "check_challenged", "check_evidence_time", "judge_evidence"]


def appraise_evidence(
    evidence: Evidence,
    policy: Policy | None,
    *,
    at: datetime,
    mode: Mode = Mode.NOW,
    nonce: bytes | None = None,
    roots: Roots = RELEASED_ROOTS,
) -> Claims:
    """Return what evidence says, if it is authentic and the policy accepts it.

    Args:
        evidence: the evidence, from anywhere.
        policy: the relying party's policy; None for stage one alone.
        at: as of when, aware.
        mode: where that time comes from.
        nonce: what the format's own field for a challenger's bytes has to hold exactly.
        roots: the pinned roots; only tests give others than the released ones.

    Returns:
        The claims.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
        AppraisalError: it is authentic, and the policy refuses it.
    """
    verification = Verification(at=at, mode=mode, with_policy=policy is not None)
    return _run(verification, evidence, policy, at=at, nonce=nonce, roots=roots)


def judge_evidence(
    evidence: Evidence,
    policy: Policy | None,
    *,
    at: datetime,
    mode: Mode = Mode.NOW,
    nonce: bytes | None = None,
    roots: Roots = RELEASED_ROOTS,
) -> Verdict:
    """Return the verdict on evidence: the steps of `appraise_evidence`, with the error inside.

    Args:
        evidence: the evidence, from anywhere.
        policy: the relying party's policy; None for stage one alone.
        at: as of when, aware.
        mode: where that time comes from.
        nonce: what the format's own field for a challenger's bytes has to hold exactly.
        roots: the pinned roots; only tests give others than the released ones.

    Returns:
        The verdict, whatever it is.
    """
    verification = Verification(at=at, mode=mode, with_policy=policy is not None)
    try:
        _run(verification, evidence, policy, at=at, nonce=nonce, roots=roots)
    except (EvidenceError, AppraisalError, ProtocolError) as error:
        return verification.failed(error)
    return verification.passed()


def _run(
    verification: Verification,
    evidence: Evidence,
    policy: Policy | None,
    *,
    at: datetime,
    nonce: bytes | None,
    roots: Roots,
) -> Claims:
    checks, mode = verification.checks, verification.mode
    verification.format = evidence.format
    # 1. Authentic.
    claims = verification.claims = authenticate(evidence, at=at, roots=roots, checks=checks)
    # 2. As of its own time, if that was asked for.
    check_evidence_time(claims, at=at, mode=mode, checks=checks)
    # 3. Over the relying party's nonce.
    _check_nonce(claims, nonce, checks)
    if policy is not None:
        # 4. Over a nonce at all, where one is demanded.
        check_challenged(policy, nonce=nonce, mode=mode, checks=checks)
        # 5. Acceptable.
        appraise(claims, policy, checks=checks)
    return claims


def check_evidence_time(claims: Claims, *, at: datetime, mode: Mode, checks: Checks) -> None:
    """Check that evidence verified as of its own time was signed with that time.

    Raises:
        EvidenceError: it says another time.
    """
    if mode is Mode.EVIDENCE:
        checks.equal("evidence time", found=claims.evidence_time, wanted=at)


def check_challenged(policy: Policy, *, nonce: bytes | None, mode: Mode, checks: Checks) -> None:
    """Check that there is a nonce, where the policy demands proof of freshness.

    Evidence out of an archive is judged as of another time than now; that it is
    fresh is then neither asked nor said.

    Args:
        policy: the relying party's policy.
        nonce: the relying party's nonce, already found in the evidence, or None.
        mode: where the time of the verification comes from.
        checks: the record.

    Raises:
        AppraisalError: there is none, and the evidence is judged as of now.
    """
    demanded = policy.freshness.challenge and mode is Mode.NOW
    found = "a nonce of the relying party's own" if nonce else "evidence over no nonce of the relying party's own"
    checks.acceptable(
        "freshness.challenge",
        found=found,
        wanted="a nonce of the relying party's own" if demanded else f"any, as of {mode.value}",
        ok=bool(nonce) or not demanded,
    )


def _check_nonce(claims: Claims, nonce: bytes | None, checks: Checks) -> None:
    if nonce is None:
        return
    held = (claims.bound_data,) if claims.nonces is None else claims.nonces
    checks.authentic("nonce", found=held, wanted=nonce or "a nonce that is not empty", ok=bool(nonce) and nonce in held)
