"""image-thumbnail reads every kind of PNG and PNM as it is meant, and survives what is no image."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture import (
    COLOUR,
    COLOUR_OPACITY,
    GREY,
    GREY_OPACITY,
    PALETTE,
    SAMPLES,
    SIGNATURE,
    Picture,
    Pixel,
    chunk,
    png,
    read_thumbnail,
    sample_picture,
)

Answer = Callable[[str, bytes], bytes]

KINDS = [
    *((GREY, depth) for depth in (1, 2, 4, 8, 16)),
    *((PALETTE, depth) for depth in (1, 2, 4, 8)),
    *((kind, depth) for kind in (COLOUR, GREY_OPACITY, COLOUR_OPACITY) for depth in (8, 16)),
]
COLOURS = tuple((number, 255 - number, number * 7 % 256, 255 - number * 3 % 256) for number in range(256))


def shrunk(answer: Answer, data: bytes) -> Picture:
    """Return the thumbnail of an image that is one."""
    result = answer("image-thumbnail", data)
    assert result[0] == 0, result
    return read_thumbnail(result[1:])


def refusal(answer: Answer, data: bytes) -> str:
    """Return why an image is refused."""
    result = answer("image-thumbnail", data)
    assert result[0] == 1, result[:40]
    return result[1:].decode().removeprefix("the image cannot be read: ")


def packed(samples: list[int], depth: int) -> bytes:
    """Return a row's samples as PNG stores them."""
    bits = "".join(f"{each:0{depth}b}" for each in samples)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def shown(samples: tuple[int, ...], kind: int, depth: int) -> Pixel:
    """Return what a pixel's samples mean."""
    if kind == PALETTE:
        return COLOURS[samples[0]]
    eight = [each >> 8 if depth == 16 else each * 255 // ((1 << depth) - 1) for each in samples]
    if kind in (GREY, GREY_OPACITY):
        eight = [eight[0], eight[0], eight[0], *eight[1:]]
    return (eight[0], eight[1], eight[2], eight[3] if len(eight) == 4 else 255)


def seen(pixel: Pixel) -> Pixel:
    """Return a pixel as a mean of itself: of what is not there at all, no colour is left."""
    return pixel if pixel[3] else (0, 0, 0, 0)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(KINDS), level=st.sampled_from([0, 1, 9]))
def test_a_small_image_stays_as_it_is(data: st.DataObject, kind: tuple[int, int], level: int, answer: Answer) -> None:
    """Every kind of colour, every depth, every filter, stored and packed: pixel for pixel."""
    colour, depth = kind
    width, height = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 6))
    count = width * SAMPLES[colour]
    sample = st.integers(0, (1 << depth) - 1)
    rows = [data.draw(st.lists(sample, min_size=count, max_size=count)) for _ in range(height)]
    more = b""
    if colour == PALETTE:
        more = chunk(b"PLTE", b"".join(bytes(each[:3]) for each in COLOURS))
        more += chunk(b"tRNS", bytes(each[3] for each in COLOURS))
    image = png(
        width=width,
        kind=colour,
        depth=depth,
        rows=[packed(row, depth) for row in rows],
        filters=data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=5)),
        more=more,
        level=level,
    )

    step = SAMPLES[colour]
    pixels = [shown(tuple(row[at : at + step]), colour, depth) for row in rows for at in range(0, count, step)]
    assert shrunk(answer, image) == Picture(width, height, tuple(map(seen, pixels)))


@pytest.mark.parametrize(("width", "height", "to"), [(256, 128, (128, 64)), (129, 1, (128, 1)), (3, 999, (1, 128))])
def test_a_large_image_keeps_its_proportions(width: int, height: int, to: tuple[int, int], answer: Answer) -> None:
    """At most 128 on the longer side, and never less than one pixel."""
    picture = shrunk(answer, b"P5 %d %d 255\n" % (width, height) + bytes(width * height))

    assert (picture.width, picture.height) == to
    assert set(picture.pixels) == {(0, 0, 0, 255)}


def test_pixels_are_the_mean_of_what_they_stand_for(answer: Answer) -> None:
    """And what cannot be seen lends no colour."""
    black, white, hidden = (0, 0, 0, 255), (255, 255, 255, 255), (200, 0, 0, 0)
    rows = [bytes(black + white) * 128, bytes(hidden + white) * 128]
    image = png(width=256, kind=COLOUR_OPACITY, depth=8, rows=rows * 2)

    assert set(shrunk(answer, image).pixels) == {(170, 170, 170, 191)}


