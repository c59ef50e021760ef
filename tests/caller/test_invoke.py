"""The whole path of an invocation, through a broker that may be hostile."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from caller_world import POLICY, SECRET, connected, invocations
from enclaved.caller.outcome import FunctionFailed, InvocationRefused, NoAnswer, Result
from enclaved.caller.receipt_check import verify_receipt_file
from enclaved.mqtt.transport import Message
from enclaved.wire.header import split_invocation
from fake_runtime import FakeRuntime
from memory_broker import MemoryBroker
from simulation import NOON, make_device


async def test_invocation_returns_the_verified_output() -> None:
    """The main path: verified, sealed, run, and every claim of the receipt checked."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5, content_type="text/plain")

    assert result.output == SECRET.upper()
    assert (result.status, result.code, result.content_type, result.log) == ("ok", "ok", "text/plain", b"printed\n")
    assert result.receipt.runtime_id == "r1"
    assert result.attestation.verdict.accepted
    assert result.attempts == 1
    assert not result.acknowledged
    assert runtime.challenges == 1
    assert runtime.runs == [(result.invocation_id, SECRET)]


async def test_default_suite_is_used_where_the_bundle_has_it() -> None:
    """The first of the policy's suites that the bundle has: post-quantum by default."""
    broker = MemoryBroker()
    FakeRuntime(suite="mlkem768-x25519").join(broker)

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert result.output == SECRET.upper()


async def test_broker_sees_neither_payload_nor_output() -> None:
    """What passes the broker is sealed in both directions."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5, evidence="full")

    assert not any(SECRET in each.payload or SECRET.upper() in each.payload for each in broker.published)


async def test_receipt_file_verifies_without_the_caller() -> None:
    """The receipt and the attestation that it names are enough for anybody, offline."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert verify_receipt_file(result.receipt_file(), POLICY).verdict.accepted


async def test_offer_rides_until_the_first_verified_answer() -> None:
    """A session's later messages cost the enclave no public-key operation."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker) as caller:
        for _ in range(3):
            await caller.invoke("redact", SECRET, timeout=5)

    offers = [split_invocation(message.payload).offer is not None for message in invocations(broker)]
    assert offers == [True, False, False]


async def test_verified_below_rises_with_verified_answers() -> None:
    """The enclave may drop answers that the caller has verified."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        for _ in range(3):
            await caller.invoke("redact", SECRET, timeout=5)

    assert [(header.sequence, header.verified_below) for header, _ in runtime.requests] == [(0, 0), (1, 1), (2, 2)]


async def test_bundle_is_challenged_once() -> None:
    """Hardware signs for each caller and bundle once, however many invocations there are."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(caller.invoke, "redact", SECRET)

    assert runtime.challenges == 1


async def test_correlation_data_names_session_and_sequence() -> None:
    """Session id and sequence, as version 1 defines it; expiry and reply topic for the broker."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)

    message, (header, _) = invocations(broker)[0], runtime.requests[0]
    assert message.correlation_data == header.session_id + bytes(8)
    assert message.response_topic == header.response_topic
    assert message.expiry_s in (5, 6)


async def test_header_expires_with_the_timeout_and_within_an_hour() -> None:
    """Expired work is not started, and no deadline lies further ahead than the protocol allows."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        await caller.invoke("redact", SECRET, timeout=7200)

    now_ms = int((NOON + timedelta(minutes=1)).timestamp() * 1000)
    assert [header.expires_at - now_ms for header, _ in runtime.requests] == [5_000, 3_600_000]


async def test_trigger_topic_takes_the_place_of_the_functions_own() -> None:
    """An event goes to the topic that its producers share; the header still names the runtime."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5, topic="trigger/one")

    assert invocations(broker)[0].topic == "trigger/one"


async def test_acknowledgement_has_a_receipt_and_no_output() -> None:
    """The output of an event function goes to its recipients; the producer learns that it ran."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    runtime.turned_body = {"output": b"", "content_type": "", "log": b"", "result_salt": None}

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert result.acknowledged
    assert result.output == b""
    assert result.receipt.function == "redact"


async def test_failure_is_raised_with_the_functions_own_words() -> None:
    """That a function failed is sealed and receipted like a result."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    runtime.turned_body = {"status": "failed", "code": "time_limit"}
    runtime.turned_claims = {"outcome": "time_limit"}

    async with connected(broker) as caller:
        with pytest.raises(FunctionFailed) as failed:
            await caller.invoke("redact", SECRET, timeout=5)

    assert failed.value.code == "time_limit"
    assert failed.value.error_text == SECRET.upper().decode()
    assert failed.value.log == b"printed\n"
    assert failed.value.receipt.outcome == "time_limit"
    assert SECRET.upper().decode() not in str(failed.value)


