"""One caller's life: what is under way is bounded, and nothing is left behind."""

from __future__ import annotations

import asyncio

import anyio
import msgspec
import pytest
from caller_world import POLICY, SECRET, UNCHALLENGED, connected, invocations
from enclaved.caller.caller import Caller
from enclaved.caller.outcome import NoAnswer
from enclaved.caller.progress import Progress, Step
from enclaved.errors import ConfigurationError, TransportError
from enclaved.wire.bundle import FunctionEntry
from fake_runtime import FakeRuntime
from memory_broker import MemoryBroker


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


async def test_exception_of_the_body_leaves_as_it_is() -> None:
    """People catch what they raised, not a group round it."""
    with pytest.raises(LookupError):
        async with connected(MemoryBroker()):
            raise LookupError


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


async def test_broker_that_refuses_is_named_with_its_reason() -> None:
    """A refusal of the broker's ends the invocation: sending on would be of no use."""
    broker = MemoryBroker()
    FakeRuntime().join(broker)

    async with connected(broker, UNCHALLENGED) as caller:
        broker.refusing = TransportError("not authorised", reason_code=0x87)
        with pytest.raises(TransportError) as refused:
            await caller.invoke("redact", SECRET, timeout=5)

    assert refused.value.reason_code == 0x87


async def test_policy_of_another_namespace_is_a_mistake() -> None:
    """A policy speaks of the runtimes of its own namespace."""
    with pytest.raises(ConfigurationError, match="namespace"):
        async with Caller.connect("mqtt://localhost", namespace="other", policy=POLICY, transport=MemoryBroker()):
            raise AssertionError("connected")


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


def _limited(entry: FunctionEntry, *, input_bytes: int) -> FunctionEntry:
    limits = msgspec.structs.replace(entry.limits, input_bytes=input_bytes)
    return msgspec.structs.replace(entry, limits=limits)


async def _expect_no_answer(caller: Caller, timeout: float) -> None:
    with pytest.raises(NoAnswer):
        await caller.invoke("redact", SECRET, timeout=timeout)


async def _expect_closed(caller: Caller) -> None:
    with pytest.raises(TransportError, match="closed"):
        await caller.invoke("redact", SECRET, timeout=30)
