"""A byte stream over one connected socket, Unix or vsock alike.

anyio's own streams know no vsock, and one path for both is one path that is
tested. The socket is made here and nowhere else.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Protocol

import anyio

from enclaved.errors import LinkError
from enclaved.gateway.address import LinkAddress, UnixAddress

__all__ = ["LinkStream", "OpenSocket", "SocketStream", "Target", "connect", "open_socket"]

_CHUNK = 1 << 18  # one read takes a typical frame whole


class LinkStream(Protocol):
    """What the link needs of a connection; one task sends, one receives."""

    async def receive(self) -> bytes:
        """Return the next bytes, or none at the end.

        Raises:
            LinkError: the connection broke.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Send all bytes, waiting while the other end does not read.

        A cancelled call may have sent a part: the stream is then good for nothing.

        Raises:
            LinkError: the connection broke.
        """
        ...

    def close(self) -> None:
        """Close it; nobody may be receiving or sending."""
        ...


Target = str | tuple[int, int]
"""What a socket is connected to: a path, or a context and a port."""

OpenSocket = Callable[[LinkAddress], tuple[socket.socket, Target]]
"""Makes an unconnected socket for an address, and what to connect it to."""


def open_socket(address: LinkAddress) -> tuple[socket.socket, Target]:
    """Make the socket that an address calls for.

    Raises:
        LinkError: this system has no such sockets.
    """
    if isinstance(address, UnixAddress):
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(address.path)
    family = getattr(socket, "AF_VSOCK", None)
    if family is None:
        raise LinkError("this system has no vsock")
    try:
        return socket.socket(family, socket.SOCK_STREAM), (address.cid, address.port)
    except OSError as error:
        raise LinkError(f"no vsock socket: {_name(error)}") from error


async def connect(address: LinkAddress, *, make: OpenSocket = open_socket) -> SocketStream:
    """Connect to an enclave.

    Raises:
        LinkError: nobody listens there, or it cannot be reached.
    """
    made, target = make(address)
    try:
        made.setblocking(False)  # noqa: FBT003  the standard library's own signature
        await _connect(made, target)
    except BaseException:
        made.close()
        raise
    return SocketStream(made)


async def _connect(made: socket.socket, target: Target) -> None:
    code = made.connect_ex(target)
    if code in (errno.EINPROGRESS, errno.EINTR):
        await anyio.wait_writable(made)
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:  # EAGAIN as well: on a Unix socket it says that the backlog is full, not that one should wait
        raise LinkError(f"no connection: {os.strerror(code)}")


class SocketStream:
    """A `LinkStream` over a connected socket that does not block."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def receive(self) -> bytes:
        """Return the next bytes, or none at the end."""
        while True:
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError as error:
                raise LinkError(f"receiving failed: {_name(error)}") from error

    async def send(self, data: bytes) -> None:
        """Send all bytes."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise LinkError(f"sending failed: {_name(error)}") from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _name(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
