"""Outputs that functions seal to recipients: opened by one, verified, each shown once."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import replace
from datetime import datetime, timedelta

import anyio
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.caller.event import Event, open_event_output
from enclaved.caller.recipient import Recipient
from enclaved.errors import AppraisalError, Error, EvidenceError, ProtocolError
from enclaved.mqtt.transport import Message
from enclaved.verifier.policy import FunctionRule, Policy
from enclaved.wire.attestation import evidence_digest
from enclaved.wire.hpke import generate
from enclaved.wire.receipt import decode_receipt, output_commitment, sign_receipt
from enclaved.wire.sealed_output import OutputBody, OutputHeader, RecipientKey, seal_output
from fake_runtime import FakeRuntime, NoonClock, surroundings
from memory_broker import MemoryBroker
from simulation import NOON, OTHER_DIGEST, make_policy
from test_acceptance import PAYLOAD, attach_unchecked, exchange

POLICY = make_policy()
KEY = generate("x25519", random=os.urandom)
OURS = RecipientKey(suite=KEY.suite, public_key=KEY.public_key)


def sealed_output(
    runtime: FakeRuntime | None = None,
    *,
    claims: dict[str, object] | None = None,
    body: dict[str, object] | None = None,
    header: dict[str, object] | None = None,
    attestation: bytes | None = None,
    recipient: RecipientKey = OURS,
) -> bytes:
    """Return what a runtime publishes for a recipient, with things turned."""
    runtime = runtime or FakeRuntime()
    answer = exchange(runtime).body
    salt, alarm = bytes(range(32)), b"ALARM"
    signed = dataclasses.replace(
        decode_receipt(answer.receipt).claims, output_commitment=output_commitment(salt, "text/plain", alarm)
    )
    signer = runtime.receipt_signer or runtime.receipt_key
    receipt = sign_receipt(dataclasses.replace(signed, **(claims or {})), key=signer)
    output = OutputBody(
        status="ok",
        code="ok",
        invocation_id=answer.invocation_id,
        content_type="text/plain",
        output=alarm,
        log=b"",
        receipt=attach_unchecked(receipt, attestation or runtime.announced),
        result_salt=salt,
        producer=bytes(16),
    )
    readable = OutputHeader(v=1, runtime_id=runtime.runtime_id, key_id=runtime.digest[:16], function="redact")
    return seal_output(
        msgspec.structs.replace(output, **(body or {})),
        header=msgspec.structs.replace(readable, **(header or {})),
        recipients=(recipient,),
        random=os.urandom,
    )


def opened(message: bytes, *, policy: Policy = POLICY, at: datetime | None = None) -> Event:
    """Open an output as our recipient."""
    return open_event_output(message, key=KEY, policy=policy, at=at)


def refused_step(message: bytes) -> str:
    """Return which step refused an output as not authentic."""
    with pytest.raises(EvidenceError) as refused:
        opened(message)
    return refused.value.step


def test_good_output_is_opened_and_verified() -> None:
    """The recipient learns what ran where, and whose event it was."""
    runtime = FakeRuntime()

    event = opened(sealed_output(runtime))

    assert (event.status, event.code, event.output) == ("ok", "ok", b"ALARM")
    assert event.producer == bytes(16)
    assert event.receipt.runtime_id == "r1"
    assert event.attestation.verdict.accepted
    assert event.invocation_id == runtime.runs[0][0]


def test_output_that_waited_is_judged_as_of_its_receipt() -> None:
    """An alarm may wait in the broker for longer than a bundle lives."""
    message = sealed_output()

    assert opened(message).output == b"ALARM"
    with pytest.raises(EvidenceError) as refused:
        opened(message, at=NOON + timedelta(hours=2))
    assert refused.value.step == "bundle validity"


def test_output_for_somebody_else_does_not_open() -> None:
    """Only the recipients that the manifest names can open it."""
    other = generate("x25519", random=os.urandom)

    with pytest.raises(ProtocolError):
        opened(sealed_output(recipient=RecipientKey(suite="x25519", public_key=other.public_key)))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("runtime_id", "r2"),
        ("function_digest", OTHER_DIGEST),
        ("engine", "wasm"),
        ("isolation", "full"),
        ("invocation_id", bytes(16)),
        ("outcome", "time_limit"),
        ("output_commitment", bytes(32)),
        ("bundle_digest", bytes(32)),
    ],
)
def test_receipt_that_says_something_else_is_refused(claim: str, value: object) -> None:
    """Anyone can seal to a public key: the receipt is what makes an output genuine."""
    assert refused_step(sealed_output(claims={claim: value})) == f"receipt.{claim}"


@pytest.mark.parametrize(("field", "value"), [("key_id", bytes(16)), ("function", "echo"), ("runtime_id", "r2")])
def test_header_that_says_something_else_is_refused(field: str, value: object) -> None:
    """A recipient sorts by the header in clear, so it has to agree."""
    assert refused_step(sealed_output(header={field: value})) == f"header.{field}"


def test_another_output_than_the_receipts_is_refused() -> None:
    """The output shown is the output committed to."""
    assert refused_step(sealed_output(body={"output": b"all is well"})) == "receipt.output_commitment"


def test_receipt_of_another_key_is_refused() -> None:
    """A stranger who seals to our public key has no receipt key of an attested bundle."""
    runtime = FakeRuntime()
    runtime.receipt_signer = Ed25519PrivateKey.generate()

    assert refused_step(sealed_output(runtime)) == "receipt.signature"


def test_receipt_beside_another_attestation_is_refused() -> None:
    """Evidence that the receipt does not name says nothing about it."""
    runtime = FakeRuntime()

    assert refused_step(sealed_output(runtime, attestation=runtime.attest(None))) == "receipt"


def test_attestation_that_is_forged_is_refused() -> None:
    """Evidence over another bundle does not speak for the receipt's key."""
    runtime, other = FakeRuntime(), FakeRuntime()
    forged = other.announced.replace(other.encoded_bundle, runtime.encoded_bundle)

    message = sealed_output(runtime, attestation=forged, claims={"evidence_digest": evidence_digest(forged)})

    assert refused_step(message) == "bound_data"


