"""Forged hints: they cost a bounded amount of work, and never a nonce, the policy or the wait."""

from __future__ import annotations

from collections import defaultdict
from typing import get_args

import anyio
import pytest
from caller_world import SECRET, connected, invocations, is_answer
from enclaved.caller.outcome import NoAnswer
from enclaved.caller.reactions import MAX_REACTIONS, Reaction, Reactions, resend_delay
from enclaved.mqtt.transport import Message
from enclaved.wire.header import decode_invocation_header, split_invocation
from enclaved.wire.hint import Hint, HintCode, encode_hint
from fake_runtime import FakeRuntime
from memory_broker import MemoryBroker

CODES: tuple[HintCode, ...] = get_args(HintCode)


def texts_by_nonce(broker: MemoryBroker) -> dict[tuple[bytes, int], set[tuple[bytes, bytes]]]:
    """Return what was sealed under each (key, nonce): a session has one key, a sequence is the nonce."""
    texts = defaultdict(set)
    for message in invocations(broker):
        parts = split_invocation(message.payload)
        header = decode_invocation_header(parts.header)
        texts[header.session_id, header.sequence].add((parts.header, parts.ciphertext))
    return texts


def forge(codes: tuple[HintCode, ...], message: Message) -> list[Message]:
    """Return forged hints at an invocation."""
    header = decode_invocation_header(split_invocation(message.payload).header)
    return [
        Message(
            topic=header.response_topic,
            payload=encode_hint(Hint(v=1, hint=code, session_id=header.session_id, sequence=header.sequence)),
        )
        for code in codes
    ]


@pytest.mark.parametrize("codes", [(code,) for code in CODES] + [CODES])
async def test_thousand_forged_hints_never_use_a_nonce_twice(codes: tuple[HintCode, ...]) -> None:
    """Every (key, nonce) seals one text; the work is bounded, and the wait ends at the timeout."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    def hint_only(message: Message) -> list[Message]:
        return forge(codes * (1000 // len(codes) + 1), message) if message.topic.endswith("/invoke") else [message]

    broker.intercept = hint_only
    async with connected(broker) as caller:
        with pytest.raises(NoAnswer) as silent:
            await caller.invoke("redact", SECRET, timeout=2.5)

    texts = texts_by_nonce(broker)
    assert all(len(each) == 1 for each in texts.values())
    assert len(texts) <= 1 + MAX_REACTIONS
    assert len(invocations(broker)) <= 1 + MAX_REACTIONS + 2
    assert runtime.challenges == 1
    assert set(silent.value.hints) <= set(codes)


@pytest.mark.parametrize("code", CODES)
async def test_answer_is_taken_between_forged_hints(code: HintCode) -> None:
    """Hints before and after the genuine answer delay it at most."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    def hint_too(message: Message) -> list[Message]:
        if message.topic.endswith("/invoke"):
            return [*forge((code,) * 20, message), message, *forge((code,) * 20, message)]
        return [message]

    broker.intercept = hint_too
    async with connected(broker) as caller:
        results = [await caller.invoke("redact", b"%d" % number, timeout=5) for number in range(5)]

    assert [each.output for each in results] == [b"%d" % number for number in range(5)]
    assert all(len(each) == 1 for each in texts_by_nonce(broker).values())
    assert len({header.session_id for header, _ in runtime.requests}) <= 5


async def test_concurrent_invocations_survive_a_flood_of_hints() -> None:
    """Hints at everything that is under way open a few sessions, not one for each."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)
    seen: dict[bytes, int] = defaultdict(int)

    def hint_first(message: Message) -> list[Message]:
        if not message.topic.endswith("/invoke"):
            return [message]
        seen[message.payload[-64:]] += 1
        return forge(CODES, message) if seen[message.payload[-64:]] == 1 else [message]

    broker.intercept = hint_first
    outputs = []
    async with connected(broker) as caller, anyio.create_task_group() as tasks:

        async def invoke(number: int) -> None:
            outputs.append((await caller.invoke("redact", b"n%d" % number, timeout=20)).output)

        for number in range(30):
            tasks.start_soon(invoke, number)

    texts = texts_by_nonce(broker)
    assert sorted(outputs) == sorted(b"N%d" % number for number in range(30))
    assert all(len(each) == 1 for each in texts.values())
    assert len({session for session, _ in texts}) < 30


async def test_unknown_session_is_offered_again_with_the_same_bytes() -> None:
    """An enclave that evicted the session before the offer came gets the offer, and nothing else changes."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        runtime.sessions.clear()
        await caller.invoke("redact", SECRET, timeout=5)

    _, bare, offered = (split_invocation(message.payload) for message in invocations(broker))
    assert (bare.header, bare.ciphertext) == (offered.header, offered.ciphertext)
    assert (bare.offer, offered.offer) != (None, None)
    assert bare.offer is None


