"""Strict MessagePack: bytes become a typed, frozen value here, or a ProtocolError.

The order is an attacker's: the size of the whole first, then its structure
(depth, announced lengths, kinds), then its contents, then its types. MessagePack
has many encodings for one value; what is hashed or signed is therefore always
carried as the bytes that were hashed, and never encoded a second time.
"""

from __future__ import annotations

from typing import TypeVar

import msgpack
import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.limits import MAX_DEPTH, MAX_VALUES

__all__ = ["decode", "encode"]

_T = TypeVar("_T")

# First byte -> the bytes of a fixed body, or of the length or count that comes first.
_FIXED_BODY = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED_BODY |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_SIZED_BODY = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAYS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}


def encode(value: object) -> bytes:
    """Return a value as MessagePack.

    Args:
        value: a `msgspec.Struct`, or nested lists, maps, strings, bytes and integers.

    Returns:
        The encoding.
    """
    encoded: bytes = msgpack.packb(msgspec.to_builtins(value, builtin_types=(bytes,)), use_bin_type=True)
    return encoded


def decode(data: bytes, kind: type[_T], *, what: str, max_size: int, max_depth: int = MAX_DEPTH) -> _T:
    """Return the one value of the given type that the bytes encode.

    Args:
        data: untrusted bytes.
        kind: the type to convert to: a frozen `msgspec.Struct` that forbids unknown
            fields, or a container of such.
        what: the name of the message, for the error.
        max_size: the most bytes that it may have.
        max_depth: how deep arrays and maps may nest.

    Returns:
        The typed value.

    Raises:
        ProtocolError: too large, too deep, of too many values, truncated, with trailing bytes,
            a duplicate or non-text key, an extension type, or of another shape than `kind`.
    """
    if len(data) > max_size:
        raise ProtocolError(what, f"{len(data)} bytes, at most {max_size} are allowed")
    _check_structure(data, what=what, max_depth=max_depth)
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, object_pairs_hook=_map_without_duplicates)
        return msgspec.convert(value, kind, strict=True, builtin_types=(bytes,))
    except _DuplicateKeyError as error:
        raise ProtocolError(what, "a duplicate key") from error
    except msgspec.ValidationError as error:
        raise ProtocolError(what, f"not of its shape: {_without_contents(error)}") from error
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError, OverflowError) as error:
        raise ProtocolError(what, f"not MessagePack: {type(error).__name__}") from error


class _DuplicateKeyError(Exception):
    """A map names a key twice; two readers could believe two different values."""


def _map_without_duplicates(pairs: list[tuple[object, object]]) -> dict[object, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKeyError
    return value


def _without_contents(error: msgspec.ValidationError) -> str:
    """Keep what was expected; an unknown field's name and a word of no closed set are the sender's text."""
    text = str(error)
    if text.startswith("Expected "):
        return text[:200]
    return "a field is missing" if "missing required field" in text else "an unknown field or word"


def _check_structure(data: bytes, *, what: str, max_depth: int) -> None:
    """Walk the encoding once without making a value of it.

    Every announced length is held against the bytes that are there, so a five-byte
    message cannot make the parser reserve gigabytes.
    """
    open_counts = [1]  # values still expected at each depth; the outermost expects one
    position, size = 0, len(data)
    values = 0
    while open_counts:
        if open_counts[-1] == 0:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        if position >= size:
            raise ProtocolError(what, "truncated")
        position, children = _step(data, position, what)
        if position + children > size:  # each child takes at least one byte
            raise ProtocolError(what, "truncated")
        values += children
        if values > MAX_VALUES:
            raise ProtocolError(what, f"more than {MAX_VALUES} values")
        if children:
            if len(open_counts) > max_depth:
                raise ProtocolError(what, f"nested deeper than {max_depth}")
            open_counts.append(children)
    if position != size:
        raise ProtocolError(what, "trailing bytes")


def _step(data: bytes, position: int, what: str) -> tuple[int, int]:
    """Return where the next value starts, and how many values the one here contains."""
    first = data[position]
    position += 1
    if first <= 0x7F or first >= 0xE0:  # small integers
        return position, 0
    if first <= 0x8F:
        return position, 2 * (first & 0x0F)
    if first <= 0x9F:
        return position, first & 0x0F
    if first <= 0xBF:
        return position + (first & 0x1F), 0
    if first in _FIXED_BODY:
        return position + _FIXED_BODY[first], 0
    for table, per_item in ((_SIZED_BODY, 0), (_ARRAYS, 1), (_MAPS, 2)):
        if first in table:
            end = position + table[first]  # beyond the data, it is found out with all that it announces
            length = int.from_bytes(data[position:end], "big")
            return (end, per_item * length) if per_item else (end + length, 0)
    raise ProtocolError(what, "an extension type")
