"""Responses as bytes: however they are cut, whatever they hold."""

from __future__ import annotations

import pytest
from enclaved.collateral.error import CollateralError
from enclaved.collateral.response import MAX_HEAD, Response, ResponseReader
from hypothesis import given
from hypothesis import strategies as st

URL = "https://service/x"
HEAD = b"HTTP/1.1 200 OK\r\nX-A: b\r\n"
WHOLE = {
    "length": HEAD + b"Content-Length: 5\r\n\r\nabcde",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n03;x\r\ncde\r\n0\r\nT: x\r\n\r\n",
    "to the end": HEAD + b"\r\nabcde",
}


def read(*pieces: bytes, most: int = 100) -> Response:
    """Return the response that comes in these pieces."""
    reader = ResponseReader(URL, most=most)
    for piece in pieces:
        reader.receive(piece)
    return reader.end()


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE.keys())
@given(data=st.data())
def test_a_response_is_the_same_however_it_is_cut(whole: bytes, data: st.DataObject) -> None:
    """The network decides on pieces; they mean nothing."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    response = read(*pieces)

    assert response.body == b"abcde"
    assert response.head.headers["x-a"] == "b"


@pytest.mark.parametrize("name", ["length", "chunks"])
def test_every_response_that_is_cut_short_is_refused(name: str) -> None:
    """A body whose length is known is whole or nothing."""
    for size in range(len(WHOLE[name])):
        with pytest.raises(CollateralError, match="ended before"):
            read(WHOLE[name][:size])


@given(data=st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: HEAD + tail))
def test_no_bytes_escape_as_another_error(data: bytes) -> None:
    """Whatever a service sends is a response or one kind of error."""
    try:
        assert len(read(data).body) <= 100
    except CollateralError as error:
        assert error.what == URL  # noqa: PT017 - either is right, and this is what the other has to be


@given(place=st.integers(0, 200), byte=st.integers(0, 255), name=st.sampled_from(sorted(WHOLE)))
def test_no_turned_byte_escapes_as_another_error(place: int, byte: int, name: str) -> None:
    """Likewise for what is almost a response."""
    turned = bytearray(WHOLE[name])
    turned[place % len(turned)] = byte
    try:
        read(bytes(turned))
    except CollateralError as error:
        assert error.what == URL  # noqa: PT017 - as above


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", "no number"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "two ways"),
        (b"Transfer-Encoding: gzip, chunked\r\n", "two ways"),
        (b"Content-Length: -5\r\n", "no number"),
        (b"Content-Length: 5_0\r\n", "no number"),
        (b"Content-Encoding: gzip\r\nContent-Length: 5\r\n", "compressed"),
        (b"X-A : b\r\n", "header that is none"),
        (b"X-A: b\r\n folded\r\n", "header that is none"),
        (b"X: 1\r\n" * 129, "more than 128 headers"),
        (b"X: " + b"a" * MAX_HEAD + b"\r\n", "head of more than"),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(head: bytes, problem: str) -> None:
    """Two readers would see two bodies."""
    with pytest.raises(CollateralError, match=problem):
        read(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nabcde")


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"5\r\nabcdeX\r\n", b"\r\n", b"5" * 200, b"fffffff1\r\n", b"0\r\n" + b"T: x\r\n" * 129]
)
def test_chunks_that_are_none_are_refused(chunks: bytes) -> None:
    """A chunk's length is hex, the chunk is as long as it says, and not too long."""
    with pytest.raises(CollateralError):
        read(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


def test_a_body_may_have_its_limit_and_not_one_byte_more() -> None:
    """The limit is inclusive."""
    assert len(read(HEAD + b"Content-Length: 100\r\n\r\n" + b"a" * 100).body) == 100
    with pytest.raises(CollateralError, match="more than 100 bytes"):
        read(HEAD + b"Content-Length: 101\r\n\r\n")
