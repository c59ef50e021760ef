"""The whole path of an invocation, through a broker that may be hostile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import msgspec
import pytest
from enclaved.attester.simulated_root import make_root
from enclaved.caller.caller import Caller
from enclaved.caller.outcome import FunctionFailed, InvocationRefused, NoAnswer, Result
from enclaved.caller.progress import Progress, Step
from enclaved.caller.receipt_check import verify_receipt_file
from enclaved.errors import AppraisalError, ConfigurationError, EvidenceError, TransportError
from enclaved.mqtt.transport import Message
from enclaved.verifier.policy import Freshness, FunctionRule, Policy
from enclaved.wire.attestation import Challenge, decode_attestation, decode_challenge_request, encode_attestation
from enclaved.wire.bundle import FunctionEntry
from enclaved.wire.header import ResultParts, decode_result_header, join_result, split_invocation, split_result
from fake_runtime import FakeRuntime, NoonClock, surroundings
from memory_broker import MemoryBroker
from simulation import NOON, OTHER_DIGEST, make_device, make_policy

POLICY = make_policy()
UNCHALLENGED = replace(POLICY, freshness=Freshness(challenge=False, max_age=timedelta(hours=1)))
SECRET = b"call me on 555-0100"


@asynccontextmanager
async def connected(
    broker: MemoryBroker, policy: Policy = POLICY, *, clock: NoonClock | None = None, **options: object
) -> AsyncIterator[Caller]:
    """Return a caller that is connected to a broker in memory."""
    async with Caller.connect(
        "mqtt://localhost",
        namespace="demo",
        policy=policy,
        transport=broker,
        surroundings=surroundings(clock),
        **options,
    ) as caller:
        yield caller


def invocations(broker: MemoryBroker) -> list[Message]:
    """Return the invocations that were published."""
    return [message for message in broker.published if message.topic.endswith(("/invoke", "trigger/one"))]


def is_answer(message: Message) -> bool:
    """Tell whether a message is a result on the way to a caller."""
    return "/reply/" in message.topic and message.payload[:1] == b"\x93"


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


async def test_nobody_announced_is_no_answer() -> None:
    """Without a runtime nothing is sealed."""
    broker = MemoryBroker()

    async with connected(broker) as caller:
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.2)

    assert silent.value.waited_for == "runtime"
    assert silent.value.invocation_id is None


async def test_unanswered_challenge_seals_nothing() -> None:
    """Without proof of freshness there is nothing to seal to."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).answers_challenges = False

    async with connected(broker) as caller:
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.5)

    assert silent.value.waited_for == "challenge"
    assert not invocations(broker)


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


async def test_candidate_that_does_not_answer_its_challenge_is_passed_over() -> None:
    """A stale announcement of a runtime that is gone does not stop a caller that names none."""
    broker = MemoryBroker()
    FakeRuntime(runtime_id="r1").join(broker).answers_challenges = False
    alive = FakeRuntime(runtime_id="r2").join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=10)

    assert len(alive.runs) == 1


def _expired() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(), POLICY, NoonClock(NOON + timedelta(minutes=61))


def _too_old() -> tuple[FakeRuntime, Policy, NoonClock]:
    young = replace(POLICY, freshness=Freshness(challenge=True, max_age=timedelta(minutes=10)))
    return FakeRuntime(), young, NoonClock(NOON + timedelta(minutes=11))


def _other_digest() -> tuple[FakeRuntime, Policy, NoonClock]:
    rule = FunctionRule(digest=frozenset({OTHER_DIGEST}), isolation=frozenset({"process"}))
    return FakeRuntime(), replace(POLICY, functions={"redact": rule}), NoonClock()


def _other_isolation() -> tuple[FakeRuntime, Policy, NoonClock]:
    rule = replace(POLICY.functions["redact"], isolation=frozenset({"full"}))
    return FakeRuntime(), replace(POLICY, functions={"redact": rule}), NoonClock()


