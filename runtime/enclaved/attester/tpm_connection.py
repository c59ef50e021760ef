"""A connection to a TPM: the kernel's ``/dev/tpmrm0``, or the Unix socket of a software TPM.

It is opened once and kept: after that an enclave needs no right to open anything.
Behind a socket a command goes in and a response comes out of a stream; behind the
device each is one write and one read.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from enclaved.errors import DeviceError

__all__ = ["Exchange", "TpmConnection", "open_connection"]

_LARGEST = 4096  # the kernel's buffer (TPM_BUFSIZE)
_HEADER = 10
_TIMEOUT_S = 30.0  # a discrete TPM takes some seconds to make a key
_BUSY = frozenset({0x922, 0x908, 0x90A})  # TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING
_ATTEMPTS = 50
_PAUSE_S = 0.02


class Exchange(Protocol):
    """Sends one command and receives its response."""

    def __call__(self, sent: bytes) -> bytes:
        """Return the response's bytes; raises `OSError`."""
        ...


class TpmConnection:
    """Sends commands, again where the TPM is busy.

    Args:
        exchange: sends one command.
        where: what is behind it, for errors.
        pause: waits so many seconds.
    """

    def __init__(self, exchange: Exchange, *, where: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._exchange = exchange
        self._where = where
        self._pause = pause

    def send(self, sent: bytes) -> bytes:
        """Return the response to a command; a TPM that is busy is asked again.

        Raises:
            DeviceError: the TPM is gone, answers with no response, or stays busy.
        """
        for _ in range(_ATTEMPTS):
            try:
                received = self._exchange(sent)
            except OSError as error:
                raise DeviceError(f"{self._where}: the TPM does not answer: {error.strerror or error}") from error
            if len(received) < _HEADER:
                raise DeviceError(f"{self._where}: the TPM answered {len(received)} bytes, which is no response")
            if int.from_bytes(received[6:10], "big") not in _BUSY:
                return received
            self._pause(_PAUSE_S)
        raise DeviceError(f"{self._where}: the TPM stays busy")


def open_connection(path: Path) -> TpmConnection:
    """Open a TPM.

    Args:
        path: the kernel's device, or a software TPM's socket.

    Raises:
        DeviceError: it cannot be opened, or is neither.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISSOCK(mode):
            return TpmConnection(_connect(path), where=str(path))
        if stat.S_ISCHR(mode):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            return TpmConnection(lambda sent: _exchange_device(descriptor, sent), where=str(path))
    except OSError as error:
        raise DeviceError(f"{path}: the TPM cannot be opened: {error.strerror}") from error
    raise DeviceError(f"{path}: neither a device nor a socket")


def _connect(path: Path) -> Exchange:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        stream.settimeout(_TIMEOUT_S)
        stream.connect(str(path))
    except OSError:
        stream.close()
        raise
    return lambda sent: _exchange_stream(stream, sent)


def _exchange_device(descriptor: int, sent: bytes) -> bytes:
    if os.write(descriptor, sent) != len(sent):
        raise OSError("a command was written in part")
    return os.read(descriptor, _LARGEST)


def _exchange_stream(stream: socket.socket, sent: bytes) -> bytes:
    stream.sendall(sent)
    header = _receive(stream, _HEADER)
    size = int.from_bytes(header[2:6], "big")
    if not _HEADER <= size <= _LARGEST:
        raise OSError(f"it announces {size} bytes")
    return header + _receive(stream, size - _HEADER)


def _receive(stream: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = stream.recv(size - len(received))
        if not part:
            raise ConnectionResetError("it has hung up")
        received += part
    return received
