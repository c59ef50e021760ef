"""A client that sends exactly what a test says, packet by packet or byte by byte."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc
from enclaved.mqtt.packets import (
    ConnAckPacket,
    ConnectPacket,
    Packet,
    PacketReader,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    encode_packet,
)

__all__ = ["RawClient"]

PacketT = TypeVar("PacketT", bound=Packet)


class RawClient:
    """One TCP connection to a broker on the loopback interface."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader = PacketReader(max_packet_size=1 << 24)
        self._stream: anyio.abc.SocketStream | None = None

    async def __aenter__(self) -> Self:
        self._stream = await anyio.connect_tcp("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drop()

    async def drop(self) -> None:
        """Close the socket without a word."""
        assert self._stream is not None
        await self._stream.aclose()

    async def send(self, *packets: Packet) -> None:
        """Send packets."""
        await self.send_bytes(b"".join(encode_packet(packet) for packet in packets))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        assert self._stream is not None
        await self._stream.send(data)

    async def receive(self, kind: type[PacketT]) -> PacketT:
        """Wait for the next packet, which must be of this kind."""
        assert self._stream is not None
        with anyio.fail_after(5):
            while (packet := self._reader.next_packet()) is None:
                self._reader.receive(await self._stream.receive())
        assert isinstance(packet, kind), packet
        return packet

    async def closed(self) -> bool:
        """Wait until the broker closes, with nothing more said."""
        assert self._stream is not None
        try:
            with anyio.fail_after(5):
                await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
        return False

    async def quiet(self) -> None:
        """Check that nothing is on its way to us: the answer to a ping is the next packet."""
        await self.send(PingReqPacket())
        await self.receive(PingRespPacket)

    async def connect(self, client_id: str, **options: object) -> ConnAckPacket:
        """Connect; options as `ConnectPacket` has them."""
        await self.send(ConnectPacket(client_id, **options))  # type: ignore[arg-type]
        return await self.receive(ConnAckPacket)

    async def subscribe(
        self,
        *patterns: str,
        identifier: int | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: RetainHandling = RetainHandling.SEND_ALWAYS,
    ) -> SubAckPacket:
        """Subscribe at QoS 1."""
        filters = [
            TopicFilter(
                pattern,
                max_qos=QoS.AT_LEAST_ONCE,
                no_local=no_local,
                retain_as_published=retain_as_published,
                retain_handling=retain_handling,
            )
            for pattern in patterns
        ]
        await self.send(SubscribePacket(1, filters, subscription_id=identifier))
        return await self.receive(SubAckPacket)

    async def publish(self, topic: str, payload: bytes = b"", *, packet_id: int = 1, **options: object) -> PubAckPacket:
        """Publish at QoS 1 and return the answer; options as `PublishPacket` has them."""
        packet = PublishPacket(topic, payload, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id, **options)  # type: ignore[arg-type]
        await self.send(packet)
        return await self.receive(PubAckPacket)

    async def take(self, *, acknowledge: bool = True) -> PublishPacket:
        """Wait for the next message."""
        packet = await self.receive(PublishPacket)
        if acknowledge and packet.packet_id is not None:
            await self.send(PubAckPacket(packet.packet_id))
        return packet