def test_receipt_without_its_attestation_is_refused() -> None:
    """Nothing speaks for its key then."""
    runtime = FakeRuntime()
    bare = sign_receipt(decode_receipt(exchange(runtime).body.receipt).claims, key=runtime.receipt_key)

    assert refused_step(sealed_output(body={"receipt": bare})) == "attestation"


def test_function_that_the_policy_does_not_list_is_refused() -> None:
    """A recipient's policy decides which functions' outputs it takes."""
    with pytest.raises(AppraisalError) as refused:
        opened(sealed_output(), policy=replace(POLICY, functions={}))

    assert refused.value.claim == "functions.redact"


def test_function_of_another_digest_is_refused() -> None:
    """Other code under the same name is another function."""
    rule = FunctionRule(digest=frozenset({OTHER_DIGEST}), isolation=frozenset({"restricted"}))

    with pytest.raises(AppraisalError) as refused:
        opened(sealed_output(), policy=replace(POLICY, functions={"redact": rule}))

    assert refused.value.claim == "functions.redact.digest"


async def test_recipient_shows_each_event_once_and_drops_forgeries() -> None:
    """Repeats have the same invocation id; what does not verify ends nothing."""
    broker, dropped = MemoryBroker(), list[Error]()
    first, second = sealed_output(), sealed_output()
    messages = [b"\x00", first, first, sealed_output(claims={"outcome": "time_limit"}), second]

    async with Recipient.connect(
        "mqtt://localhost",
        topic="alarms",
        key=KEY,
        policy=POLICY,
        transport=broker,
        on_dropped=dropped.append,
        surroundings=surroundings(),
    ) as outputs:
        for message in messages:
            broker.route(Message(topic="alarms", payload=message))
        with anyio.fail_after(5):
            shown = [await anext(outputs), await anext(outputs)]

    assert len({each.invocation_id for each in shown}) == 2
    assert [type(each) for each in dropped] == [ProtocolError, EvidenceError]


async def test_recipient_may_judge_as_of_now() -> None:
    """A recipient that acts at once need not take what is old."""
    broker, dropped = MemoryBroker(), list[Error]()

    async with Recipient.connect(
        "mqtt://localhost",
        topic="alarms",
        key=KEY,
        policy=POLICY,
        as_of="now",
        transport=broker,
        on_dropped=dropped.append,
        surroundings=surroundings(NoonClock(NOON + timedelta(hours=2))),
    ) as outputs:
        broker.route(Message(topic="alarms", payload=sealed_output()))
        with anyio.move_on_after(0.5):
            await anext(outputs)

    assert [each.step for each in dropped if isinstance(each, EvidenceError)] == ["bundle validity"]


def test_event_shows_no_contents() -> None:
    """What ends in a log holds no output."""
    event = opened(sealed_output())

    assert "ALARM" not in repr(event)
    assert PAYLOAD.decode() not in repr(event)
