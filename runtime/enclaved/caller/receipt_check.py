"""Verifying a receipt file: by anybody, later, offline, without seeing the data.

The file carries its attestation, so nothing else is needed. With a policy it is
also said whether that policy would have sealed data to this runtime and function.
A key bundle lives an hour: as of now most receipts are over keys that have expired,
so a receipt is judged as of the time at which it says that it was signed, unless
another is asked for. That time is the host's claim, and the verdict names its mode.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime

from enclaved.caller.receipt_rules import (
    check_function_claims,
    check_isolation,
    check_signature,
    read_receipt,
    receipt_time,
)
from enclaved.errors import AppraisalError, ConfigurationError, EvidenceError, ProtocolError
from enclaved.verifier.attestation import judge_attestation
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.bundle_appraisal import check_validity
from enclaved.verifier.checks import Checks
from enclaved.verifier.evidence import check_evidence_time
from enclaved.verifier.formats import find_format
from enclaved.verifier.moment import Mode, evidence_time
from enclaved.verifier.policy import Policy
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.verifier.shown import JsonValue, as_json
from enclaved.verifier.verdict import Verdict, Verification
from enclaved.wire.attestation import challenge_root, decode_attestation
from enclaved.wire.bundle import binding, bundle_digest, decode_bundle
from enclaved.wire.receipt import Receipt, ReceiptClaims

__all__ = ["ReceiptVerdict", "receipt_claims_json", "verify_receipt_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptVerdict:
    """What came of verifying a receipt file.

    Attributes:
        receipt: what it states, or None where it cannot be read; believe it only with a verdict
            that is authentic.
        verdict: every check, those of the receipt after those of its attestation.
    """

    receipt: ReceiptClaims | None
    verdict: Verdict

    def to_json(self) -> dict[str, JsonValue]:
        """Return both as one document."""
        claims = None if self.receipt is None else receipt_claims_json(self.receipt)
        return {"verdict": self.verdict.to_json(), "receipt": claims}


def receipt_claims_json(claims: ReceiptClaims) -> dict[str, JsonValue]:
    """Return a receipt's claims by name, bytes as hex."""
    return {name: as_json(value) for name, value in dataclasses.asdict(claims).items()}


