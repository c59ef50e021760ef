"""One HTTP/1.1 response, as bytes become a typed value (RFC 9112); no I/O.

A service is asked one thing over one connection, so a response is all that ever
comes. Its parts are held to their limits before they are kept: the head, the
length that it announces, and the length that comes. A body that ends before it
should is an error, because half a revocation list is another list.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from enclaved.collateral.error import CollateralError

__all__ = ["MAX_HEAD", "Head", "Response", "ResponseReader"]

MAX_HEAD = 64 << 10  # Intel's issuer chains travel in headers and take up to 8 KiB
_MAX_HEADERS = 128
_MAX_CHUNK_LINE = 128
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_LENGTH = re.compile(r"[0-9]{1,12}")
_REMEDY = "Try again later, or name another service."


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Status and headers.

    Attributes:
        status: the three digits.
        headers: values by name in lower case; values of a name that came twice are joined by a comma.
    """

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole response.

    Attributes:
        head: status and headers.
        body: the body, with all transfer codings undone.
    """

    head: Head
    body: bytes


class ResponseReader:
    """Reads one response to a GET, in whatever pieces it comes.

    `receive` takes the pieces, `end` the end of the connection; `head` is there as
    soon as it is read, and `response` when it is complete.
    """

    def __init__(self, url: str, *, most: int) -> None:
        self._url = url
        self._most = most
        self._buffer = bytearray()
        self._body = bytearray()
        self._steps = self._read()
        self._ended = False
        self.head: Head | None = None
        self.response: Response | None = None

    def receive(self, data: bytes) -> None:
        """Take the next bytes; what follows a whole response is left alone.

        Raises:
            CollateralError: they are no response, or one that is too large.
        """
        if self.response is None:
            self._buffer += data
            self._advance()

    def end(self) -> Response:
        """Take the end of the connection, and return the response.

        Raises:
            CollateralError: the response is not complete.
        """
        self._ended = True
        if self.response is None:
            self._advance()
        if self.response is None:
            raise self._error("the connection ended before the response did", passing=True)
        return self.response

    def _advance(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            assert self.head is not None  # noqa: S101 - the steps end with a head and a body
            self.response = Response(head=self.head, body=bytes(self._body))

    def _read(self) -> Iterator[None]:
        """Read in steps; each yield waits for more bytes."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise self._error(f"a head of more than {MAX_HEAD} bytes")
            yield
        if end > MAX_HEAD:
            raise self._error(f"a head of more than {MAX_HEAD} bytes")
        self.head = self._parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        yield from self._read_body(self.head.headers)

    def _read_body(self, headers: Mapping[str, str]) -> Iterator[None]:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise self._error("a compressed body, which was not asked for")
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                # Two lengths, or a coding that was not asked for: two readers would see two bodies.
                raise self._error("a body whose length is stated in two ways, or in an unknown one")
            yield from self._read_chunks()
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise self._error("a length that is no number")
            self._check_size(int(length))
            yield from self._take(int(length))
        else:
            yield from self._read_to_end()

    def _read_chunks(self) -> Iterator[None]:
        while True:
            line = yield from self._line()
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise self._error("a chunk without a length")
            size = int(match[1], 16)
            if size == 0:
                break
            self._check_size(len(self._body) + size)
            yield from self._take(size)
            if (yield from self._line()):
                raise self._error("a chunk that is longer than it says")
        for _ in range(_MAX_HEADERS):  # trailers, which nobody reads
            if not (yield from self._line()):
                return
        raise self._error("too many trailers")

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _MAX_CHUNK_LINE:
                break
            yield
        if not 0 <= end <= _MAX_CHUNK_LINE:
            raise self._error("a chunk without a length")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self, size: int) -> Iterator[None]:
        wanted = len(self._body) + size
        while True:
            part = self._buffer[: wanted - len(self._body)]
            self._body += part
            del self._buffer[: len(part)]
            if len(self._body) == wanted:
                return
            yield

    def _read_to_end(self) -> Iterator[None]:
        while True:
            self._check_size(len(self._body) + len(self._buffer))
            self._body += self._buffer
            self._buffer.clear()
            if self._ended:
                return
            yield

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise self._error(f"a body of more than {self._most} bytes")

    def _parse_head(self, data: bytes) -> Head:
        first, *lines = data.split(b"\r\n")
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise self._error("an answer that is not HTTP")
        if len(lines) > _MAX_HEADERS:
            raise self._error(f"more than {_MAX_HEADERS} headers")
        headers: dict[str, str] = {}
        for line in lines:
            match = _HEADER_LINE.fullmatch(line)
            if match is None:
                raise self._error("a header that is none")
            name, value = match[1].decode("ascii").lower(), match[2].decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Head(status=int(status[1]), headers=headers)

    def _error(self, problem: str, *, passing: bool = False) -> CollateralError:
        return CollateralError(self._url, problem, remedy=_REMEDY, passing=passing)
