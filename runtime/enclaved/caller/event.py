"""Events: outputs that a function seals to recipients, opened and verified by one of them.

Anyone can seal to a public key. So what opens proves nothing; what makes an output
genuine is the receipt inside, signed by a key that evidence speaks for, and committing
to this very output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from enclaved.caller.receipt_rules import (
    check_function_claims,
    check_isolation,
    check_signature,
    read_receipt,
    receipt_time,
)
from enclaved.verifier.attestation import VerifiedAttestation, check_function, verify_attestation
from enclaved.verifier.checks import Check, Checks
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.wire.hpke import PrivateKey
from enclaved.wire.receipt import Receipt, ReceiptClaims, output_commitment
from enclaved.wire.sealed_output import OutputBody, OutputHeader, open_output

__all__ = ["Event", "open_event_output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A verified output of a function that an event started.

    Attributes:
        status: ``"ok"``, or ``"failed"``: it raised, exited, crashed or hit a limit.
        code: ``"ok"`` or the failure's code.
        output: what the function returned, or its own error text.
        content_type: of the output.
        log: what it printed, at most 16 KiB.
        invocation_id: the event's 16 bytes; repeats have the same.
        producer: the fingerprint of the producer's key, 16 bytes, or None for an anonymous one.
        receipt: what the receipt states, verified.
        receipt_bytes: the receipt with its attestation, self-contained.
        attestation: the verified attestation, with its verdict.
        checks: every check of the output, after those of that verdict.
    """

    status: Literal["ok", "failed"]
    code: str
    output: bytes = field(repr=False)
    content_type: str
    log: bytes = field(repr=False)
    invocation_id: bytes
    producer: bytes | None
    receipt: ReceiptClaims
    receipt_bytes: bytes = field(repr=False)
    attestation: VerifiedAttestation = field(repr=False)
    checks: tuple[Check, ...] = field(repr=False)


def open_event_output(
    message: bytes,
    *,
    key: PrivateKey,
    policy: Policy,
    at: datetime | None = None,
    roots: Roots = RELEASED_ROOTS,
) -> Event:
    """Open an output as one of its recipients, and verify it.

    Args:
        message: untrusted bytes.
        key: the recipient's private key.
        policy: what the recipient accepts. A challenge cannot be asked of an output, so freshness
            is the bundle's age alone.
        at: as of when to verify, aware; None is the time at which the receipt says that it was
            signed, for outputs that waited in a broker.
        roots: the pinned roots; only tests give others than the released ones.

    Returns:
        The verified event.

    Raises:
        ProtocolError: it is no output for this key, or does not open.
        EvidenceError: receipt or attestation does not verify.
        AppraisalError: the policy refuses the runtime or the function.
    """
    checks = Checks()
    # 1. It opens with our key.
    header, body = open_output(message, key=key)
    # 2. It holds a receipt, with the attestation of the receipt's key.
    receipt = read_receipt(body.receipt, checks=checks)
    encoded = _attestation(receipt, checks)
    claims = receipt.claims
    # 3. The attestation is authentic, and the policy accepts it.
    moment = receipt_time(claims) if at is None else at
    verified = verify_attestation(encoded, policy, at=moment, mode=Mode.GIVEN, roots=roots)
    # 4. The policy accepts the function there.
    entry = check_function(verified, policy, claims.function)
    # 5. The receipt is signed by that bundle's receipt key.
    check_signature(receipt, bundle=verified.bundle, bundle_digest=verified.bundle_digest, checks=checks)
    # 6. What ran is the function of the bundle.
    check_function_claims(claims, entry, checks=checks)
    # 7. It ran as isolated as the bundle promised and the policy demands.
    check_isolation(claims, entry, policy, checks=checks)
    # 8. Runtime, bundle and function are those of the header in clear, by which a recipient sorts.
    _check_header(header, verified, claims, checks)
    # 9. It is the receipt of this invocation.
    checks.equal("receipt.invocation_id", found=claims.invocation_id, wanted=body.invocation_id)
    # 10. It states this outcome.
    checks.equal("receipt.outcome", found=claims.outcome, wanted=body.code)
    # 11. It commits to this output.
    ours = output_commitment(body.result_salt, body.content_type, body.output)
    checks.equal("receipt.output_commitment", found=claims.output_commitment, wanted=ours)
    return _event(body, claims, verified, checks)


def _attestation(receipt: Receipt, checks: Checks) -> bytes:
    """Return the attestation beside a receipt; one that the receipt does not name was not read at all."""
    if receipt.attestation is None:
        raise checks.not_authentic("attestation", found=None, wanted="one that speaks for the receipt's key")
    return receipt.attestation


def _check_header(header: OutputHeader, verified: VerifiedAttestation, claims: ReceiptClaims, checks: Checks) -> None:
    checks.equal("header.key_id", found=header.key_id, wanted=verified.bundle_digest[:16])
    checks.equal("header.function", found=header.function, wanted=claims.function)
    checks.equal("header.runtime_id", found=header.runtime_id, wanted=verified.bundle.runtime_id)
    checks.equal("receipt.runtime_id", found=claims.runtime_id, wanted=verified.bundle.runtime_id)


def _event(body: OutputBody, claims: ReceiptClaims, verified: VerifiedAttestation, checks: Checks) -> Event:
    return Event(
        status="ok" if body.status == "ok" else "failed",
        code=body.code,
        output=body.output,
        content_type=body.content_type,
        log=body.log,
        invocation_id=body.invocation_id,
        producer=body.producer,
        receipt=claims,
        receipt_bytes=body.receipt,
        attestation=verified,
        checks=checks.done,
    )
