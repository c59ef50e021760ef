"""Which answers are accepted: the rules by which bytes on a reply topic become a result.

Anyone can publish on a reply topic. What does not open is a forgery: it is dropped,
and the wait goes on. What opens was sealed by the enclave that holds the session's
keys; if something in it does not verify, that is an error, and the output is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from enclaved.caller.ledger import Request, Sealing
from enclaved.caller.receipt_rules import check_function_claims, check_isolation, check_signature, read_receipt
from enclaved.caller.trust import Trust, Vetting
from enclaved.errors import ProtocolError
from enclaved.verifier.checks import Check, Checks
from enclaved.wire.attestation import evidence_digest
from enclaved.wire.header import decode_result_header, split_result
from enclaved.wire.receipt import Receipt, ReceiptClaims, output_commitment, request_commitment
from enclaved.wire.result import ResultBody, open_result

__all__ = ["Accepted", "OpenedAnswer", "accept_answer", "open_answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAnswer:
    """An answer that opened under a session of ours; what it says is unverified.

    Attributes:
        sealing: which sealing of which request it answers.
        body: what was sealed.
        attestation: what came beside it, unsealed, or None.
    """

    sealing: Sealing
    body: ResultBody = field(repr=False)
    attestation: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An answer whose every check held.

    Attributes:
        body: what was sealed.
        receipt: the receipt, or None for a refusal, where nothing ran.
        evidence: the attestation that the receipt names, or None.
        learned: attestations that verified on the way, to be known from now on.
        checks: every check of the answer, in order.
    """

    body: ResultBody = field(repr=False)
    receipt: Receipt | None
    evidence: bytes | None = field(repr=False)
    learned: tuple[bytes, ...] = field(repr=False)
    checks: tuple[Check, ...]


def open_answer(message: bytes, *, pending: Mapping[tuple[bytes, int], Sealing]) -> OpenedAnswer:
    """Open an answer to a request of ours.

    Args:
        message: untrusted bytes from the reply topic.
        pending: the sealings whose answer is waited for, by session id and sequence.

    Returns:
        The opened answer.

    Raises:
        ProtocolError: it is no answer of ours: a forgery, a late repeat, or damaged.
    """
    # 1. It parses.
    parts = split_result(message)
    header = decode_result_header(parts.header)
    # 2. It answers a request that still waits.
    sealing = pending.get((header.session_id, header.sequence))
    if sealing is None:
        raise ProtocolError("result", "answers nothing that waits")
    # 3. It comes from the bundle that the request was sealed to.
    if header.key_id != sealing.session.trust.bundle_digest[:16]:
        raise ProtocolError("result", "comes from another key bundle than the request was sealed to")
    # 4. It opens: its key exists for this very sealing of the request alone.
    body = open_result(parts, keys=sealing.session.keys, request_digest=sealing.sealed.digest)
    return OpenedAnswer(sealing=sealing, body=body, attestation=parts.attestation)


def accept_answer(opened: OpenedAnswer, *, vetting: Vetting, at: datetime, announced: bytes | None = None) -> Accepted:
    """Verify an answer that opened.

    Args:
        opened: the answer.
        vetting: how attestations are verified.
        at: the present, aware.
        announced: what the runtime announces at present; a receipt may name evidence that was
            renewed since the request was sealed.

    Returns:
        The accepted answer.

    Raises:
        EvidenceError: the receipt or an attestation does not verify; the step names which claim.
        AppraisalError: the policy refuses what is attested or received.
    """
    body, sealing, checks = opened.body, opened.sealing, Checks()
    trust, request = sealing.session.trust, sealing.request
    evidence = _Evidence(trust, vetting, at)
    # 1. It is about our invocation.
    checks.equal("invocation_id", found=body.invocation_id, wanted=request.invocation_id)
    # 2. An attestation that came along verifies, under the same policy, for the same bundle.
    evidence.learn(opened.attestation)
    if body.status == "refused":
        return Accepted(body=body, receipt=None, evidence=None, learned=evidence.learned, checks=checks.done)
    # 3. A function that ran left a receipt.
    receipt = read_receipt(body.receipt, checks=checks)
    claims = receipt.claims
    # 4. The receipt is signed by the receipt key of the bundle that we sealed to.
    check_signature(receipt, bundle=trust.verified.bundle, bundle_digest=trust.bundle_digest, checks=checks)
    # 5. The evidence that it names is evidence that we verified.
    named = evidence.named(claims.evidence_digest, announced, checks)
    # 6. It comes from the runtime that we chose.
    checks.equal("receipt.runtime_id", found=claims.runtime_id, wanted=trust.runtime_id)
    # 7. What ran is the function that the policy accepted.
    check_function_claims(claims, sealing.entry, checks=checks)
    # 8. It ran as isolated as the bundle promised and the policy demands.
    check_isolation(claims, sealing.entry, vetting.policy, checks=checks)
    # 9. It is the receipt of this invocation.
    checks.equal("receipt.invocation_id", found=claims.invocation_id, wanted=request.invocation_id)
    # 10. It is the receipt of this sealing of it.
    checks.equal("receipt.sequence", found=claims.sequence, wanted=sealing.sequence)
    # 11. It states the outcome that we were told.
    checks.equal("receipt.outcome", found=claims.outcome, wanted=body.code)
    # 12. It commits to the payload that we sent.
    _check_request(claims, body, request, checks)
    # 13. It commits to the output that we got.
    _check_output(claims, body, checks)
    return Accepted(body=body, receipt=receipt, evidence=named, learned=evidence.learned, checks=checks.done)


def _check_request(claims: ReceiptClaims, body: ResultBody, request: Request, checks: Checks) -> None:
    salt = body.request_salt
    ours = None if salt is None else request_commitment(salt, request.content_type, request.payload)
    checks.equal("receipt.request_commitment", found=claims.request_commitment, wanted=ours)


def _check_output(claims: ReceiptClaims, body: ResultBody, checks: Checks) -> None:
    """Recompute the commitment; an acknowledgement has no salt, and then nothing may be shown as output."""
    if body.result_salt is None:
        checks.equal("acknowledgement.output", found=len(body.output), wanted=0)
        checks.equal("acknowledgement.content_type", found=body.content_type, wanted="")
        return
    ours = output_commitment(body.result_salt, body.content_type, body.output)
    checks.equal("receipt.output_commitment", found=claims.output_commitment, wanted=ours)


class _Evidence:
    """The evidence known for the bundle of one sealing, and what is learned on the way."""

    def __init__(self, trust: Trust, vetting: Vetting, at: datetime) -> None:
        self._known = trust.evidence()
        self._verify: Callable[[bytes], object] = partial(vetting.same_bundle, trust=trust, at=at)
        self.learned: tuple[bytes, ...] = ()

    def learn(self, encoded: bytes | None) -> None:
        """Verify an attestation, unless these very bytes were verified before."""
        if encoded is None:
            return
        digest = evidence_digest(encoded)
        if digest not in self._known:
            self._verify(encoded)
            self._known[digest] = encoded
            self.learned += (encoded,)

    def named(self, digest: bytes, announced: bytes | None, checks: Checks) -> bytes:
        """Return the verified attestation that a receipt names."""
        if digest not in self._known and announced is not None and evidence_digest(announced) == digest:
            self.learn(announced)
        known = digest in self._known
        wanted = "evidence that was verified for this bundle"
        checks.authentic("receipt.evidence_digest", found=digest, wanted=wanted, ok=known)
        return self._known[digest]
