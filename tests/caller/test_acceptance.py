"""Answers: one thing turned at a time in what the enclave seals, or in what comes beside it.

The fake runtime signs and seals for real, so only the turned thing can fail.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.caller.acceptance import Accepted, OpenedAnswer, accept_answer, open_answer
from enclaved.caller.ledger import Request, Sealing, SessionLedger
from enclaved.caller.trust import Vetting
from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.verifier.policy import Freshness, FunctionRule
from enclaved.wire.cose import encode_sign1
from enclaved.wire.header import ResultParts, join_result, split_result
from enclaved.wire.receipt import decode_receipt
from fake_runtime import FakeRuntime
from simulation import NOON, OTHER_DIGEST, make_attestation, make_device, make_policy

AT = NOON + timedelta(minutes=1)
POLICY = replace(make_policy(), freshness=Freshness(challenge=False, max_age=timedelta(hours=1)))
VETTING = Vetting(policy=POLICY)
PAYLOAD = b"pulse 72"


def attach_unchecked(receipt: bytes, attestation: bytes) -> bytes:
    """Put an attestation beside a receipt, whatever the receipt names."""
    message = decode_receipt(receipt).message
    return encode_sign1(replace(message, unprotected={-70100: attestation}))


def trusted_session(runtime: FakeRuntime, vetting: Vetting = VETTING) -> SessionLedger:
    """Return a session with a runtime that was verified."""
    verified = vetting.announced(runtime.announced, runtime_id=runtime.runtime_id, at=AT)
    trust = vetting.trusted(verified, announced=verified)
    return SessionLedger(trust, random=os.urandom, caller_key=None, opened_at=0.0)


def make_request(**turned: object) -> Request:
    """Return a request for the function ``redact``, with fields turned."""
    request = Request(
        invocation_id=os.urandom(16),
        function="redact",
        payload=PAYLOAD,
        content_type="text/plain",
        evidence="digest",
        response_topic="enclaved/v1/demo/reply/0123",
        expires_at=1,
    )
    return replace(request, **turned)


def seal(session: SessionLedger, **turned: object) -> Sealing:
    """Seal a request."""
    return session.seal(make_request(**turned), entry=session.trust.verified.bundle.functions[0])


def exchange(runtime: FakeRuntime, **turned: object) -> OpenedAnswer:
    """Seal a request to a runtime, and open its answer."""
    sealing = seal(trusted_session(runtime), **turned)
    answer = runtime.answer(sealing.message())
    assert answer is not None
    return open_answer(answer, pending={sealing.name: sealing})


def accept(opened: OpenedAnswer, *, vetting: Vetting = VETTING, announced: bytes | None = None) -> Accepted:
    """Verify an answer one minute past noon."""
    return accept_answer(opened, vetting=vetting, at=AT, announced=announced)


def refused_step(opened: OpenedAnswer, *, announced: bytes | None = None) -> str:
    """Return which step refused an answer as not authentic."""
    with pytest.raises(EvidenceError) as refused:
        accept(opened, announced=announced)
    return refused.value.step


def test_attestation_under_another_runtimes_name_is_refused() -> None:
    """A broker cannot show one runtime's attestation for another's."""
    with pytest.raises(EvidenceError) as refused:
        VETTING.announced(FakeRuntime(runtime_id="r2").announced, runtime_id="r1", at=AT)

    assert refused.value.step == "runtime_id"


def test_challenge_that_another_bundle_answers_gives_no_trust() -> None:
    """Fresh evidence for one key says nothing about the key that was announced."""
    runtime, other = FakeRuntime(), FakeRuntime()
    announced = VETTING.announced(runtime.announced, runtime_id="r1", at=AT)

    with pytest.raises(EvidenceError) as refused:
        VETTING.challenged(other.attest(bytes(32)), announced=announced, nonce=bytes(32), at=AT)

    assert refused.value.step == "bundle"


def test_good_answer_is_accepted() -> None:
    """Every check holds and is listed, and the evidence that the receipt names is at hand."""
    runtime = FakeRuntime()

    accepted = accept(exchange(runtime))

    assert accepted.body.output == PAYLOAD.upper()
    assert accepted.evidence == runtime.announced
    assert all(check.ok for check in accepted.checks)
    assert {"receipt.signature", "receipt.output_commitment"} <= {check.check for check in accepted.checks}


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("evidence_digest", bytes(32)),
        ("runtime_id", "r2"),
        ("function", "echo"),
        ("function_digest", OTHER_DIGEST),
        ("engine", "wasm"),
        ("isolation", "full"),
        ("invocation_id", bytes(16)),
        ("sequence", 7),
        ("outcome", "time_limit"),
        ("request_commitment", bytes(32)),
        ("output_commitment", bytes(32)),
        ("bundle_digest", bytes(32)),
    ],
)
def test_receipt_that_says_something_else_is_refused(claim: str, value: object) -> None:
    """A receipt of another invocation, function, runtime, output or outcome is none of this one."""
    runtime = FakeRuntime()
    runtime.turned_claims = {claim: value}

    assert refused_step(exchange(runtime)) == f"receipt.{claim}"


@pytest.mark.parametrize(
    ("field", "value", "step"),
    [
        ("invocation_id", bytes(16), "invocation_id"),
        ("receipt", b"\x00", "receipt"),
        ("output", b"another output", "receipt.output_commitment"),
        ("content_type", "text/html", "receipt.output_commitment"),
        ("request_salt", bytes(32), "receipt.request_commitment"),
        ("result_salt", bytes(32), "receipt.output_commitment"),
        ("result_salt", None, "acknowledgement.output"),
    ],
)
def test_body_that_its_receipt_does_not_prove_is_refused(field: str, value: object, step: str) -> None:
    """What is shown to the caller is exactly what the receipt commits to."""
    runtime = FakeRuntime()
    runtime.turned_body = {field: value}

    assert refused_step(exchange(runtime)) == step


@pytest.mark.parametrize(("field", "step"), [("receipt", "receipt"), ("request_salt", "receipt.request_commitment")])
def test_answer_that_lacks_a_proof_is_refused(field: str, step: str) -> None:
    """What is not there proves nothing; absence never means that a check is skipped."""
    opened = exchange(FakeRuntime())
    turned = replace(opened, body=msgspec.structs.replace(opened.body, **{field: None}))

    assert refused_step(turned) == step


def test_acknowledgement_with_a_content_type_is_refused() -> None:
    """Without a salt nothing about the output can be proved, so nothing about it is shown."""
    runtime = FakeRuntime()
    runtime.turned_body = {"output": b"", "result_salt": None}

    assert refused_step(exchange(runtime)) == "acknowledgement.content_type"


def test_another_outcome_than_the_receipts_is_refused() -> None:
    """A failure is not shown for a success."""
    runtime = FakeRuntime()
    runtime.turned_body = {"status": "failed", "code": "function_failed"}

    assert refused_step(exchange(runtime)) == "receipt.outcome"


def test_receipt_of_another_key_is_refused() -> None:
    """Only the receipt key of the bundle that was sealed to signs receipts."""
    runtime = FakeRuntime()
    runtime.receipt_signer = Ed25519PrivateKey.generate()

    assert refused_step(exchange(runtime)) == "receipt.signature"


def test_level_that_the_policy_does_not_list_is_refused() -> None:
    """A policy that was tightened since the sealing refuses what ran below it."""
    opened = exchange(FakeRuntime())
    rule = FunctionRule(digest=POLICY.functions["redact"].digest, isolation=frozenset({"full"}))

    with pytest.raises(AppraisalError) as refused:
        accept(opened, vetting=Vetting(policy=replace(POLICY, functions={"redact": rule})))

    assert refused.value.claim == "functions.redact.isolation"


def test_attached_attestation_is_verified_once() -> None:
    """The very bytes that were verified before need no second look; others are learned."""
    runtime = FakeRuntime()

    same = accept(exchange(runtime, evidence="full"))
    runtime.attached = runtime.attest(None)
    renewed = accept(exchange(runtime))

    assert same.learned == ()
    assert renewed.learned == (runtime.attached,)


def test_attached_attestation_of_another_bundle_withholds_the_output() -> None:
    """Genuine evidence for another runtime's key says nothing about this one's."""
    runtime = FakeRuntime()
    runtime.attached = FakeRuntime().announced

    assert refused_step(exchange(runtime)) == "bundle"


def test_attached_attestation_that_the_policy_refuses_withholds_the_output() -> None:
    """What comes beside an answer is judged by the same policy."""
    runtime = FakeRuntime()
    opened = exchange(runtime)
    attached = make_attestation(bundle=runtime.encoded_bundle, nonce=None, device=make_device(debug=True))

    with pytest.raises(AppraisalError) as refused:
        accept(replace(opened, attestation=attached))

    assert refused.value.claim == "debug"


def test_attached_attestation_that_cannot_be_read_withholds_the_output() -> None:
    """Rubbish beside an answer is an error that names what cannot be read."""
    opened = replace(exchange(FakeRuntime()), attestation=b"\xc1")

    assert refused_step(opened) == "attestation"


def test_receipt_may_name_evidence_that_was_renewed_since() -> None:
    """Evidence is renewed without changing keys: what the runtime announces now is verified then."""
    runtime = FakeRuntime()
    session = trusted_session(runtime)
    sealing = seal(session)
    runtime.announced = runtime.attest(None)
    opened = open_answer(runtime.answer(sealing.message()), pending={sealing.name: sealing})

    assert refused_step(opened) == "receipt.evidence_digest"
    assert accept(opened, announced=runtime.announced).evidence == runtime.announced


def test_renewed_evidence_is_verified_before_a_receipt_may_name_it() -> None:
    """What is announced is not believed for being announced."""
    runtime = FakeRuntime()
    sealing = seal(trusted_session(runtime))
    runtime.announced = make_attestation(bundle=runtime.encoded_bundle, nonce=None, device=make_device(debug=True))
    opened = open_answer(runtime.answer(sealing.message()), pending={sealing.name: sealing})

    with pytest.raises(AppraisalError):
        accept(opened, announced=runtime.announced)


def test_refusal_needs_no_receipt() -> None:
    """Nothing ran, so there is nothing to sign."""
    runtime = FakeRuntime()
    runtime.refusals = ["expired"]

    accepted = accept(exchange(runtime))

    assert (accepted.body.code, accepted.receipt) == ("expired", None)


def test_refusal_of_another_invocation_is_refused() -> None:
    """Even a refusal names the invocation that it refuses."""
    runtime = FakeRuntime()
    runtime.refusals = ["expired"]
    opened = exchange(runtime)
    turned = replace(opened, body=msgspec.structs.replace(opened.body, invocation_id=bytes(16)))

    assert refused_step(turned) == "invocation_id"


def test_answer_from_another_bundle_is_no_answer() -> None:
    """A result is accepted only from the key that the request was sealed to."""
    runtime = FakeRuntime()
    sealing = seal(trusted_session(runtime))
    parts = split_result(runtime.answer(sealing.message()))
    turned = parts.header.replace(runtime.digest[:16], bytes(16))

    with pytest.raises(ProtocolError, match="another key bundle"):
        open_answer(_joined(parts, header=turned), pending={sealing.name: sealing})


def test_answer_to_nothing_that_waits_is_no_answer() -> None:
    """A repeat of an answer that was verified opens nothing."""
    runtime = FakeRuntime()
    sealing = seal(trusted_session(runtime))

    with pytest.raises(ProtocolError, match="nothing that waits"):
        open_answer(runtime.answer(sealing.message()), pending={})


def test_answer_to_another_sealing_does_not_open() -> None:
    """The result's key is made from the very request: an answer cannot change places."""
    runtime = FakeRuntime()
    session = trusted_session(runtime)
    first, second = seal(session), seal(session)
    one, two = (split_result(runtime.answer(each.message())) for each in (first, second))

    with pytest.raises(ProtocolError, match="does not open"):
        open_answer(_joined(one, header=two.header), pending={second.name: second})


@pytest.mark.parametrize("position", [0, -1])
def test_tampered_ciphertext_does_not_open(position: int) -> None:
    """One bit anywhere in the sealed part is noticed."""
    runtime = FakeRuntime()
    sealing = seal(trusted_session(runtime))
    parts = split_result(runtime.answer(sealing.message()))
    turned = bytearray(parts.ciphertext)
    turned[position] ^= 1

    with pytest.raises(ProtocolError, match="does not open"):
        open_answer(_joined(parts, ciphertext=bytes(turned)), pending={sealing.name: sealing})


def test_sealing_and_answer_show_no_contents() -> None:
    """What ends in a log or a traceback holds neither payload nor output."""
    opened = exchange(FakeRuntime())

    assert PAYLOAD.decode() not in repr(opened)
    assert PAYLOAD.upper().decode() not in repr(opened)
    assert PAYLOAD.upper().decode() not in repr(accept(opened))


def _joined(parts: ResultParts, **turned: bytes) -> bytes:
    return join_result(msgspec.structs.replace(parts, **turned))
