"""An enclave as a gateway sees it: a real Unix socket that speaks frames, and answers as a test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio.abc import SocketStream, TaskStatus
from enclaved.wire.frames import Announce, Answer, Attest, Attested, Frame, FrameReader, Hello, Invoke, encode_frame

__all__ = ["FakeEnclave", "answered"]

Behaviour = Callable[[Invoke], Awaitable[Answer | None]]


async def answered(invoke: Invoke) -> Answer:
    """Answer an invocation with its own message turned round."""
    return Answer(id=invoke.id, outcome="answered", reply=b"result of " + invoke.message[-8:], outputs=())


class FakeEnclave:
    """Listens, announces and answers.

    Attributes:
        path: its socket.
        announce: what it says upon hello.
        behaviour: what it answers to an invocation; None keeps silent.
        attestation: what it answers to a challenge.
        received: every frame that it got.
        connections: how many gateways have connected so far.
    """

    def __init__(self, path: Path, announce: Announce, *, behaviour: Behaviour = answered) -> None:
        self.path = path
        self.announce = announce
        self.behaviour = behaviour
        self.attestation: bytes | None = b"fresh attestation"
        self.received: list[Frame] = []
        self.connections = 0
        self._streams: list[SocketStream] = []
        self._lock = anyio.Lock()
        self._changed = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Listen until cancelled."""
        async with await anyio.create_unix_listener(self.path) as listener:
            task_status.started()
            await listener.serve(self._serve)

    @property
    def invocations(self) -> list[bytes]:
        """The messages of the invocations that it got, repeats included."""
        return [frame.message for frame in self.received if isinstance(frame, Invoke)]

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at after each frame and connection."""
        with anyio.fail_after(10):
            while not true():
                await self._changed.wait()

    async def say(self, frame: Frame) -> None:
        """Send a frame to every gateway that is connected."""
        await self.say_bytes(encode_frame(frame))

    async def say_bytes(self, data: bytes) -> None:
        """Send bytes to every gateway that is connected."""
        async with self._lock:
            for stream in list(self._streams):
                await stream.send(data)

    async def renew(self, announce: Announce) -> None:
        """Announce another epoch."""
        self.announce = announce
        await self.say(announce)

    async def lose_link(self) -> None:
        """Close every connection; the gateway may come again."""
        for stream in list(self._streams):
            await stream.aclose()

    async def _serve(self, stream: SocketStream) -> None:
        self.connections += 1
        self._streams.append(stream)
        reader = FrameReader()
        try:
            async with stream, anyio.create_task_group() as group:
                async for data in stream:
                    for frame in reader.feed(data):
                        self.received.append(frame)
                        self._wake()
                        group.start_soon(self._answer, stream, frame)
                group.cancel_scope.cancel()
        except* (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._wake()
        finally:
            self._streams.remove(stream)
            self._wake()

    async def _answer(self, stream: SocketStream, frame: Frame) -> None:
        reply: Frame | None = None
        match frame:
            case Hello():
                reply = self.announce
            case Invoke():
                reply = await self.behaviour(frame)
            case Attest():
                reply = Attested(id=frame.id, attestation=self.attestation)
        if reply is not None:
            async with self._lock:
                await stream.send(encode_frame(reply))

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
