"""A worker's answer: status (1 byte), length (4 bytes, big-endian), that many bytes, end.

The worker runs the function's code, so its answer is written by whoever wrote the
function. There is no parser to attack: the length is judged before a byte of the
contents is kept, and the stream must end exactly where the answer said.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from enclaved.errors import ProtocolError

__all__ = ["ANSWER_HEADER", "ERROR_BYTES", "Answer", "AnswerReader", "NoAnswerError", "OutputTooLargeError", "Status"]

ERROR_BYTES: Final = 8 * 1024
"""The longest text of a failure."""

ANSWER_HEADER: Final = struct.Struct(">BI")
"""Precedes the body: the status and the length."""


class OutputTooLargeError(ProtocolError):
    """The answer says that its output is longer than the function's limit."""


class NoAnswerError(ProtocolError):
    """The stream ended before a whole answer had come."""


class Status(IntEnum):
    """How the call ended, as the worker saw it."""

    OK = 0
    FAILED = 1
    MEMORY = 2
    TIME = 3
    TOO_LARGE = 4


class Answer(NamedTuple):
    """A whole answer."""

    status: Status
    body: bytes

    def encode(self) -> bytes:
        """Return the answer as it is sent: in one piece, so that its reader wakes up once."""
        return ANSWER_HEADER.pack(self.status, len(self.body)) + self.body


class AnswerReader:
    """Reads one answer from a stream that may hold anything.

    Args:
        output_bytes: the longest output that is accepted.
    """

    def __init__(self, *, output_bytes: int) -> None:
        self._output_bytes = output_bytes
        self._data = bytearray()
        self._status: Status | None = None
        self._end = ANSWER_HEADER.size

    def feed(self, data: bytes) -> None:
        """Take what came next on the stream.

        Raises:
            OutputTooLargeError: the output is longer than accepted.
            ProtocolError: the status is unknown, or bytes follow the answer's end.
        """
        self._data += data
        if self._status is None and len(self._data) >= ANSWER_HEADER.size:
            self._read_header()
        if self._status is not None and len(self._data) > self._end:
            raise ProtocolError("answer", "more bytes than it said")

    @property
    def is_whole(self) -> bool:
        """Return whether the answer has come to its end, while its stream may go on."""
        return self._status is not None and len(self._data) == self._end

    def finish(self) -> Answer:
        """Return the answer, now that nothing more of it comes.

        Raises:
            NoAnswerError: it ended too early.
        """
        if self._status is None or not self.is_whole:
            raise NoAnswerError("answer", "it ends too early")
        return Answer(self._status, bytes(memoryview(self._data)[ANSWER_HEADER.size :]))

    def _read_header(self) -> None:
        status, length = ANSWER_HEADER.unpack_from(self._data)
        if status not in tuple(Status):
            raise ProtocolError("answer", "its status is unknown")
        self._status = Status(status)
        if self._status is not Status.OK and length > ERROR_BYTES:
            raise ProtocolError("answer", "its error text is too long")
        if length > self._output_bytes and self._status is Status.OK:
            raise OutputTooLargeError("answer", f"its output is longer than {self._output_bytes} bytes")
        self._end = ANSWER_HEADER.size + length
