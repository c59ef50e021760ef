"""A broker that does only what a test says, over TCP or WebSocket frames."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.abc
from enclaved.mqtt.addresses import BrokerAddress, Scheme
from enclaved.mqtt.packets import ConnAckPacket, ConnectPacket, Packet, PacketReader, encode_packet

__all__ = ["Conversation", "scripted_broker", "websocket_bridge"]

PacketT = TypeVar("PacketT", bound=Packet)
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Conversation:
    """One client's connection, from the broker's side."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self._reader = PacketReader(max_packet_size=1 << 24)

    async def receive(self, kind: type[PacketT]) -> PacketT:
        """Wait for the client's next packet, which must be of this kind."""
        while (packet := self._reader.next_packet()) is None:
            self._reader.receive(await self.stream.receive())
        assert isinstance(packet, kind), packet
        return packet

    async def send(self, *packets: Packet) -> None:
        """Send packets."""
        await self.stream.send(b"".join(encode_packet(packet) for packet in packets))

    async def accept(self, answer: ConnAckPacket) -> ConnectPacket:
        """Take CONNECT and answer it."""
        packet = await self.receive(ConnectPacket)
        await self.send(answer)
        return packet


@asynccontextmanager
async def scripted_broker(script: Callable[[Conversation], Awaitable[None]]) -> AsyncIterator[BrokerAddress]:
    """Listen, and follow the script with each client; afterwards keep its connection until it ends."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await script(Conversation(stream))
            async for _ in stream:
                pass

    async with _listening(serve) as port:
        yield BrokerAddress(scheme=Scheme.MQTT, host="127.0.0.1", port=port)


@asynccontextmanager
async def websocket_bridge(port: int, *, paths: list[str]) -> AsyncIterator[BrokerAddress]:
    """Carry WebSocket clients to a broker's TCP port (RFC 6455); the paths asked for are noted."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream, await anyio.connect_tcp("127.0.0.1", port) as broker:
            frames = _Frames(stream)
            paths.append(await frames.shake_hands())
            async with anyio.create_task_group() as tasks:

                async def downwards() -> None:
                    async for data in broker:
                        await stream.send(_frame(data))
                    tasks.cancel_scope.cancel()

                tasks.start_soon(downwards)
                while (payload := await frames.next_payload()) is not None:
                    await broker.send(payload)
                tasks.cancel_scope.cancel()

    async with _listening(serve) as bridge_port:
        yield BrokerAddress(scheme=Scheme.WS, host="127.0.0.1", port=bridge_port, path="/mqtt")


@asynccontextmanager
async def _listening(serve: Callable[[anyio.abc.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    async def guarded(stream: anyio.abc.SocketStream) -> None:
        try:
            await serve(stream)
        except* (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client has left

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, guarded)
        yield listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
        tasks.cancel_scope.cancel()


class _Frames:
    """WebSocket frames from a client, which masks them."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def shake_hands(self) -> str:
        """Answer the upgrade and return the path."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await self._stream.receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        request, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + _WEBSOCKET_GUID).digest()  # noqa: S324 - RFC 6455
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
            f"Sec-WebSocket-Protocol: {headers['sec-websocket-protocol']}",
        ]
        await self._stream.send("\r\n".join([*answer, "", ""]).encode())
        return request.split(" ")[1]

    async def next_payload(self) -> bytes | None:
        """Return the next frame's payload, or None when the client closes."""
        first, second = await self._take(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        mask = await self._take(4)
        payload = await self._take(size)
        if first & 0x0F == 8:
            return None
        return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += await self._stream.receive()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    if size <= 0xFFFF:
        return b"\x82\x7e" + size.to_bytes(2, "big") + payload
    return b"\x82\x7f" + size.to_bytes(8, "big") + payload
