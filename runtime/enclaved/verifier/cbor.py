"""A strict reader of the CBOR that evidence is made of (RFC 8949).

Two readers must not see two different values in one report: so there are no
duplicate keys, no tags that turn one type into another, no trailing bytes, and
no floats, which no report has. Lengths are held against the bytes that are there
before anything is made of them. Maps and arrays of indefinite length are read,
because AWS Nitro documents have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import TypeAlias

__all__ = ["CborError", "CborValue", "decode_cbor"]

CborValue: TypeAlias = "bool | int | bytes | str | list[CborValue] | dict[int | str, CborValue] | None"

_MAX_DEPTH = 8  # the deepest report known, Nitro's, has three levels
_INDEFINITE = 31
_BREAK = b"\xff"
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


class CborError(ValueError):
    """The bytes are not one strict CBOR value."""


def decode_cbor(data: bytes) -> CborValue:
    """Return the one value that the bytes encode.

    Args:
        data: untrusted bytes, their size already checked.

    Returns:
        The value, of CBOR's integers, strings, arrays, maps, true, false and null.

    Raises:
        CborError: truncated, too deep, with trailing bytes, a duplicate key, a tag or a float.
    """
    reader = _Reader(data)
    value = reader.value(depth=0)
    if reader.position != len(data):
        raise CborError("trailing bytes")
    return value


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, *, depth: int) -> CborValue:
        if depth > _MAX_DEPTH:
            raise CborError(f"nested deeper than {_MAX_DEPTH}")
        initial = self._take(1)[0]
        if initial in _SIMPLE:
            return _SIMPLE[initial]
        major, short = initial >> 5, initial & 0x1F
        match major:
            case 0:
                return self._argument(short)
            case 1:
                return -1 - self._argument(short)
            case 2:
                return self._take(self._argument(short))
            case 3:
                return self._text(self._argument(short))
            case 4:
                return self._array(short, depth + 1)
            case 5:
                return self._map(short, depth + 1)
            case _:
                raise CborError("a tag, a float or an undefined value")

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise CborError("truncated")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _argument(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:
            raise CborError("a length that CBOR reserves")
        return int.from_bytes(self._take(1 << (short - 24)), "big")

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise CborError("a text that is not UTF-8") from error

    def _array(self, short: int, depth: int) -> list[CborValue]:
        return [self.value(depth=depth) for _ in self._items(short)]

    def _map(self, short: int, depth: int) -> dict[int | str, CborValue]:
        items: dict[int | str, CborValue] = {}
        for _ in self._items(short):
            key = self.value(depth=depth)
            if not isinstance(key, (int, str)) or isinstance(key, bool) or key in items:
                raise CborError("a duplicate key, or one that is neither a number nor a text")
            items[key] = self.value(depth=depth)
        return items

    def _items(self, short: int) -> Iterator[None]:
        """Yield once for each item of an array or map, whether its length is announced or not."""
        if short != _INDEFINITE:
            count = self._argument(short)
            if count > len(self._data) - self.position:  # each item takes at least one byte
                raise CborError("truncated")
            yield from repeat(None, count)
            return
        while self._data[self.position : self.position + 1] != _BREAK:
            yield None
        self._take(1)
