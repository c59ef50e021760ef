"""MQTT 5 packets: bytes in, packets out, and back; no input or output.

This is the one file that knows the codec, `mqtt5`. Its packet classes are
read-only values, and the rest of the package takes them from here; its
enumerations know equality and `int()`, but neither order nor hash. A packet is
bounded by its remaining length before it is buffered, walked before it is
parsed, and walked again after it is written, so that nothing ill-formed comes
in or goes out. The codec aborts some inputs with a `BaseException`
(`PanicException`); the walk keeps those away from it, and should one still
pass, it becomes a `PacketError` like every other failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import mqtt5
from mqtt5 import (
    AuthPacket,
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
    Will,
)

from enclaved.mqtt.packet_fields import PacketError, ReasonCode, read_variable_integer
from enclaved.mqtt.packet_walk import walk_packet

__all__ = [
    "LARGEST_PACKET",
    "AuthPacket",
    "ConnAckPacket",
    "ConnAckReasonCode",
    "ConnectPacket",
    "DisconnectPacket",
    "DisconnectReasonCode",
    "Packet",
    "PacketReader",
    "PingReqPacket",
    "PingRespPacket",
    "PubAckPacket",
    "PubAckReasonCode",
    "PublishPacket",
    "QoS",
    "RetainHandling",
    "SubAckPacket",
    "SubAckReasonCode",
    "SubscribePacket",
    "TopicFilter",
    "UnsubAckPacket",
    "UnsubAckReasonCode",
    "UnsubscribePacket",
    "Will",
    "build_packet",
    "encode_acknowledgement",
    "encode_packet",
    "encode_unwalked",
]

_P = ParamSpec("_P")
_PacketT = TypeVar("_PacketT", bound=Packet | TopicFilter)

LARGEST_PACKET: Final = 268_435_460
"""The most that four bytes of remaining length can announce, header included."""


class PacketReader:
    """Cuts a stream into packets, however its bytes arrive.

    It holds one unfinished packet of at most `max_packet_size` bytes, and what came in
    the same chunk. After an error the stream has no more packet boundaries, so each
    further call raises the same error.
    """

    def __init__(self, *, max_packet_size: int) -> None:
        self._max_packet_size = max_packet_size
        # The chunk as it came while it holds whole packets; a buffer only for one that is cut off.
        self._source: bytes | bytearray = b""
        self._start = 0  # where the next packet begins
        self._wanted = 2  # bytes from there without which looking again is useless
        self._error: PacketError | None = None

    def receive(self, data: bytes) -> None:
        """Take in the next bytes of the stream.

        Raises:
            PacketError: an earlier packet was not well formed.
        """
        if self._error is not None:
            raise self._error
        source = self._source
        if self._start == len(source):
            self._source = data
        elif isinstance(source, bytearray):
            del source[: self._start]
            source += data
        else:
            self._source = bytearray(source[self._start :])
            self._source += data
        self._start = 0

    def next_packet(self) -> Packet | None:
        """Return the next packet, or None until more bytes arrive.

        Raises:
            PacketError: it is not well formed, or larger than allowed.
        """
        if self._error is not None:
            raise self._error
        if len(self._source) - self._start < self._wanted:
            return None
        try:
            return self._cut()
        except PacketError as error:
            self._error = error
            self._source = b""
            self._start = 0
            raise

    def _cut(self) -> Packet | None:
        source, start = self._source, self._start
        if source[start + 1] < 0x80:
            remaining, body = source[start + 1], start + 2
        else:
            header = read_variable_integer(source, start + 1, len(source), what="remaining length")
            if header is None:
                return None
            remaining, body = header
        end = body + remaining
        if end - start > self._max_packet_size:
            raise PacketError("packet", "is too large", reason_code=ReasonCode.PACKET_TOO_LARGE)
        if len(source) < end:
            self._wanted = end - start
            return None
        if isinstance(source, bytes):
            data = source[start:end]
        else:
            with memoryview(source) as view:
                data = bytes(view[start:end])  # a copy: a view kept alive would lock the buffer
        packet = _parse(data, header=body - start)
        self._start, self._wanted = end, 2
        return packet


def _parse(data: bytes, *, header: int) -> Packet:
    """Walk one packet, whose fixed header is `header` bytes long, then let the codec read it."""
    walk_packet(data, header=header)
    try:
        packet, size = mqtt5.read(memoryview(data))
    except BaseException as error:  # a PanicException is no Exception
        raise _refusal(error, "is refused by the codec") from error
    if size != len(data):
        raise PacketError("packet", "ends elsewhere for the codec", reason_code=ReasonCode.MALFORMED_PACKET)
    return packet


def build_packet(kind: Callable[_P, _PacketT], *arguments: _P.args, **fields: _P.kwargs) -> _PacketT:
    """Construct a packet, or a topic filter of one, from values that may not fit it.

    Raises:
        PacketError: they do not; the codec's own constructors raise several things.
    """
    try:
        return kind(*arguments, **fields)
    except BaseException as error:  # a PanicException is no Exception
        raise _refusal(error, "cannot be built") from error


def encode_packet(packet: Packet) -> bytes:
    """Write a packet.

    Raises:
        PacketError: it would not be well formed.
    """
    data = encode_unwalked(packet)
    header = read_variable_integer(data, 1, len(data), what="remaining length")
    if header is None or header[1] + header[0] != len(data):
        raise PacketError("packet", "has a wrong length", reason_code=ReasonCode.MALFORMED_PACKET)
    walk_packet(data, header=header[1])
    return data


def encode_unwalked(packet: Packet) -> bytes:
    """Write a packet whose parts were checked before it was built; what no packet can hold is still refused.

    Raises:
        PacketError: the codec cannot write it.
    """
    try:
        return packet.write()
    except BaseException as error:  # a PanicException is no Exception
        raise _refusal(error, "cannot be written") from error


def encode_acknowledgement(packet_id: int) -> bytes:
    """Return a PUBACK that says success, in its shortest form (section 3.4.2.1)."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def _refusal(error: BaseException, reason: str) -> PacketError:
    """Map what the codec raised; what is not about the packet, such as an interrupt, goes on."""
    if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
        raise error
    return PacketError("packet", reason, reason_code=ReasonCode.MALFORMED_PACKET)
