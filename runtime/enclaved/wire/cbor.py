"""Deterministic CBOR, the part of it that our messages use (RFC 8949, section 4.2.1).

The reader is our own: a general one turns tags into dates, addresses and regular
expressions before anybody can refuse them, and takes 1, 1.0 and true for the same
map key. Here a value has one encoding, so that two readers of one receipt cannot
see two different claims.
"""

from __future__ import annotations

from typing import TypeAlias

import cbor2

from enclaved.errors import ProtocolError

__all__ = ["CborValue", "decode_cbor", "encode_cbor"]

CborValue: TypeAlias = "int | bytes | str | bool | list[CborValue] | dict[int | str, CborValue] | None"
"""Integers of 64 bits and a sign, strings, arrays, maps, true, false and null; no tag and no float."""

_MAX_DEPTH = 4  # a COSE_Sign1 has two levels
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


def encode_cbor(value: CborValue) -> bytes:
    """Return the deterministic CBOR encoding of a value."""
    encoded: bytes = cbor2.dumps(_ordered(value))
    return encoded


def decode_cbor(data: bytes, *, what: str, max_size: int) -> CborValue:
    """Return the value of deterministic CBOR.

    Args:
        data: untrusted bytes.
        what: the name of the message, for the error.
        max_size: the most bytes that it may have.

    Raises:
        ProtocolError: too large, too deep, not CBOR, or not in its deterministic encoding.
    """
    if len(data) > max_size:
        raise ProtocolError(what, f"{len(data)} bytes, at most {max_size} are allowed")
    reader = _Reader(data, what)
    value = reader.value(depth=0)
    if reader.position != len(data):
        raise ProtocolError(what, "trailing bytes")
    return value


def _ordered(value: CborValue) -> CborValue:
    """Put maps in the order of their encoded keys; the library's canonical order is that of RFC 7049."""
    match value:
        case list():
            return [_ordered(each) for each in value]
        case dict():
            return {key: _ordered(value[key]) for key in sorted(value, key=cbor2.dumps)}
        case _:
            return value


class _Reader:
    """Reads values one after the other; holds every length against the bytes that are there."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.position = 0

    def value(self, *, depth: int) -> CborValue:
        if depth > _MAX_DEPTH:
            raise ProtocolError(self._what, f"nested deeper than {_MAX_DEPTH}")
        first = self._take(1)[0]
        if first in _SIMPLE:
            return _SIMPLE[first]
        match first >> 5:
            case 0:
                return self._argument(first)
            case 1:
                return -1 - self._argument(first)
            case 2:
                return self._take(self._argument(first))
            case 3:
                return self._text(first)
            case 4:
                return self._array(first, depth + 1)
            case 5:
                return self._map(first, depth + 1)
            case _:
                raise ProtocolError(self._what, "a tag, a float or an undefined value")

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise ProtocolError(self._what, "truncated")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _argument(self, first: int) -> int:
        short = first & 0x1F
        if short < 24:
            return short
        if short > 27:
            raise ProtocolError(self._what, "an indefinite length")
        size = 1 << (short - 24)
        argument = int.from_bytes(self._take(size), "big")
        if argument < (24 if size == 1 else 1 << (4 * size)):
            raise ProtocolError(self._what, "a number or a length in more bytes than it needs")
        return argument

    def _text(self, first: int) -> str:
        try:
            return self._take(self._argument(first)).decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(self._what, "text that is not UTF-8") from error

    def _array(self, first: int, depth: int) -> list[CborValue]:
        # A count beyond the message reserves nothing: the first value that is missing ends it.
        return [self.value(depth=depth) for _ in range(self._argument(first))]

    def _map(self, first: int, depth: int) -> dict[int | str, CborValue]:
        entries: dict[int | str, CborValue] = {}
        previous = b""
        for _ in range(self._argument(first)):
            start = self.position
            key = self.value(depth=depth)
            encoded = self._data[start : self.position]
            if isinstance(key, bool) or not isinstance(key, int | str):
                raise ProtocolError(self._what, "a key that is neither a number nor text")
            if encoded <= previous:
                raise ProtocolError(self._what, "keys out of order, or one twice")
            previous = encoded
            entries[key] = self.value(depth=depth)
        return entries