async def test_session_that_stays_unknown_is_replaced() -> None:
    """A known or evicted offer never starts a new window: then another session is opened, the id kept."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        first = await caller.invoke("redact", SECRET, timeout=5)
        evicted = next(iter(runtime.sessions))
        await anyio.sleep(0.11)  # a younger session would not be replaced yet

        def refuse_evicted(message: Message) -> list[Message]:
            if message.topic.endswith("/invoke") and evicted in message.payload:
                return forge(("session_unknown",), message)
            return [message]

        broker.intercept = refuse_evicted
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert runtime.requests[-1][0].session_id != evicted
    assert runtime.runs == [(first.invocation_id, SECRET), (result.invocation_id, SECRET)]


async def test_answer_to_an_earlier_sealing_still_counts() -> None:
    """A forged hint made us seal anew; the first sealing's genuine answer is as good."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        await anyio.sleep(0.11)
        held: list[Message] = []

        def hold(message: Message) -> list[Message]:
            if is_answer(message):
                held.append(message)
                return []
            if not message.topic.endswith("/invoke"):
                return [message]
            header = decode_invocation_header(split_invocation(message.payload).header)
            if (header.sequence, len(held)) == (0, 1):  # the new session's first: now the old answer comes
                return held
            return [message, *forge(("session_unknown",), message)] if not held else forge(("malformed",), message)

        broker.intercept = hold
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert result.receipt.sequence == 1
    assert runtime.runs[-1][0] == result.invocation_id


async def test_hint_without_a_name_is_matched_by_correlation_data() -> None:
    """Where the header could not be read, MQTT's correlation data is all there is; it proves nothing either."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)
    damaged: list[Message] = []

    def damage(message: Message) -> list[Message]:
        if damaged or not message.topic.endswith("/invoke"):
            return [message]
        damaged.append(message)
        hint = encode_hint(Hint(v=1, hint="malformed", session_id=None, sequence=None))
        return [Message(topic=message.response_topic, payload=hint, correlation_data=message.correlation_data)]

    broker.intercept = damage
    async with connected(broker) as caller:
        result = await caller.invoke("redact", SECRET, timeout=5)

    assert result.attempts == 2
    assert len(runtime.runs) == 1
    assert result.round_trip_ms < 900  # the hint was heard: no resend by the clock


async def test_key_that_is_doubted_is_looked_at_again_with_each_resend() -> None:
    """A runtime that announces its new key late is found after the budget for hints is spent."""
    broker = MemoryBroker()
    runtime = FakeRuntime().join(broker)

    async with connected(broker) as caller:
        await caller.invoke("redact", SECRET, timeout=5)
        runtime.restart()
        sent: list[Message] = []

        def announce_late(message: Message) -> list[Message]:
            if message.topic.endswith("/invoke"):
                sent.append(message)
                if len(sent) == 1 + MAX_REACTIONS:
                    runtime.announce()
            return [message]

        broker.intercept = announce_late
        result = await caller.invoke("redact", SECRET, timeout=10)

    assert result.receipt.bundle_digest == runtime.digest


def test_reactions_are_a_closed_budget() -> None:
    """Beyond a few, hints are not listened to."""
    reactions = Reactions()

    planned = [reactions.to("session_unknown") for _ in range(1000)]

    assert [each.reaction for each in planned if each] == [
        Reaction.RESEND,
        Reaction.NEW_SESSION,
        Reaction.RESEND,
        Reaction.NEW_SESSION,
    ]


def test_reactions_come_further_and_further_apart() -> None:
    """The first is at once; a flood is not answered at its own pace."""
    reactions = Reactions()

    delays = [reactions.to("key_unknown").delay_s for _ in range(MAX_REACTIONS)]

    assert delays == sorted(set(delays))
    assert delays[0] == 0


def test_hints_are_told_once_each() -> None:
    """What the exception names is bounded as well."""
    reactions = Reactions()
    for code in CODES * 100:
        reactions.to(code)

    assert reactions.codes == CODES
    assert reactions.key_doubted


def test_resends_double_up_to_half_a_minute() -> None:
    """A broker that is down is not hammered by all its callers."""
    assert [resend_delay(count) for count in range(4)] == [1, 2, 4, 8]
    assert resend_delay(10_000) == 30
