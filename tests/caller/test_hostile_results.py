"""Results that a broker repeats, swaps, turns or forges: dropped, and the wait goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from caller_world import SECRET, connected, is_answer
from enclaved.caller.outcome import NoAnswer
from enclaved.caller.progress import Progress, Step
from enclaved.mqtt.transport import Message
from enclaved.wire.header import ResultParts, decode_result_header, join_result, split_result
from fake_runtime import FakeRuntime
from memory_broker import MemoryBroker


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


def _join(header: bytes, ciphertext: bytes) -> bytes:
    return join_result(ResultParts(header=header, ciphertext=ciphertext, attestation=None))
