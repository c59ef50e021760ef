"""Pictures for the thumbnail function: a writer of every kind of PNG, a reader of its outputs, and its sample."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_OPACITY, COLOUR_OPACITY = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_OPACITY: 2, COLOUR_OPACITY: 4}

Pixel = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row, each red, green, blue and opacity."""

    width: int
    height: int
    pixels: tuple[Pixel, ...]


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a part of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    *,
    width: int,
    kind: int,
    depth: int,
    rows: Sequence[bytes],
    filters: Sequence[int] = (),
    more: bytes = b"",
    level: int = 9,
) -> bytes:
    """Return a PNG file of packed rows; `filters` are used in turn."""
    step = max(1, SAMPLES[kind] * depth // 8)
    before, raw = bytes(len(rows[0])), b""
    for number, row in enumerate(rows):
        which = filters[number % len(filters)] if filters else 0
        raw += bytes([which]) + filtered(row, before, step=step, which=which)
        before = row
    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(raw, level)) + chunk(b"IEND", b"")
    return SIGNATURE + body


def filtered(row: bytes, before: bytes, *, step: int, which: int) -> bytes:
    """Return a row as a PNG filter leaves it."""
    result = bytearray()
    for index, value in enumerate(row):
        left = row[index - step] if index >= step else 0
        corner = before[index - step] if index >= step else 0
        guess = (0, left, before[index], (left + before[index]) // 2, _paeth(left, before[index], corner))[which]
        result.append(value - guess & 0xFF)
    return bytes(result)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def read_thumbnail(data: bytes) -> Picture:
    """Read a PNG of the one kind that the function writes; each checksum has to be right."""
    assert data.startswith(SIGNATURE)
    parts, at = {}, len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert data[at : at + 12 + length] == chunk(name, body)
        parts[name] = body
        at += length + 12
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *kind = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert kind == [8, COLOUR_OPACITY, 0, 0, 0]
    raw = zlib.decompress(parts[b"IDAT"])
    lines = [raw[start : start + width * 4 + 1] for start in range(0, len(raw), width * 4 + 1)]
    assert len(lines) == height
    assert all(line[0] == 0 for line in lines)
    pixels = [struct.unpack_from("4B", line, 1 + 4 * x) for line in lines for x in range(width)]
    return Picture(width, height, tuple((r, g, b, a) for r, g, b, a in pixels))


def sample_picture() -> bytes:
    """Return the picture of the function's sample: hills before an evening sky, drawn by formula."""
    width, height = 360, 240
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            row += bytes(_scenery(x / width, y / height))
        rows.append(bytes(row))
    return png(width=width, kind=COLOUR, depth=8, rows=rows, filters=(4,))


def _scenery(x: float, y: float) -> tuple[int, int, int]:
    hills = ((0.62, 0.08, 5.0, (86, 84, 130)), (0.74, 0.05, 9.0, (52, 62, 92)), (0.88, 0.03, 14.0, (24, 34, 48)))
    for base, swing, waves, colour in reversed(hills):
        if y > base + swing * math.sin(waves * x + base * 40):
            return colour
    if (x - 0.68) ** 2 * 2.25 + (y - 0.38) ** 2 < 0.008:
        return 255, 226, 150
    return int(70 + 185 * y), int(60 + 120 * y), int(120 + 30 * (1 - y))
