"""A connected socket to a broker, TCP or Unix, with a deadline for every address.

An event loop's own `create_connection` tries a name's addresses one after the
other without a deadline for each; a first one that swallows packets would use up
the whole time, and the second would never be tried.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the loop's own socket calls, for a protocol on its transports
import socket
from ipaddress import ip_address

import anyio

from enclaved.errors import TransportError
from enclaved.mqtt.addresses import BrokerAddress, Scheme

__all__ = ["open_broker_socket"]

_EACH_S = 2.0
_ALL_S = 6.0
_UNANSWERED_MS = 1500  # per second of keep-alive: one and a half times of it, as a broker waits for us


async def open_broker_socket(address: BrokerAddress, *, keep_alive_s: int) -> socket.socket:
    """Return a connected socket that does not block.

    Args:
        address: where the broker listens.
        keep_alive_s: the system gives up on bytes that nobody takes for one and a half times as long.

    Raises:
        TransportError: nobody listens there, or the name is not known.
    """
    failure: Exception = TimeoutError()
    with anyio.move_on_after(_ALL_S):
        try:
            targets = await _targets(address)
        except (OSError, UnicodeError) as error:  # a host name that is none is a UnicodeError
            raise _unreachable(error) from error
        for family, target in targets:
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                _set_options(made, keep_alive_s=keep_alive_s)
                with anyio.fail_after(_EACH_S):
                    await asyncio.get_running_loop().sock_connect(made, target)
            except OSError as error:  # TimeoutError is one
                made.close()
                failure = error
            except BaseException:
                made.close()
                raise
            else:
                return made
    raise _unreachable(failure) from failure


async def _targets(address: BrokerAddress) -> list[tuple[int, str | tuple[str, int]]]:
    """Return families and what to connect to; names are looked up, numbers need no thread for that."""
    if address.scheme is Scheme.UNIX:
        return [(socket.AF_UNIX, address.path)]
    try:
        version = ip_address(address.host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return [(family, target) for family, _, _, _, target in found]  # type: ignore[misc]  # longer for IPv6
    return [(socket.AF_INET6 if version == 6 else socket.AF_INET, (address.host, address.port))]


def _set_options(made: socket.socket, *, keep_alive_s: int) -> None:
    made.setblocking(False)  # noqa: FBT003  the standard library's own signature
    if made.family == socket.AF_UNIX:
        return
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle's algorithm costs 44 ms an exchange
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, keep_alive_s * _UNANSWERED_MS)


def _unreachable(error: Exception) -> TransportError:
    return TransportError(f"the broker cannot be reached: {str(error) or type(error).__name__}")
