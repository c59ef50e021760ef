"""What the gateway's tests share: names, messages, and a gateway between a broker and an enclave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from enclaved.gateway.address import UnixAddress
from enclaved.gateway.counters import Counter
from enclaved.gateway.events import GatewayEvent, Serving, Stopped
from enclaved.gateway.gateway import Gateway
from enclaved.gateway.link import LinkDeadlines
from enclaved.gateway.options import GatewayOptions
from enclaved.gateway.pauses import Pacing
from enclaved.gateway.stream import connect
from enclaved.mqtt.transport import Message, parse_broker_url
from enclaved.wire.codec import encode
from enclaved.wire.frames import Announce, Lane
from enclaved.wire.header import InvocationHeader, InvocationParts, join_invocation
from enclaved.wire.topics import attestation_topic, dead_topic, invoke_topic
from gateway_broker import FakeBroker
from gateway_enclave import Behaviour, FakeEnclave, answered

__all__ = [
    "ATTESTATION",
    "DEAD",
    "ECHO",
    "NAMESPACE",
    "QUICK",
    "REPLY",
    "RUNTIME",
    "World",
    "announce",
    "invocation",
    "lane",
    "options",
    "request",
    "world",
]

NAMESPACE, RUNTIME = "demo", "ward-1"
REPLY = "enclaved/v1/demo/reply/caller-1"
ECHO = invoke_topic(NAMESPACE, RUNTIME, "echo")
DEAD = dead_topic(NAMESPACE, RUNTIME, "echo")
ATTESTATION = attestation_topic(NAMESPACE, RUNTIME)
QUICK = LinkDeadlines(handshake_s=5.0, answer_s=60.0, pacing=Pacing(first_s=0.001, longest_s=0.01))


def lane(function: str = "echo", *triggers: str, slots: int = 4) -> Lane:
    """Return a lane."""
    return Lane(function=function, triggers=triggers, slots=slots)


def announce(*lanes: Lane, attestation: bytes = b"attestation 1", **changes: object) -> Announce:
    """Return an announcement of these lanes, or of `echo` alone."""
    fields: dict[str, object] = {
        "namespace": NAMESPACE,
        "runtime_id": RUNTIME,
        "attestation": attestation,
        "expires_in_ms": 3_600_000,
        "lanes": lanes or (lane(),),
    }
    return Announce(**(fields | changes))  # type: ignore[arg-type]  # a test may turn any field


def invocation(text: bytes = b"sealed 1", **changes: object) -> bytes:
    """Return an invocation message whose header has these fields turned."""
    fields: dict[str, object] = {
        "v": 1,
        "runtime_id": RUNTIME,
        "key_id": b"k" * 16,
        "session_id": b"s" * 16,
        "sequence": 3,
        "verified_below": 1,
        "function": "echo",
        "response_topic": REPLY,
        "expires_at": 1_800_000_000_000,
        "evidence": "digest",
    }
    header = InvocationHeader(**(fields | changes))  # type: ignore[arg-type]  # a test may turn any field
    return join_invocation(InvocationParts(header=encode(header), offer=None, ciphertext=text))


def request(text: bytes = b"sealed 1", *, topic: str = ECHO, **changes: object) -> Message:
    """Return an invocation as a caller publishes it."""
    return Message(
        topic=topic, payload=invocation(text, **changes), response_topic=REPLY, correlation_data=b"c-" + text
    )


def options(link: Path, **changes: object) -> GatewayOptions:
    """Return options for a gateway on that link."""
    fields: dict[str, object] = {
        "broker": parse_broker_url("mqtt://127.0.0.1"),
        "link": UnixAddress(path=link),
        "deadlines": QUICK,
    }
    return GatewayOptions(**(fields | changes))  # type: ignore[arg-type]  # a test may turn any field


@dataclass
class World:
    """A gateway, and what is round it.

    Attributes:
        broker: the broker.
        enclave: the enclave.
        gateway: the gateway.
        stop: stops the gateway.
        events: what it told.
        stopped: set when it has left.
    """

    broker: FakeBroker
    enclave: FakeEnclave
    gateway: Gateway
    stop: anyio.Event
    events: list[GatewayEvent] = field(default_factory=list)
    stopped: anyio.Event = field(default_factory=anyio.Event)

    async def serving(self, *functions: str) -> None:
        """Wait until it has told that it serves these functions, or any."""
        await self.broker.until(lambda: any(self._is_serving(event, functions) for event in self.events))

    async def counted(self, counter: Counter) -> None:
        """Wait until it has counted one of these; other tasks run between the looks."""
        with anyio.fail_after(10):
            while not self.gateway.counters[counter]:
                await anyio.lowlevel.checkpoint()

    async def leave(self) -> Stopped:
        """Stop it in good order and return its last word."""
        self.stop.set()
        with anyio.fail_after(10):
            await self.stopped.wait()
        last = self.events[-1]
        assert isinstance(last, Stopped)
        return last

    @staticmethod
    def _is_serving(event: GatewayEvent, functions: tuple[str, ...]) -> bool:
        return isinstance(event, Serving) and functions in ((), event.functions)


@asynccontextmanager
async def world(
    folder: Path,
    *,
    broker: FakeBroker | None = None,
    announced: Announce | None = None,
    behaviour: Behaviour = answered,
    wait: bool = True,
    **changes: object,
) -> AsyncIterator[World]:
    """Run a gateway between a broker and an enclave; when left, it is stopped."""
    broker = broker or FakeBroker()
    enclave = FakeEnclave(folder / "link.sock", announced or announce(), behaviour=behaviour)
    chosen = options(enclave.path, **changes)
    here = World(broker, enclave, None, anyio.Event())  # type: ignore[arg-type]  # it is made below: it tells this world

    def observe(event: GatewayEvent) -> None:
        here.events.append(event)
        broker.wake()

    here.gateway = Gateway(chosen, transport=broker, dial=lambda: connect(chosen.link), observer=observe)

    async def run() -> None:
        await here.gateway.run(here.stop)
        here.stopped.set()

    async with anyio.create_task_group() as group:
        await group.start(enclave.run)
        group.start_soon(run, name="gateway")
        if wait:
            await here.serving()
        yield here
        await here.leave()
        group.cancel_scope.cancel()
