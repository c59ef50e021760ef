"""What a worker does: load the function, take one input, give one answer.

Loading happens before the input is there, while the worker is a spare, so callers
do not wait for imports. A failure to load is kept and told as the answer, because
only a caller may read a function's words.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from enclaved.sandbox.answer import Answer, Status
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.channel import INPUT_LENGTH, LOADED, NOT_LOADED
from enclaved.sandbox.entrypoint import load
from enclaved.sandbox.failure import failure

__all__ = ["serve"]


def serve(channel: socket.socket, assignment: Assignment) -> None:
    """Load the function, read one input from `channel` and write one answer to it."""
    answer, mark = _load(assignment)
    channel.sendall(mark)
    (length,) = INPUT_LENGTH.unpack(_read(channel, INPUT_LENGTH.size))
    channel.sendall(answer(_read(channel, length)).encode())


def _load(assignment: Assignment) -> tuple[Callable[[bytes], Answer], bytes]:
    """Return what answers an input, the function or the reason why it could not be loaded, and which it is."""
    try:
        handle = load(assignment.folder, assignment.entrypoint)
    except BaseException as error:  # noqa: BLE001 - it is the function's code that raises
        not_loaded = failure(error, folder=assignment.folder)
        return lambda _: not_loaded, NOT_LOADED

    def answer(payload: bytes) -> Answer:
        try:
            return _as_answer(handle(payload))
        except BaseException as error:  # noqa: BLE001 - it is the function's code that raises
            return failure(error, folder=assignment.folder)

    return answer, LOADED


def _as_answer(result: object) -> Answer:
    if not isinstance(result, bytes | bytearray | memoryview):
        return Answer(Status.FAILED, f"returned {type(result).__name__}, and only bytes can be an output".encode())
    return Answer(Status.OK, bytes(result))


def _read(channel: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes, or end: nobody waits for an answer of ours any more."""
    data = bytearray()
    while len(data) < size:
        part = channel.recv(min(size - len(data), 1 << 20))
        if not part:
            raise SystemExit(0)
        data += part
    return bytes(data)
