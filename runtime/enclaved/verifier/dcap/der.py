"""A reader of DER (X.690), as far as Intel's certificate extension needs it.

One encoding of each value is accepted, and nothing may be left over: two readers
of the same bytes must not come to two numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["INTEGER", "OBJECT_IDENTIFIER", "SEQUENCE", "elements", "one_element", "small_number"]

INTEGER, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x06, 0x30
_SHORT = 0x80
_LONGEST = 2  # bytes of a length: no extension is larger than a certificate file


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and contents of the elements that follow one another in the data.

    Raises:
        ValueError: it is not DER, or holds tags of more than one byte.
    """
    position = 0
    while position < len(data):
        tag, contents, position = _element(data, position)
        yield tag, contents


def one_element(data: bytes, tag: int) -> bytes:
    """Return the contents of the one element that the data is.

    Raises:
        ValueError: it is not one element, or has another tag.
    """
    found = list(elements(data))
    if len(found) != 1 or found[0][0] != tag:
        raise ValueError(f"{len(found)} elements where one of tag {tag:#04x} belongs")
    return found[0][1]


def small_number(tag: int, contents: bytes, *, most: int) -> int:
    """Return an INTEGER from 0 to `most` (section 8.3).

    Raises:
        ValueError: it is none, is out of range, or has a byte too many.
    """
    value = int.from_bytes(contents, "big", signed=True)
    shortest = max(1, (value.bit_length() + 8) // 8)
    if tag != INTEGER or len(contents) != shortest or not 0 <= value <= most:
        raise ValueError(f"{contents[:16].hex()} where an integer from 0 to {most} belongs")
    return value


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    if position + 2 > len(data) or data[position] & 0x1F == 0x1F:
        raise ValueError("no element where one belongs")
    tag, size = data[position], data[position + 1]
    start = position + 2
    if size >= _SHORT:
        count = size - _SHORT
        start += count
        size = int.from_bytes(data[start - count : start], "big")
        if not 0 < count <= _LONGEST or size < _SHORT or size >> 8 * (count - 1) == 0:
            raise ValueError("a length in another than its shortest form")
    if start + size > len(data):
        raise ValueError("an element that ends behind its holder")
    return tag, data[start : start + size], start + size
