"""The enclave's end of the link: frames on a Unix socket or on vsock.

A callback protocol, since this is on the path of every message. When the gateway
does not take what it is sent, nothing more is read from it, and what was read is
not looked at: repeats are small, and their answers are not.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - a callback protocol on a socket of any family; its tasks are the server's
import logging
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import anyio

from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.frames import Frame, FrameReader, encode_frame

__all__ = ["Link", "listen_socket", "serve_links"]

_LOG = logging.getLogger(__name__)
_BACKLOG = 8
_HELLO_S = 10.0  # a connection that says nothing takes a place from one that would
_VSOCK_ANY = 0xFFFFFFFF


class Link(asyncio.Protocol):
    """One gateway's connection."""

    def __init__(
        self,
        *,
        made: Callable[[Link], None],
        receive: Callable[[Link, Frame], None],
        lost: Callable[[Link], None],
    ) -> None:
        """Wait for a connection.

        Args:
            made: hears that it is connected, and may close it.
            receive: gets each frame.
            lost: hears that it is gone.
        """
        self._made = made
        self._receive = receive
        self._lost = lost
        self._frames = FrameReader()
        self._unread: deque[Frame] = deque()
        self._is_stalled = False
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, frame: Frame) -> None:
        """Send a frame; nothing happens where the connection is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(frame))

    def keep(self) -> None:
        """Let the connection stay: it has said hello."""
        if self._deadline is not None:
            self._deadline.cancel()

    def close(self) -> None:
        """Close the connection after what was sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; it stays if it says hello soon."""
        self._transport = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(_HELLO_S, self.close)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on the frames that are complete; who does not keep to them is disconnected."""
        try:
            self._unread.extend(self._frames.feed(data))
            self._hand_on()
        except ProtocolError:
            self.close()

    def pause_writing(self) -> None:
        """Stop reading while the gateway does not take its answers."""
        self._is_stalled = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, what was read already first."""
        self._is_stalled = False
        try:
            self._hand_on()
        except ProtocolError:
            self.close()
        if self._transport is not None and not self._is_stalled and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.keep()
        self._transport = None
        self._unread.clear()
        self._lost(self)

    def _hand_on(self) -> None:
        while self._unread and not self._is_stalled and self._transport is not None:
            if self._transport.is_closing():
                return
            self._receive(self, self._unread.popleft())


def listen_socket(address: str) -> socket.socket:
    """Return a listening socket for a link address.

    Args:
        address: ``unix:PATH`` or ``vsock:CID:PORT`` (CID -1 for any).

    Raises:
        ConfigurationError: the address is of another form, or cannot be listened on.
    """
    kind, _, rest = address.partition(":")
    try:
        match kind:
            case "unix":
                return _listen_unix(Path(rest))
            case "vsock":
                return _listen_vsock(rest)
            case _:
                raise ConfigurationError("link", "neither unix:PATH nor vsock:CID:PORT", remedy="Write one of them.")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"link {address}", str(error), remedy="Choose an address that is free.") from error


async def serve_links(listener: socket.socket, make: Callable[[], Link]) -> None:
    """Accept connections until cancelled.

    Args:
        listener: from `listen_socket`; closed at the end.
        make: makes the protocol of a connection.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_fault)
    server = await loop.create_server(make, sock=listener)
    try:
        await anyio.sleep_forever()
    finally:
        server.close()


def _log_fault(_: asyncio.AbstractEventLoop, fault: dict[str, object]) -> None:
    """Log that a callback failed, and not with which words: an exception's text may hold what it failed on."""
    _LOG.error("a callback failed: %s", type(fault.get("exception")).__name__)


def _listen_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # its folder is private; what lies there is of an earlier run
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _listen_vsock(rest: str) -> socket.socket:
    cid, _, port = rest.partition(":")
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        listener.bind((_VSOCK_ANY if int(cid) == -1 else int(cid), int(port)))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
