"""One client's socket: bytes to its protocol and back, with bounds on both sides."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.abc

from enclaved.clock import RandomBytes
from enclaved.mqtt.broker.connection import ClientConnection
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.recording import Recorder, RecordKind
from enclaved.mqtt.broker.router import Router

__all__ = ["ClientSocket"]

_CHUNK = 65_536
_FAREWELL_S = 0.3  # to send the last packets, and for the client to close
_FAREWELL_BYTES = 1 << 20
_INSIST_S = 0.8  # from the decision to close until it is done, whatever the client does


class ClientSocket:
    """Moves one client's bytes.

    Attributes:
        connection: the protocol, which knows no socket.
    """

    def __init__(
        self,
        stream: anyio.abc.SocketStream,
        *,
        number: int,
        router: Router,
        limits: BrokerLimits,
        monotonic: Callable[[], float],
        random: RandomBytes,
        recorder: Recorder | None,
    ) -> None:
        self._stream = stream
        self._number = number
        self._recorder = recorder
        self._output_ready = anyio.Event()
        self._answers_read = anyio.Event()
        self._closing = anyio.Event()
        self.connection = ClientConnection(
            router, limits=limits, monotonic=monotonic, random=random, wake=self._on_output
        )

    async def serve(self) -> None:
        """Serve the client until it leaves, is lost, or is thrown out."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, tasks.cancel_scope, name="broker reader")
                tasks.start_soon(self._insist, tasks.cancel_scope, name="broker closer")
                await self._write()
                tasks.cancel_scope.cancel()
        finally:
            self.connection.lost()
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()

    def _on_output(self) -> None:
        self._output_ready.set()
        if self.connection.closing:
            self._closing.set()

    async def _insist(self, scope: anyio.CancelScope) -> None:
        """Close in the end also on a client that does not read, on which sending waits for ever."""
        await self._closing.wait()
        await anyio.sleep(_INSIST_S)
        scope.cancel()

    async def _read(self, scope: anyio.CancelScope) -> None:
        try:
            while not self.connection.closing:
                if self.connection.congested:
                    self._answers_read = anyio.Event()
                    await self._answers_read.wait()
                data = await self._stream.receive(_CHUNK)
                self._record(RecordKind.RECEIVED, data)
                self.connection.receive(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            scope.cancel()

    async def _write(self) -> None:
        """Send output as it comes; return when the connection is closing and all is sent."""
        try:
            while True:
                self._output_ready = anyio.Event()
                closing = self.connection.closing
                data = self.connection.take_output()
                if closing:
                    await self._say_farewell(data)
                    return
                if not data:
                    await self._output_ready.wait()
                    continue
                self._record(RecordKind.SENT, data)
                await self._stream.send(data)  # returns when the system has taken all of it
                self._answers_read.set()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def _say_farewell(self, data: bytes) -> None:
        """Send the last packets, then read until the client closes.

        Closing on unread input would reset the connection, and the client could lose the
        DISCONNECT that says why.
        """
        with anyio.move_on_after(_FAREWELL_S):
            if data:
                self._record(RecordKind.SENT, data)
                await self._stream.send(data)
            await self._stream.send_eof()
            left = _FAREWELL_BYTES
            while left > 0:
                try:
                    ignored = await self._stream.receive(_CHUNK)
                except anyio.EndOfStream:
                    return
                left -= len(ignored)

    def _record(self, kind: RecordKind, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.record(kind, data, connection=self._number)
