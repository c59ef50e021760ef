"""What a wasm worker does: one input, one answer, a fresh instance each, until its channel closes.

The input is read from the channel straight into the instance's memory, and the output
written from there: an invocation leaves no trace in this process's own memory. The
instance for the next invocation is made before its input comes.
"""

from __future__ import annotations

import os
import socket
from typing import Final, NamedTuple

from enclaved.sandbox.answer import ANSWER_HEADER, ERROR_BYTES, Status
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.channel import INPUT_LENGTH, LOADED
from enclaved.sandbox.wasm_module import GuestError, Instance, Program
from enclaved.sandbox.watchdog import Watchdog

__all__ = ["serve"]

_OK: Final = 0
_ERROR: Final = 1
_CHUNK: Final = 256 * 1024
_CUT: Final = b"\n[cut]"


class _Limits(NamedTuple):
    time_ms: int
    output_bytes: int


def serve(channel: socket.socket, program: Program, assignment: Assignment) -> None:
    """Answer one input after another, until the enclave closes the channel."""
    for stream in (1, 2):
        os.dup2(0, stream)  # a module has nothing to print with; what a library prints is no caller's to read
    limits = _Limits(assignment.time_ms, assignment.output_bytes)
    watchdog = Watchdog(program.interrupt, seconds=assignment.time_ms / 1000)
    channel.sendall(LOADED)
    while True:
        with program.instantiate() as instance:
            header = bytearray(INPUT_LENGTH.size)
            _read_into(channel, memoryview(header))
            (length,) = INPUT_LENGTH.unpack(header)
            _answer(channel, instance, length, watchdog=watchdog, limits=limits)


def _answer(channel: socket.socket, instance: Instance, length: int, *, watchdog: Watchdog, limits: _Limits) -> None:
    unread = length
    try:
        with watchdog.watching():
            instance.restart_clock()
            pointer = instance.allocate(length)
            with instance.view(pointer, length, what="what enclaved_alloc gave") as target:
                unread = 0
                _read_into(channel, target)
            at, size = instance.handle(pointer, length)
        with instance.view(at, size, what="what enclaved_handle gave") as output:
            _send_output(channel, output, limits)
    except GuestError as error:
        _skip(channel, unread)  # or it would be taken for the next input
        text = f"did not end within {limits.time_ms} ms" if error.status is Status.TIME else error.text
        _send(channel, error.status, memoryview(_cut(text.encode(errors="replace"))))


def _send_output(channel: socket.socket, output: memoryview, limits: _Limits) -> None:
    if not output:
        raise GuestError(Status.FAILED, "its output has no first byte, which says whether it is one")
    match output[0]:
        case 0 if len(output) - 1 > limits.output_bytes:
            raise GuestError(Status.TOO_LARGE, f"its output is longer than {limits.output_bytes} bytes")
        case 0:
            _send(channel, Status.OK, output[1:])
        case 1:
            _send(channel, Status.FAILED, memoryview(_cut(bytes(output[1 : ERROR_BYTES + 2]))))
        case other:
            raise GuestError(Status.FAILED, f"its output begins with {other}, which is neither {_OK} nor {_ERROR}")


def _send(channel: socket.socket, status: Status, body: memoryview) -> None:
    """Write one answer, in one piece where it fits, so that its reader wakes up once."""
    with body:
        header = ANSWER_HEADER.pack(status, len(body))
        sent = os.writev(channel.fileno(), (header, body))  # sendmsg could send descriptors: a worker may not call it
        if sent < len(header) + len(body):
            channel.sendall(body[sent - len(header) :])


def _read_into(channel: socket.socket, target: memoryview) -> None:
    """Read exactly as much as `target` holds, or end: nobody waits for an answer of ours any more."""
    while target:
        count = channel.recv_into(target)
        if not count:
            raise SystemExit(0)
        target = target[count:]


def _skip(channel: socket.socket, length: int) -> None:
    nowhere = memoryview(bytearray(min(length, _CHUNK)))
    while length:
        part = nowhere[: min(length, _CHUNK)]
        _read_into(channel, part)
        length -= len(part)


def _cut(text: bytes) -> bytes:
    return text if len(text) <= ERROR_BYTES else text[: ERROR_BYTES - len(_CUT)] + _CUT