def test_pnm_is_read_with_comments_and_scales(answer: Answer) -> None:
    """Grey and colour; samples are scaled to the header's largest."""
    assert shrunk(answer, b"P5\n# a comment\n2 1\n15\n\x00\x0f").pixels == ((0, 0, 0, 255), (255, 255, 255, 255))
    assert shrunk(answer, b"P6 1 1 255 \x01\x02\x03").pixels == ((1, 2, 3, 255),)


IMAGE = png(width=4, kind=COLOUR, depth=8, rows=[bytes(range(12))] * 3)
HUGE = chunk(b"IHDR", (70000).to_bytes(4, "big") * 2 + b"\x08\x06\0\0\0")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither PNG nor binary PNM"),
        (b"GIF89a", "neither PNG nor binary PNM"),
        (IMAGE[:-1], "it is cut"),
        (SIGNATURE, "it is cut"),
        (IMAGE.replace(b"IEND", b"IENd"), "checksum"),
        (SIGNATURE + chunk(b"IDAT", b"x") + chunk(b"IEND", b""), "does not have one header"),
        (SIGNATURE + HUGE + chunk(b"IEND", b""), "larger than 16 megapixels"),
        (b"P6 65535 65535 255 ", "larger than 16 megapixels"),
        (b"P6 4096 4097 255 ", "larger than 16 megapixels"),
        (b"P6 99999999999 1 255 ", "its header is damaged"),
        (b"P5 1 1 65535 \0\0", "two bytes for each sample"),
        (b"P5 9 9 255 \0", "its data is shorter than its size says"),
        (png(width=9, kind=COLOUR, depth=8, rows=[b"x"]), "its data is shorter than its size says"),
        (png(width=1, kind=GREY, depth=8, rows=[bytes(99)]), "its data is longer than its size says"),
        (png(width=1, kind=PALETTE, depth=8, rows=[b"\1"], more=chunk(b"PLTE", b"abc")), "its palette does not have"),
        (png(width=1, kind=PALETTE, depth=8, rows=[b"\1"], more=chunk(b"PLTE", b"ab")), "its palette is damaged"),
    ],
)
def test_what_is_no_good_image_is_refused_in_words(data: bytes, why: str, answer: Answer) -> None:
    """The caller is told what is wrong with it."""
    assert why in refusal(answer, data)


def test_an_interlaced_image_is_refused(answer: Answer) -> None:
    """It is a good one, and this function does not read it."""
    header = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\1")
    data = SIGNATURE + header + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")

    assert "interlaced" in refusal(answer, data)


@settings(max_examples=150)
@given(data=st.data())
def test_no_bytes_make_it_fail_in_another_way(data: st.DataObject, answer: Answer) -> None:
    """A picture or a refusal, whatever is turned in a file; checksums are mended, so that the damage gets through."""
    raw = bytearray(zlib.compress(data.draw(st.binary(max_size=300)), data.draw(st.sampled_from([0, 9]))))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    header = data.draw(st.tuples(st.integers(0, 40), st.integers(0, 40)))
    kind = data.draw(st.sampled_from(KINDS))
    body = b"".join(each.to_bytes(4, "big") for each in header) + bytes([kind[1], kind[0], 0, 0, 0])
    parts = [(b"IHDR", body), (b"PLTE", data.draw(st.binary(max_size=12))), (b"IDAT", bytes(raw)), (b"IEND", b"")]
    image = SIGNATURE + b"".join(chunk(*part) for part in parts)

    assert answer("image-thumbnail", image)[0] in (0, 1)
    cut = data.draw(st.integers(0, len(image)))
    assert answer("image-thumbnail", image[:cut] + data.draw(st.binary(max_size=20)))[0] in (0, 1)


def test_the_sample_is_the_drawn_picture(functions: Path, answer: Answer) -> None:
    """Where it comes from is written down; how tightly it is packed differs between builds of zlib."""
    sample = (functions / "image-thumbnail" / "sample.png").read_bytes()

    assert shrunk(answer, sample) == shrunk(answer, sample_picture())
