"""Runtimes that are not acceptable, not fresh, or not there: nothing is sealed to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from caller_world import POLICY, SECRET, connected, invocations
from enclaved.attester.simulated_root import make_root
from enclaved.caller.outcome import NoAnswer
from enclaved.errors import AppraisalError, EvidenceError
from enclaved.mqtt.transport import Message
from enclaved.verifier.policy import Freshness, FunctionRule, Policy
from enclaved.wire.attestation import Challenge, decode_attestation, decode_challenge_request, encode_attestation
from fake_runtime import FakeRuntime, NoonClock
from memory_broker import MemoryBroker
from simulation import NOON, OTHER_DIGEST, make_device


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
    rule = FunctionRule(digest=frozenset({OTHER_DIGEST}), isolation=frozenset({"restricted"}))
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
