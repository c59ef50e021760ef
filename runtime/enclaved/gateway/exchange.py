"""Requests and answers on one connection to the enclave, from its first frame to its loss.

All frames leave through one task: a sender that is cancelled half-way would leave
half a frame on the stream. A request ends with its answer or with the connection,
and whoever sent it decides whether to send it again on the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from enclaved.errors import Error, LinkError, ProtocolError
from enclaved.gateway.stream import LinkStream
from enclaved.wire.frames import (
    LINK_VERSION,
    Announce,
    Answer,
    Attest,
    Attested,
    Frame,
    FrameReader,
    Hello,
    Invoke,
    encode_frame,
)

__all__ = ["Exchange", "Reply", "Request"]

Request = Invoke | Attest
Reply = Answer | Attested
_Reply = TypeVar("_Reply", Answer, Attested)


_ANSWER_S = 900.0
_BATCH = 1 << 18  # bytes of frames that leave in one write: more than a socket takes at once gains nothing


class _Waiting:
    """One request that is not answered yet."""

    __slots__ = ("done", "reply", "since", "wanted")

    def __init__(self, wanted: type[Reply], *, since: float) -> None:
        self.wanted = wanted
        self.since = since
        self.reply: Reply | None = None
        self.done = anyio.Event()


class Exchange:
    """One connection to the enclave.

    Args:
        stream: the connection; it is closed when `run` ends.
        on_announce: told of each announcement; an error that it raises ends the connection.
        answer_s: how long an answer may take; one that takes longer ends the connection.
    """

    def __init__(
        self, stream: LinkStream, *, on_announce: Callable[[Announce], None], answer_s: float = _ANSWER_S
    ) -> None:
        self._stream = stream
        self._answer_s = answer_s
        self._on_announce = on_announce
        self._waiting: dict[int, _Waiting] = {}
        self._highest = 0
        self._announced = anyio.Event()
        self._scope = anyio.CancelScope()
        self._failure: Error | None = None
        self._ended = False
        # Nothing is buffered: a request waits in its own task until the enclave reads.
        streams = anyio.create_memory_object_stream[bytes](0)
        self._outbox: MemoryObjectSendStream[bytes] = streams[0]
        self._to_send: MemoryObjectReceiveStream[bytes] = streams[1]

    @property
    def ended(self) -> bool:
        """Whether the connection is lost: no request can be sent any more."""
        return self._ended

    async def run(self, *, handshake_s: float, ready: Callable[[], None]) -> NoReturn:
        """Say hello, then serve until the connection is lost.

        Args:
            handshake_s: how long the first announcement may take.
            ready: called when it is there; requests may be sent from then on.

        Raises:
            LinkError: the connection was lost, or the enclave does not follow the link's protocol.
            Error: what `on_announce` raised.
        """
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watched, self._send_all, name="link: send")
                    group.start_soon(self._watched, self._receive_all, name="link: receive")
                    group.start_soon(self._watched, self._end_when_overdue, name="link: overdue")
                    await self._greet(handshake_s)
                    ready()
        finally:
            self._end()
        raise self._failure or LinkError("the link has ended")

    async def request(self, request: Request, wanted: type[_Reply]) -> _Reply:
        """Send a request and wait for its answer.

        Args:
            request: its number has never been used on this connection.
            wanted: the kind of its answer.

        Raises:
            LinkError: the connection was lost first.
        """
        waiting = _Waiting(wanted, since=anyio.current_time())
        self._waiting[request.id] = waiting
        self._highest = max(self._highest, request.id)
        try:
            await self._outbox.send(encode_frame(request))
            await waiting.done.wait()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise LinkError("the link was lost") from error
        finally:
            del self._waiting[request.id]
        if not isinstance(waiting.reply, wanted):
            raise LinkError("the link was lost")
        return waiting.reply

    def fail(self, error: Error) -> None:
        """End the connection for that reason."""
        self._failure = self._failure or error
        self._scope.cancel()

    async def _watched(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do a part of the work; its error is the connection's, and ends the other part as well."""
        try:
            await work()
        except Error as error:
            self.fail(error)

    async def _greet(self, handshake_s: float) -> None:
        with anyio.move_on_after(handshake_s):
            await self._outbox.send(encode_frame(Hello(v=LINK_VERSION)))
            await self._announced.wait()
            return
        self.fail(LinkError("the enclave does not say what it serves"))

    async def _send_all(self) -> None:
        async for frame in self._to_send:
            await self._stream.send(self._batch(frame))

    def _batch(self, first: bytes) -> bytes:
        """Return a frame and those whose senders wait behind it: a write costs more than what it carries."""
        frames, size = [first], len(first)
        while size < _BATCH:
            try:
                frame = self._to_send.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
            frames.append(frame)
            size += len(frame)
        return b"".join(frames) if len(frames) > 1 else first

    async def _end_when_overdue(self) -> NoReturn:
        """Watch the oldest request: one clock for all of them, where one for each would cost as much as asking.

        A request that comes while nothing is under way is found overdue after twice the time, at the latest.
        """
        while True:
            oldest = next(iter(self._waiting.values()), None)
            left = self._answer_s if oldest is None else oldest.since + self._answer_s - anyio.current_time()
            if left <= 0:
                raise LinkError("an answer is overdue")
            await anyio.sleep(left)

    async def _receive_all(self) -> None:
        reader = FrameReader()
        try:
            while data := await self._stream.receive():
                for frame in reader.feed(data):
                    self._take(frame)
        except ProtocolError as error:
            raise LinkError(f"the enclave does not follow the protocol: {error}") from error
        raise LinkError("the enclave closed the link")

    def _take(self, frame: Frame) -> None:
        match frame:
            case Announce():
                self._on_announce(frame)
                self._announced.set()
            case Answer() | Attested():
                self._settle(frame)
            case Hello() | Invoke() | Attest():
                raise ProtocolError("link frame", "of a kind that only a gateway sends")

    def _settle(self, reply: Reply) -> None:
        waiting = self._waiting.get(reply.id)
        if waiting is None:
            if not 0 < reply.id <= self._highest:
                raise ProtocolError("link frame", "answers a request that was never sent")
            return  # whoever asked has given up meanwhile
        if not isinstance(reply, waiting.wanted):
            raise ProtocolError("link frame", "answers a request of another kind")
        waiting.reply = reply
        waiting.done.set()

    def _end(self) -> None:
        self._ended = True
        self._to_send.close()
        self._outbox.close()
        self._stream.close()
        for waiting in self._waiting.values():
            waiting.done.set()
