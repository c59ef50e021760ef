"""A reader of the CBOR that Nitro documents are made of (RFC 8949).

The security module does not keep to the deterministic encoding: keys stand in its
own order, and some of its versions write a map without its length. So the value
is read here, and what is hashed are the bytes that were received, never an
encoding made anew. What would let two readers see two values is refused all the
same: a key twice, a tag, a float, trailing bytes.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["CborError", "CborValue", "read_cbor"]

CborValue: TypeAlias = "int | bytes | str | bool | list[CborValue] | dict[int | str, CborValue] | None"

_MAX_DEPTH = 4  # a document is a map that holds a map
_INDEFINITE_MAP = 0xBF
_BREAK = b"\xff"
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


class CborError(ValueError):
    """The bytes are not one CBOR value of the kinds that documents have."""


def read_cbor(data: bytes) -> CborValue:
    """Return the one value that the bytes encode.

    Args:
        data: untrusted bytes, their size already checked.

    Raises:
        CborError: truncated, too deep, with trailing bytes, a key twice, a tag, a float, or a
            string or an array of indefinite length.
    """
    reader = _Reader(data)
    value = reader.value(depth=0)
    if reader.position != len(data):
        raise CborError("trailing bytes")
    return value


class _Reader:
    """Reads values one after the other; holds every length against the bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, *, depth: int) -> CborValue:
        if depth > _MAX_DEPTH:
            raise CborError(f"nested deeper than {_MAX_DEPTH}")
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
                return [self.value(depth=depth + 1) for _ in range(self._count(first))]
            case 5:
                return self._map(first, depth + 1)
            case _:
                raise CborError("a tag, a float or an undefined value")

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise CborError("truncated")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _argument(self, first: int) -> int:
        short = first & 0x1F
        if short < 24:
            return short
        if short > 27:
            raise CborError("an indefinite or a reserved length")
        return int.from_bytes(self._take(1 << (short - 24)), "big")

    def _count(self, first: int) -> int:
        count = self._argument(first)
        if count > len(self._data) - self.position:  # each item takes at least one byte
            raise CborError("truncated")
        return count

    def _text(self, first: int) -> str:
        try:
            return self._take(self._argument(first)).decode()
        except UnicodeDecodeError as error:
            raise CborError("text that is not UTF-8") from error

    def _map(self, first: int, depth: int) -> dict[int | str, CborValue]:
        entries: dict[int | str, CborValue] = {}
        if first == _INDEFINITE_MAP:
            while self._data[self.position : self.position + 1] != _BREAK:
                self._entry(entries, depth)
            self._take(1)
        else:
            for _ in range(self._count(first)):
                self._entry(entries, depth)
        return entries

    def _entry(self, entries: dict[int | str, CborValue], depth: int) -> None:
        key = self.value(depth=depth)
        # Python takes 1 and True for the same key; CBOR does not.
        if isinstance(key, bool) or not isinstance(key, int | str) or key in entries:
            raise CborError("a key twice, or one that is neither a number nor text")
        entries[key] = self.value(depth=depth)