def _unlisted_function() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(), replace(POLICY, functions={}), NoonClock()


def _no_section() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(), replace(POLICY, formats={}), NoonClock()


def _unknown_root() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(device=make_device(root=make_root(host_time=NOON))), POLICY, NoonClock()


def _debuggable() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(device=make_device(debug=True)), POLICY, NoonClock()


def _other_suite() -> tuple[FakeRuntime, Policy, NoonClock]:
    return FakeRuntime(), replace(POLICY, suites=("mlkem768-x25519",)), NoonClock()


def _other_binding() -> tuple[FakeRuntime, Policy, NoonClock]:
    runtime, other = FakeRuntime(), FakeRuntime()
    runtime.announced = other.announced.replace(other.encoded_bundle, runtime.encoded_bundle)
    return runtime, POLICY, NoonClock()


def _other_name() -> tuple[FakeRuntime, Policy, NoonClock]:
    runtime = FakeRuntime(runtime_id="r1")
    runtime.announced = FakeRuntime(runtime_id="r2").announced
    return runtime, POLICY, NoonClock()


@pytest.mark.parametrize(
    ("turn", "kind", "claim"),
    [
        (_expired, EvidenceError, "bundle validity"),
        (_too_old, AppraisalError, "freshness.max_age"),
        (_other_digest, AppraisalError, "functions.redact.digest"),
        (_other_isolation, AppraisalError, "functions.redact.isolation"),
        (_unlisted_function, AppraisalError, "functions.redact"),
        (_no_section, AppraisalError, "format"),
        (_unknown_root, AppraisalError, "root"),
        (_debuggable, AppraisalError, "debug"),
        (_other_suite, AppraisalError, "suites"),
        (_other_binding, EvidenceError, "bound_data"),
        (_other_name, EvidenceError, "runtime_id"),
    ],
)
async def test_runtime_that_is_not_acceptable_gets_nothing_sealed(
    turn: Callable[[], tuple[FakeRuntime, Policy, NoonClock]],
    kind: type[EvidenceError | AppraisalError],
    claim: str,
) -> None:
    """One thing turned in what is announced: the claim is named, and nothing leaves the caller."""
    broker = MemoryBroker()
    runtime, policy, clock = turn()
    runtime.join(broker)

    async with connected(broker, policy, clock=clock) as caller:
        with pytest.raises(kind) as refused:
            await caller.invoke("redact", SECRET, timeout=5, runtime="r1")

    error = refused.value
    assert (error.claim if isinstance(error, AppraisalError) else error.step) == claim
    assert not invocations(broker)


async def test_evidence_over_another_nonce_gets_nothing_sealed() -> None:
    """A broker repeats our nonce round evidence that was made over another: it proves no freshness to us."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).turned_nonce = bytes(32)

    def repeat_ours(message: Message) -> tuple[Message, ...]:
        if "/reply/" not in message.topic:
            return (message,)
        request = next(each for each in broker.published if each.topic.endswith("/challenge"))
        ours = Challenge(nonce=decode_challenge_request(request.payload).nonce, path=())
        turned = msgspec.structs.replace(decode_attestation(message.payload), challenge=ours)
        return (replace(message, payload=encode_attestation(turned)),)

    broker.intercept = repeat_ours
    async with connected(broker) as caller:
        with pytest.raises(EvidenceError) as refused:
            await caller.invoke("redact", SECRET, timeout=0.4)

    assert refused.value.step == "bound_data"
    assert not invocations(broker)


async def test_fresh_evidence_for_another_bundle_gets_nothing_sealed() -> None:
    """Another runtime that answers our nonce in time does not vouch for the key that was announced."""
    broker = MemoryBroker()
    runtime, other = FakeRuntime().join(broker), FakeRuntime()

    def answer_with_other(message: Message) -> tuple[Message, ...]:
        if "/reply/" not in message.topic:
            return (message,)
        challenge = decode_attestation(message.payload).challenge
        return (replace(message, payload=other.attest(challenge.nonce)),)

    broker.intercept = answer_with_other
    async with connected(broker) as caller:
        with pytest.raises(EvidenceError) as refused:
            await caller.invoke("redact", SECRET, timeout=0.4)

    assert refused.value.step == "bundle"
    assert not runtime.sessions


async def test_forged_answers_to_a_challenge_do_not_end_the_wait() -> None:
    """The broker reads the nonce and can answer first; the runtime's own answer still counts."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)
    forger = FakeRuntime(device=make_device(debug=True))

    def answer_first(message: Message) -> tuple[Message, ...]:
        if not message.topic.endswith("/challenge"):
            return (message,)
        request = decode_challenge_request(message.payload)
        broker.route(Message(topic=request.response_topic, payload=forger.attest(request.nonce)))
        return (message,)

    broker.intercept = answer_first
    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=10)

    assert result.output == SECRET.upper()


