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
    """An open TPM; every method raises `OSError`."""

    def exchange(self, sent: bytes) -> bytes:
        """Send one command, and return the response's bytes."""
        ...

    def close(self) -> None:
        """Let go of the TPM."""
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
                received = self._exchange.exchange(sent)
            except OSError as error:
                raise DeviceError(f"{self._where}: the TPM does not answer: {error.strerror or error}") from error
            if len(received) < _HEADER:
                raise DeviceError(f"{self._where}: the TPM answered {len(received)} bytes, which is no response")
            if int.from_bytes(received[6:10], "big") not in _BUSY:
                return received
            self._pause(_PAUSE_S)
        raise DeviceError(f"{self._where}: the TPM stays busy")

    def close(self) -> None:
        """Let go of the TPM."""
        self._exchange.close()


class _Device:
    """The kernel's device: a command is one write, its response one read."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def exchange(self, sent: bytes) -> bytes:
        if os.write(self._descriptor, sent) != len(sent):
            raise OSError("a command was written in part")
        return os.read(self._descriptor, _LARGEST)

    def close(self) -> None:
        os.close(self._descriptor)


class _Stream:
    """A software TPM's socket: commands and responses follow each other, each with its size inside."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(_TIMEOUT_S)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def exchange(self, sent: bytes) -> bytes:
        self._socket.sendall(sent)
        header = self._receive(_HEADER)
        size = int.from_bytes(header[2:6], "big")
        if not _HEADER <= size <= _LARGEST:
            raise OSError(f"it announces {size} bytes")
        return header + self._receive(size - _HEADER)

    def close(self) -> None:
        self._socket.close()

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            part = self._socket.recv(size - len(received))
            if not part:
                raise ConnectionResetError("it has hung up")
            received += part
        return received


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
            return TpmConnection(_Stream(path), where=str(path))
        if stat.S_ISCHR(mode):
            return TpmConnection(_Device(path), where=str(path))
    except OSError as error:
        raise DeviceError(f"{path}: the TPM cannot be opened: {error.strerror}") from error
    raise DeviceError(f"{path}: neither a device nor a socket")