@pytest.mark.parametrize("code", ["expired", "overloaded", "caller_refused", "function_unknown"])
async def test_refusal_is_raised(code: str) -> None:
    """What the enclave refused to start is told by its code."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).refusals = [code]

    async with connected(broker) as caller:
        with pytest.raises(InvocationRefused) as refused:
            await caller.invoke("redact", SECRET, timeout=5)

    assert refused.value.code == code


@pytest.mark.parametrize("code", ["answer_gone", "replayed"])
async def test_lost_answer_is_asked_for_anew_under_the_same_invocation_id(code: str) -> None:
    """The enclave has no answer to give any more: sealed anew, recognisable as the same invocation."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    runtime.refusals = [code]

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert [header.sequence for header, _ in runtime.requests] == [0, 1]
    assert runtime.runs == [(result.invocation_id, SECRET)]


async def test_sealing_anew_for_lost_answers_ends() -> None:
    """A runtime that never has an answer is believed in the end."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    runtime.refusals = ["answer_gone"] * 100

    async with connected(broker) as caller:
        with pytest.raises(InvocationRefused) as refused:
            await caller.invoke("redact", SECRET, timeout=5)

    assert refused.value.code == "answer_gone"
    assert len(runtime.requests) == 5


async def test_silence_is_no_answer_within_the_timeout() -> None:
    """A broker that drops everything ends the wait at the timeout, not later."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).ignored = 1000

    async with connected(broker) as caller:
        start = anyio.current_time()
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.3)
        assert anyio.current_time() - start < 1

    assert silent.value.waited_for == "answer"
    assert silent.value.attempts == 1
    assert silent.value.invocation_id is not None


async def test_unanswered_invocation_is_resent_byte_for_byte() -> None:
    """A lost message or answer costs time only; what is resent is what was sealed."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).ignored = 1

    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=10)

    first, second = invocations(broker)
    assert first.payload == second.payload
    assert result.attempts == 2


async def test_runtime_that_comes_later_is_found() -> None:
    """A caller may start before the runtime."""
    broker = MemoryBroker()

    async with connected(broker) as caller, anyio.create_task_group() as tasks:
        results: list[Result] = []

        async def invoke() -> None:
            results.append(await caller.invoke("redact", SECRET, timeout=5))

        tasks.start_soon(invoke)
        await anyio.wait_all_tasks_blocked()
        FakeRuntime().join(broker)

    assert results[0].output == SECRET.upper()


async def test_named_runtime_is_the_one_that_runs() -> None:
    """Two runtimes share a namespace; the one that is named runs it, and no other."""
    broker = MemoryBroker()
    one, two = FakeRuntime(runtime_id="r1").join(broker), FakeRuntime(runtime_id="r2").join(broker)

    async with connected(broker) as caller:
        for _ in range(4):
            await caller.invoke("redact", SECRET, timeout=5, runtime="r2", topic="trigger/one")

    assert (len(one.runs), len(two.runs)) == (0, 4)


async def test_any_acceptable_runtime_may_be_chosen() -> None:
    """Without a name each is chosen at some time, and one that the policy refuses never."""
    broker = MemoryBroker()
    one, two = FakeRuntime(runtime_id="r1").join(broker), FakeRuntime(runtime_id="r2").join(broker)
    refused = FakeRuntime(runtime_id="r3", device=make_device(debug=True)).join(broker)

    async with connected(broker) as caller:
        for _ in range(40):
            await caller.invoke("redact", SECRET, timeout=5)

    assert one.runs
    assert two.runs
    assert not refused.requests


async def test_restarted_runtime_is_verified_and_sealed_to_anew() -> None:
    """A new key is verified before it is used, and the invocation keeps its id."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        held: list[Message] = []

        def hold(message: Message) -> tuple[Message, ...]:
            if not held and message.topic.endswith("/invoke"):
                held.append(message)
                runtime.restart()  # between the sealing and its arrival
                runtime.announce()
            return (message,)

        broker.intercept = hold
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert result.output == SECRET.upper()
    assert runtime.runs[-1] == (result.invocation_id, SECRET)
    assert result.receipt.bundle_digest == runtime.digest
    assert runtime.challenges == 2
