"""What a function printed, read from a pipe without end into a buffer with one.

The pipe is a real descriptor, so that C code and crashing processes are heard too.
It is read for as long as the worker lives, even when no more is kept: a function
must not come to a halt because it prints.
"""

from __future__ import annotations

import os
from typing import Final

import anyio

from enclaved.sandbox.limits import LOG_BYTES

__all__ = ["LogReader"]

_PIPE_BYTES: Final = 64 * 1024  # what a pipe holds
_PAUSE_S: Final = 0.005  # a function that prints for ever must not take the enclave's processor with it


class LogReader:
    """Reads one worker's stdout and stderr.

    Args:
        descriptor: the pipe's reading end, which the reader owns.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._kept = bytearray()
        self._size = 0

    async def drain(self) -> None:
        """Read until nobody holds the writing end, or `close`."""
        while self._descriptor >= 0:
            try:
                if not self._read():
                    return
            except BlockingIOError:
                try:
                    await anyio.wait_readable(self._descriptor)
                except anyio.ClosedResourceError:
                    return
            else:
                if self._size > LOG_BYTES:
                    await anyio.sleep(_PAUSE_S)

    def text(self) -> bytes:
        """Return what was printed until now, cut and marked at `LOG_BYTES`."""
        try:
            while self._descriptor >= 0 and self._size <= LOG_BYTES and self._read():
                pass
        except BlockingIOError:
            pass
        if self._size <= LOG_BYTES:
            return bytes(self._kept)
        mark = b"\n[cut]\n"
        return bytes(self._kept[: LOG_BYTES - len(mark)]) + mark

    def close(self) -> None:
        """Stop reading."""
        if self._descriptor >= 0:
            anyio.notify_closing(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> int:
        data = os.read(self._descriptor, _PIPE_BYTES)
        self._size += len(data)
        self._kept += data[: max(0, LOG_BYTES - len(self._kept))]
        return len(data)
