"""What leaves the enclave: sealed answers, receipts that commit to them, and events' outputs."""

from __future__ import annotations

import msgspec
import pytest
from enclave_world import ISOLATION, Call, World, caller_key, executed, function, recipient_key
from enclaved.enclave.core import Replied
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.wire.envelope import padded_size
from enclaved.wire.header import decode_result_header, split_result
from enclaved.wire.receipt import (
    Receipt,
    decode_receipt,
    output_commitment,
    request_commitment,
    verify_receipt,
)
from enclaved.wire.result import ResultBody
from enclaved.wire.sealed_output import key_fingerprint, open_output

INVOCATION = bytes(range(16))
RECIPIENT, RECIPIENT_TEXT = recipient_key()
EVENT = f'content_type = "application/json"\n[output]\ntopic = "alarms"\nrecipients = ["{RECIPIENT_TEXT}"]\n'


@pytest.fixture
def world() -> World:
    """An enclave whose `echo` answers text, and whose `alarm` is an event function."""
    return World([function("echo", more='content_type = "text/plain"\n'), function("alarm", more=EVENT)])


def finished(world: World, call: Call, execution: Execution) -> tuple[ResultBody, Receipt]:
    """Run a call; return the opened answer, and its receipt once that is verified."""
    answered, _ = world.core.finish(world.start(call), execution)
    body = call.opened(answered.reply)
    assert body.receipt is not None
    return body, verified(world, body.receipt)


def verified(world: World, data: bytes) -> Receipt:
    """Return a receipt that the bundle's key signed."""
    receipt = decode_receipt(data)
    verify_receipt(
        receipt, public_key=world.epoch.keys.bundle.receipt_public_key, bundle_digest=world.epoch.bundle_digest
    )
    return receipt


def test_a_receipt_says_what_ran_on_what(world: World) -> None:
    """Every claim, by its name."""
    call = world.caller().call(b"in", sequence=3, invocation_id=INVOCATION)
    _, receipt = finished(world, call, executed(b"out"))
    claims = receipt.claims

    assert (claims.runtime_id, claims.function, claims.sequence) == ("r1", "echo", 3)
    assert claims.invocation_id == INVOCATION
    assert claims.host_time == int(world.clock.at.timestamp())
    assert claims.function_digest == world.functions[0].digest
    assert (claims.engine, claims.isolation) == ("python", ISOLATION)
    assert claims.bundle_digest == world.epoch.bundle_digest
    assert claims.evidence_digest == world.epoch.evidence_digest
    assert (claims.duration_us, claims.outcome) == (1500, "ok")


def test_a_receipt_commits_to_input_and_output(world: World) -> None:
    """The caller recomputes both with the salts that travel sealed."""
    call = world.caller().call(b"in", invocation_id=INVOCATION)
    body, receipt = finished(world, call, executed(b"out"))
    assert body.request_salt is not None
    assert body.result_salt is not None

    assert receipt.claims.request_commitment == request_commitment(body.request_salt, "text/plain", b"in")
    assert receipt.claims.output_commitment == output_commitment(body.result_salt, "text/plain", b"out")


def test_no_two_receipts_of_the_same_data_are_alike(world: World) -> None:
    """Or a short input could be guessed by running it again."""
    caller = world.caller()
    _, first = finished(world, caller.call(b"in"), executed())
    _, second = finished(world, caller.call(b"in", sequence=1), executed())

    assert first.claims.request_commitment != second.claims.request_commitment
    assert first.claims.output_commitment != second.claims.output_commitment


def test_a_success_is_told_as_one(world: World) -> None:
    """Output, its type, the log, and the caller's own id."""
    body, _ = finished(world, world.caller().call(invocation_id=INVOCATION), executed(b"out", log=b"printed"))

    assert (body.status, body.code, body.output, body.log) == ("ok", "ok", b"out", b"printed")
    assert (body.content_type, body.invocation_id) == ("text/plain", INVOCATION)


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.OK])
def test_a_failure_is_told_with_its_code_and_text(world: World, outcome: Outcome) -> None:
    """It ran: so there is a receipt, which says how it ended."""
    body, receipt = finished(world, world.caller().call(), executed(b"what was wrong", outcome=outcome))

    assert (body.status, body.code, body.output) == ("failed", outcome.value, b"what was wrong")
    assert body.content_type.startswith("text/plain")
    assert receipt.claims.outcome == outcome.value