async def test_bundle_is_looked_at_again_when_time_has_passed() -> None:
    """A bundle that was verified is not sealed to after it has expired."""
    broker, clock = MemoryBroker(), NoonClock()
    FakeRuntime().join(broker)

    async with connected(broker, clock=clock) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        clock.at = NOON + timedelta(minutes=61)
        with pytest.raises(EvidenceError) as refused:
            await caller.invoke("redact", SECRET, timeout=5)

    assert refused.value.step == "bundle validity"
    assert len(invocations(broker)) == 1


async def test_runtime_that_takes_its_announcement_back_is_gone() -> None:
    """An empty retained message is the end of an announcement."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        runtime.announce(b"")
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.2)

    assert silent.value.waited_for == "runtime"


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


async def test_restarted_runtime_that_the_policy_refuses_gets_nothing() -> None:
    """A hint that the key is gone never makes the caller accept less."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        held: list[Message] = []

        def hold(message: Message) -> tuple[Message, ...]:
            if not held and message.topic.endswith("/invoke"):
                held.append(message)
                runtime.device = make_device(debug=True)
                runtime.restart()
                runtime.announce()
            return (message,)

        broker.intercept = hold
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.5)

    assert isinstance(silent.value.__cause__, AppraisalError)
    assert silent.value.__cause__.claim == "debug"
    assert not runtime.sessions


async def test_second_result_is_ignored() -> None:
    """A replayed result answers nothing any more, and disturbs nothing."""
    broker, steps = MemoryBroker(), list[Progress]()
    FakeRuntime().join(broker)
    broker.intercept = lambda message: (message, message) if is_answer(message) else (message,)

    async with connected(broker, observer=steps.append) as caller:
        results = [await caller.invoke("redact", SECRET, timeout=5) for _ in range(3)]

    assert [each.step for each in steps].count(Step.DROPPED) >= 2
    assert len({each.invocation_id for each in results}) == 3


async def test_swapped_result_is_dropped() -> None:
    """A genuine answer to another request opens for that request alone."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    genuine: list[Message] = []

    def swap(message: Message) -> tuple[Message, ...]:
        if not is_answer(message):
            return (message,)
        genuine.append(message)
        if len(genuine) == 1:
            return (message,)
        # The first answer's sealed part, under the header of the second.
        first, second = split_result(genuine[0].payload), split_result(message.payload)
        return (replace(message, payload=_join(second.header, first.ciphertext)),)

    broker.intercept = swap
    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", b"another", timeout=0.3)

    assert silent.value.dropped >= 1
    assert len(runtime.runs) == 2


@pytest.mark.parametrize("field", ["key_id", "salt", "sequence"])
async def test_tampered_result_header_is_dropped(field: str) -> None:
    """The header is authenticated with the sealed part, and names bundle and request."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    def turn(message: Message) -> tuple[Message, ...]:
        if not is_answer(message):
            return (message,)
        parts = split_result(message.payload)
        header = decode_result_header(parts.header)
        old = getattr(header, field)
        if isinstance(old, int):
            turned = parts.header.replace(b"sequence\x00", b"sequence\x01")
        else:
            turned = parts.header.replace(old, old[:-1] + bytes([old[-1] ^ 1]))
        assert turned != parts.header
        return (replace(message, payload=_join(turned, parts.ciphertext)),)

    broker.intercept = turn
    async with connected(broker) as caller:
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=0.3)

    assert silent.value.dropped == 1