def verify_receipt_file(
    data: bytes,
    policy: Policy | None,
    *,
    at: datetime | None = None,
    mode: Mode = Mode.GIVEN,
    roots: Roots = RELEASED_ROOTS,
) -> ReceiptVerdict:
    """Verify a self-contained receipt.

    Args:
        data: the file's bytes, untrusted.
        policy: the relying party's policy; None asks only whether it is authentic.
        at: the present for `Mode.NOW`; the time for `Mode.GIVEN`, where None is the receipt's own
            host time; for `Mode.EVIDENCE` the time that the evidence has to have been made at, where
            None takes it out of the evidence.
        mode: where the time comes from.
        roots: the pinned roots; only tests give others than the released ones.

    Returns:
        The verdict, whatever it is.

    Raises:
        ConfigurationError: `Mode.NOW` without a time, or the time of evidence that holds none.
    """
    reading = Verification(at=at, mode=mode, with_policy=policy is not None)
    receipt: Receipt | None = None
    try:
        receipt = read_receipt(data, checks=reading.checks)
        attestation = _attestation(receipt, reading.checks)
        moment = _moment(receipt, attestation, at=at, mode=mode)
        parts = _Parts(receipt=receipt, encoded=attestation, bundle=_bundle(attestation))
    except (EvidenceError, ProtocolError) as error:
        return ReceiptVerdict(receipt=receipt.claims if receipt else None, verdict=reading.failed(error))
    verdict = _judge_attestation(parts, policy, at=moment, mode=mode, roots=roots)
    if verdict.error is None:
        verdict = _judge_receipt(parts, policy, verdict)
    return ReceiptVerdict(receipt=parts.receipt.claims, verdict=verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    receipt: Receipt
    encoded: bytes
    bundle: bytes


def _attestation(receipt: Receipt, checks: Checks) -> bytes:
    """Return the attestation beside a receipt; one that the receipt does not name was not read at all."""
    if receipt.attestation is None:
        wanted = "the attestation that speaks for the receipt's key"
        raise checks.unreadable("attestation", found=None, wanted=wanted)
    return receipt.attestation


def _bundle(encoded: bytes) -> bytes:
    return decode_attestation(encoded).bundle


def _moment(receipt: Receipt, encoded: bytes, *, at: datetime | None, mode: Mode) -> datetime:
    if mode is Mode.EVIDENCE and at is None:
        return evidence_time(decode_attestation(encoded).evidence)
    if mode is Mode.GIVEN and at is None:
        return receipt_time(receipt.claims)
    if at is None:
        raise ConfigurationError("time", "as of now, and no time is given", remedy="Give the present time")
    return at


def _judge_attestation(parts: _Parts, policy: Policy | None, *, at: datetime, mode: Mode, roots: Roots) -> Verdict:
    if policy is not None:
        function = parts.receipt.claims.function
        return judge_attestation(parts.encoded, policy, at=at, mode=mode, roots=roots, function=function)
    verification = Verification(at=at, mode=mode, with_policy=False)
    try:
        _authenticate(parts, verification, at=at, roots=roots)
    except (EvidenceError, ProtocolError) as error:
        return verification.failed(error)
    return verification.passed()


def _authenticate(parts: _Parts, verification: Verification, *, at: datetime, roots: Roots) -> None:
    """Verify the attestation without a policy: that it is authentic and speaks for the bundle."""
    checks = verification.checks
    attestation = decode_attestation(parts.encoded)
    verification.format = attestation.evidence.format
    # 1. Authentic.
    claims = verification.claims = authenticate(attestation.evidence, at=at, roots=roots, checks=checks)
    # 2. Bound to this bundle.
    bound = binding(bundle_digest(parts.bundle), challenge_root(attestation.challenge))
    checks.equal("bound_data", found=claims.bound_data, wanted=find_format(claims.format).expected_binding(bound))
    # 3. As of its own time, if that was asked for.
    check_evidence_time(claims, at=at, mode=verification.mode, checks=checks)
    # 4. The bundle was valid.
    check_validity(decode_bundle(parts.bundle), at=at, checks=checks)


def _judge_receipt(parts: _Parts, policy: Policy | None, verdict: Verdict) -> Verdict:
    """Add the receipt's own checks to the verdict on its attestation."""
    checks = Checks()
    try:
        _check_receipt(parts, policy, checks)
    except (EvidenceError, AppraisalError, ProtocolError) as error:
        failed = Verification(at=verdict.at, mode=verdict.mode, with_policy=policy is not None).failed(error)
        verdict = dataclasses.replace(verdict, authentic=failed.authentic, accepted=failed.accepted, error=failed.error)
    return dataclasses.replace(verdict, checks=verdict.checks + checks.done)


def _check_receipt(parts: _Parts, policy: Policy | None, checks: Checks) -> None:
    claims, digest = parts.receipt.claims, bundle_digest(parts.bundle)
    bundle = decode_bundle(parts.bundle)
    # 1. Signed by the receipt key of the bundle that the evidence speaks for.
    check_signature(parts.receipt, bundle=bundle, bundle_digest=digest, checks=checks)
    # 2. It names the runtime whose bundle that is.
    checks.equal("receipt.runtime_id", found=claims.runtime_id, wanted=bundle.runtime_id)
    # 3. What ran is a function of the bundle, by name, code and engine.
    entry = bundle.function(claims.function)
    if entry is None:
        raise checks.not_authentic("receipt.function", found=claims.function, wanted="a function of the bundle")
    check_function_claims(claims, entry, checks=checks)
    # 4. It ran as isolated as the bundle promised and the policy demands.
    check_isolation(claims, entry, policy, checks=checks)