def test_the_host_is_not_told_success_from_failure(world: World) -> None:
    """It learns that there is an answer; how it ended is sealed."""
    caller = world.caller()
    for number, outcome in enumerate(Outcome):
        answered, _ = world.core.finish(world.start(caller.call(sequence=number)), executed(outcome=outcome))
        assert not answered.refused


def test_an_answer_is_padded(world: World) -> None:
    """Its size tells a bucket."""
    answered, _ = world.core.finish(world.start(world.caller().call()), executed(b"x" * 5000))
    size = len(split_result(answered.reply).ciphertext) - 16

    assert size == padded_size(size)


def test_every_answer_has_a_key_of_its_own(world: World) -> None:
    """The nonce is always zero, so no salt may come twice; a refusal that is made anew has another."""
    caller = world.caller()
    world.answer(caller.call(sequence=5000))
    old = caller.call()
    salts = set()
    for _ in range(20):
        refused = world.admit(old.message)
        assert isinstance(refused, Replied)
        salts.add(decode_result_header(split_result(refused.reply).header).salt)

    assert len(salts) == 20


def test_an_event_is_acknowledged_without_its_output(world: World) -> None:
    """Neither output nor log, nor the salt by which a short output could be guessed."""
    call = world.caller().call(b"vitals", function="alarm")
    body, receipt = finished(world, call, executed(b"alarm", log=b"printed"))

    assert (body.status, body.output, body.log, body.content_type) == ("ok", b"", b"", "")
    assert body.result_salt is None
    assert body.request_salt is not None
    assert receipt.claims.request_commitment == request_commitment(body.request_salt, "text/plain", b"vitals")


def test_an_events_output_is_sealed_to_its_recipients(world: World) -> None:
    """With everything by which they can verify it themselves, offline."""
    key, listed = caller_key()
    world = World([function("alarm", callers=f'["{listed}"]', more=EVENT)])
    call = world.caller(key=key).call(b"vitals", function="alarm", invocation_id=INVOCATION)
    answered, _ = world.core.finish(world.start(call), executed(b"alarm", log=b"printed"))
    (output,) = answered.outputs
    header, body = open_output(output.payload, key=RECIPIENT)
    receipt = verified(world, body.receipt)

    assert (output.topic, header.function, header.key_id) == ("alarms", "alarm", world.epoch.key_id)
    assert (body.status, body.output, body.log) == ("ok", b"alarm", b"printed")
    assert (body.content_type, body.invocation_id) == ("application/json", INVOCATION)
    assert body.producer == key_fingerprint(key.public_key().public_bytes_raw())
    assert receipt.attestation == world.epoch.attestation
    assert receipt.claims.output_commitment == output_commitment(body.result_salt, "application/json", b"alarm")


def test_an_anonymous_producer_is_named_by_nothing(world: World) -> None:
    """There is no key to name it by."""
    call = world.caller().call(function="alarm")
    answered, _ = world.core.finish(world.start(call), executed())

    assert open_output(answered.outputs[0].payload, key=RECIPIENT)[1].producer is None


def test_an_events_failure_goes_to_its_recipients_too(world: World) -> None:
    """They wait for alarms: one that could not be made must not look like silence."""
    call = world.caller().call(function="alarm")
    answered, _ = world.core.finish(world.start(call), executed(b"broken", outcome=Outcome.FUNCTION_FAILED))
    body = open_output(answered.outputs[0].payload, key=RECIPIENT)[1]

    assert (body.status, body.code, body.output) == ("failed", "function_failed", b"broken")
    assert (call.opened(answered.reply).code, call.opened(answered.reply).output) == ("function_failed", b"")


def test_a_refused_event_sends_nothing_to_its_recipients(world: World) -> None:
    """It did not run; only its producer is told."""
    call = world.caller().call(function="alarm", expires_at=0)
    refused = world.admit(call.message)

    assert isinstance(refused, Replied)
    assert refused.outputs == ()
    assert call.opened(refused).code == "expired"


def test_plaintexts_do_not_show_themselves(world: World) -> None:
    """No representation of what passes through here holds one."""
    call = world.caller().call(b"the secret input")
    run = world.start(call)
    answered, _ = world.core.finish(run, executed(b"the secret output", log=b"the secret log"))
    shown = repr((run, answered, world.admit(call.message), run.request, executed(b"the secret output")))

    assert "secret" not in shown
    assert msgspec.structs.asdict(run.request.body)["payload"] == b"the secret input"