async def test_forged_results_do_not_end_the_wait() -> None:
    """A thousand forgeries before the genuine answer cost time only."""
    broker, steps = MemoryBroker(), list[Progress]()
    FakeRuntime().join(broker)

    def flood(message: Message) -> tuple[Message, ...]:
        if not is_answer(message):
            return (message,)
        parts = split_result(message.payload)
        forged = replace(message, payload=_join(parts.header, bytes(len(parts.ciphertext))))
        return (*(forged for _ in range(1000)), replace(message, payload=b"\x00"), message)

    broker.intercept = flood
    async with connected(broker, observer=steps.append) as caller:
        result = await caller.invoke("redact", SECRET, timeout=10)

    assert result.output == SECRET.upper()
    assert [each.step for each in steps].count(Step.DROPPED) == 1001


async def test_oversized_payload_is_refused_before_anything_is_sealed() -> None:
    """A payload over the wire's limit is a mistake of the caller's, said at once."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker) as caller:
        with pytest.raises(ConfigurationError, match="payload"):
            await caller.invoke("redact", bytes((1 << 20) + 1), timeout=5)

    assert not invocations(broker)


async def test_payload_over_the_functions_limit_is_refused_before_anything_is_sealed() -> None:
    """The verified bundle says what the function takes."""
    broker = MemoryBroker()
    runtime = FakeRuntime()
    entry = runtime.bundle.functions[0]
    runtime.turned_bundle["functions"] = (_limited(entry, input_bytes=16),)
    runtime.restart()
    runtime.join(broker)

    async with connected(broker) as caller:
        with pytest.raises(ConfigurationError, match="16"):
            await caller.invoke("redact", bytes(17), timeout=5)

    assert not invocations(broker)


@pytest.mark.parametrize(
    "turned",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"content_type": "ü"},
        {"content_type": "x" * 129},
        {"topic": "a/#"},
    ],
)
async def test_wrong_argument_is_named(turned: dict[str, object]) -> None:
    """What a person writes wrong is said before anything is looked for."""
    broker = MemoryBroker()

    async with connected(broker) as caller:
        with pytest.raises(ConfigurationError):
            await caller.invoke("redact", SECRET, **turned)


async def test_policy_of_another_namespace_is_a_mistake() -> None:
    """A policy speaks of the runtimes of its own namespace."""
    with pytest.raises(ConfigurationError, match="namespace"):
        async with Caller.connect("mqtt://localhost", namespace="other", policy=POLICY, transport=MemoryBroker()):
            raise AssertionError("connected")


async def test_broker_that_refuses_is_named_with_its_reason() -> None:
    """A refusal of the broker's ends the invocation: sending on would be of no use."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker, UNCHALLENGED) as caller:
        broker.refusing = TransportError("not authorised", reason_code=0x87)
        with pytest.raises(TransportError) as refused:
            await caller.invoke("redact", SECRET, timeout=5)

    assert refused.value.reason_code == 0x87


async def test_exception_of_the_body_leaves_as_it_is() -> None:
    """People catch what they raised, not a group round it."""
    with pytest.raises(LookupError):
        async with connected(MemoryBroker()):
            raise LookupError


