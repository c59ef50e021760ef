"""The fields that MQTT 5 packets are made of, read with every length checked (section 1.5)."""

from __future__ import annotations

from enum import IntEnum

from enclaved.errors import ProtocolError

__all__ = ["Fields", "PacketError", "ReasonCode", "check_topic", "read_variable_integer"]

_MAX_VARIABLE_BYTES = 4


class ReasonCode(IntEnum):
    """Why a packet is refused, as the other side is told (section 2.4)."""

    SUCCESS = 0x00
    NO_MATCHING_SUBSCRIBERS = 0x10
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    NOT_AUTHORIZED = 0x87
    SERVER_BUSY = 0x89
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B


class PacketError(ProtocolError):
    """A packet that is not well formed, or not allowed here.

    Attributes:
        reason_code: what to tell the other side before closing.
    """

    def __init__(self, what: str, reason: str, *, reason_code: ReasonCode) -> None:
        super().__init__(what, reason)
        self.reason_code = reason_code


def read_variable_integer(data: bytes | bytearray, at: int, end: int, *, what: str) -> tuple[int, int] | None:
    """Read a variable byte integer (section 1.5.5).

    Returns:
        Its value and the place after it, or None where `data` ends inside it.

    Raises:
        PacketError: it is longer than four bytes, or longer than it need be.
    """
    value = 0
    for count in range(_MAX_VARIABLE_BYTES):
        if at + count >= end:
            return None
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if byte == 0 and count:  # MQTT-1.5.5-1: the shortest form only, or one packet has many spellings
                raise PacketError(what, "is not in its shortest form", reason_code=ReasonCode.MALFORMED_PACKET)
            return value, at + count + 1
    raise PacketError(what, "is longer than four bytes", reason_code=ReasonCode.MALFORMED_PACKET)


def check_topic(name: str, what: str) -> None:
    """Check that text which was read from a packet is a topic name.

    Raises:
        PacketError: it is empty or holds a wildcard.
    """
    if not name or "+" in name or "#" in name:
        reason = "holds a wildcard" if name else "is empty"
        raise PacketError(what, reason, reason_code=ReasonCode.TOPIC_NAME_INVALID)


class Fields:
    """A place in a packet's body that moves forward, field by field, and never past its end."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, *, start: int = 0, end: int | None = None) -> None:
        """Begin.

        Args:
            data: the packet; it is never copied, so a large payload costs nothing here.
            start: where the fields begin.
            end: where they end; by default, with the data.
        """
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return self._end - self._at

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= self._end

    # Every message passes here, and a call costs as much as what it does: so these do not call `_take`.

    def byte(self, what: str) -> int:
        """Read one byte."""
        at = self._at
        if at >= self._end:
            raise _cut_off(what)
        self._at = at + 1
        return self._data[at]

    def uint16(self, what: str) -> int:
        """Read a two-byte integer."""
        at = self._at
        if at + 2 > self._end:
            raise _cut_off(what)
        self._at = at + 2
        data = self._data
        return data[at] << 8 | data[at + 1]

    def uint32(self, what: str) -> int:
        """Read a four-byte integer."""
        at = self._take(4, what)
        return int.from_bytes(self._data[at : at + 4], "big")

    def variable_integer(self, what: str) -> int:
        """Read a variable byte integer."""
        at = self._at
        if at < self._end and self._data[at] < 0x80:  # nearly always one byte
            self._at = at + 1
            return self._data[at]
        read = read_variable_integer(self._data, self._at, self._end, what=what)
        if read is None:
            raise _cut_off(what)
        value, self._at = read
        return value

    def binary(self, what: str) -> None:
        """Step over binary data with its two-byte length."""
        end = self.uint16(what) + self._at
        if end > self._end:
            raise _cut_off(what)
        self._at = end

    def text(self, what: str) -> str:
        """Read a UTF-8 string; surrogates and NUL are refused (section 1.5.4)."""
        size = self.uint16(what)
        at = self._at
        end = at + size
        if end > self._end:
            raise _cut_off(what)
        self._at = end
        raw = self._data[at:end]
        if 0 in raw:
            raise PacketError(what, "holds NUL", reason_code=ReasonCode.MALFORMED_PACKET)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise PacketError(what, "is not UTF-8", reason_code=ReasonCode.MALFORMED_PACKET) from error

    def topic(self, what: str) -> str:
        """Read a topic name: text that is not empty and holds no wildcard (section 4.7.1)."""
        name = self.text(what)
        check_topic(name, what)
        return name

    def packet_id(self) -> int:
        """Read a packet identifier, which is never 0 (section 2.2.1)."""
        value = self.uint16("packet id")
        if value == 0:
            raise PacketError("packet id", "is 0", reason_code=ReasonCode.PROTOCOL_ERROR)
        return value

    def part(self, size: int, what: str) -> Fields:
        """Read the next `size` bytes as fields of their own."""
        at = self._take(size, what)
        return Fields(self._data, start=at, end=at + size)

    def finish(self) -> None:
        """Check that nothing is left over."""
        if self.left:
            raise PacketError("packet", "goes on after its end", reason_code=ReasonCode.MALFORMED_PACKET)

    def _take(self, size: int, what: str) -> int:
        """Move past `size` bytes and return where they begin."""
        at = self._at
        if size > self._end - at:
            raise _cut_off(what)
        self._at = at + size
        return at


def _cut_off(what: str) -> PacketError:
    return PacketError(what, "is cut off", reason_code=ReasonCode.MALFORMED_PACKET)