async def test_concurrent_invocations_each_get_their_own_answer() -> None:
    """Answers are matched by session and sequence, in whatever order they come."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    outputs: dict[int, bytes] = {}

    async with connected(broker, in_flight=8) as caller, anyio.create_task_group() as tasks:

        async def invoke(number: int) -> None:
            result = await caller.invoke("redact", b"number %d" % number, timeout=20)
            outputs[number] = result.output

        for number in range(100):
            tasks.start_soon(invoke, number)

    assert outputs == {number: b"NUMBER %d" % number for number in range(100)}
    assert len({header.sequence for header, _ in runtime.requests}) == 100


async def test_full_caller_waits_within_the_timeout() -> None:
    """What is under way is bounded, and waiting for a place takes of the invocation's own time."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).ignored = 1000

    async with connected(broker, in_flight=1) as caller, anyio.create_task_group() as tasks:
        tasks.start_soon(_expect_no_answer, caller, 1.0)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(NoAnswer) as full:
            await caller.invoke("redact", SECRET, timeout=0.2)

    assert full.value.waited_for == "slot"


async def test_cancelled_invocation_leaves_nothing() -> None:
    """After a cancellation nothing waits, and the next invocation says that the answer is not wanted."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    runtime.ignored = 1

    async with connected(broker) as caller:
        with anyio.move_on_after(0.5):
            await caller.invoke("redact", SECRET, timeout=20)
        assert len(caller._desk.replies) == 0
        await caller.invoke("redact", SECRET, timeout=5)

    assert [(header.sequence, header.verified_below) for header, _ in runtime.requests] == [(1, 1)]


async def test_leaving_ends_every_task_and_connection() -> None:
    """After the context nothing of the caller runs, whatever was under way."""
    broker = MemoryBroker()
    FakeRuntime().join(broker).ignored = 1000
    before = asyncio.all_tasks()

    async with anyio.create_task_group() as tasks, connected(broker) as caller:
        await caller.runtimes()
        tasks.start_soon(_expect_closed, caller)
        await anyio.wait_all_tasks_blocked()
        assert invocations(broker)

    assert broker.connected == 0
    assert asyncio.all_tasks() == before
    with pytest.raises(TransportError, match="closed"):
        await caller.invoke("redact", SECRET)


async def test_runtimes_are_listed_with_the_policys_verdict() -> None:
    """A person sees who is there, and why one is not accepted."""
    broker = MemoryBroker()
    FakeRuntime(runtime_id="good").join(broker)
    FakeRuntime(runtime_id="bad", device=make_device(debug=True)).join(broker)

    async with connected(broker) as caller:
        good, bad = sorted(await caller.runtimes(), key=lambda each: each.runtime_id == "bad")

    assert good.verified is not None
    assert good.verified.verdict.accepted
    assert isinstance(bad.refusal, AppraisalError)


async def test_progress_is_told_step_by_step() -> None:
    """A display can follow an invocation from discovery to its answer."""
    broker, steps = MemoryBroker(), list[Progress]()
    FakeRuntime().join(broker)

    async with connected(broker, observer=steps.append) as caller:
        await caller.invoke("redact", SECRET, timeout=5)

    assert [each.step for each in steps] == [
        Step.CONNECTING,
        Step.DISCOVERING,
        Step.CHALLENGED,
        Step.VERIFIED,
        Step.SEALED,
        Step.SENT,
        Step.WAITING,
        Step.ANSWERED,
    ]


async def _expect_no_answer(caller: Caller, timeout: float) -> None:
    with pytest.raises(NoAnswer):
        await caller.invoke("redact", SECRET, timeout=timeout)


async def _expect_closed(caller: Caller) -> None:
    with pytest.raises(TransportError, match="closed"):
        await caller.invoke("redact", SECRET, timeout=30)


def _join(header: bytes, ciphertext: bytes) -> bytes:
    return join_result(ResultParts(header=header, ciphertext=ciphertext, attestation=None))


def _limited(entry: FunctionEntry, *, input_bytes: int) -> FunctionEntry:
    limits = msgspec.structs.replace(entry.limits, input_bytes=input_bytes)
    return msgspec.structs.replace(entry, limits=limits)
