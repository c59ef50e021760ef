"""The link's address, parsed once: a Unix socket's path, or a vsock's context and port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from enclaved.errors import ConfigurationError

__all__ = ["LinkAddress", "UnixAddress", "VsockAddress", "parse_link_address"]

_MAX_UNIX_PATH = 107  # sockaddr_un holds 108 with the closing NUL (unix(7))
_MAX_UINT32 = (1 << 32) - 1  # vsock(7): both are 32-bit, and the last value of each means "any"
_DECIMAL = re.compile(r"[0-9]{1,10}\Z")
_REMEDY = "Write unix:/run/enclaved/link.sock or vsock:16:5000"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A Unix socket."""

    path: Path

    @property
    def text(self) -> str:
        """The address as a person would write it."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VsockAddress:
    """A socket between a virtual machine and its host."""

    cid: int
    port: int

    @property
    def text(self) -> str:
        """The address as a person would write it."""
        return f"vsock:{self.cid}:{self.port}"


LinkAddress = UnixAddress | VsockAddress


def parse_link_address(text: str) -> LinkAddress:
    """Read a link's address as a person writes it.

    Args:
        text: ``unix:PATH`` or ``vsock:CID:PORT``.

    Raises:
        ConfigurationError: it is neither.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "unix":
        return _unix(rest)
    if scheme == "vsock":
        return _vsock(rest)
    raise ConfigurationError("link", "is not the address of a link", remedy=_REMEDY)


def _unix(path: str) -> UnixAddress:
    if not path or "\0" in path:
        raise ConfigurationError("link", "names no socket path", remedy=_REMEDY)
    if len(path.encode()) > _MAX_UNIX_PATH:
        problem = f"has a path of more than {_MAX_UNIX_PATH} bytes, which no Unix socket can have"
        raise ConfigurationError("link", problem, remedy="Put the socket into a folder with a shorter path")
    return UnixAddress(path=Path(path))


def _vsock(rest: str) -> VsockAddress:
    numbers = rest.split(":")
    if len(numbers) != 2 or not all(_DECIMAL.match(number) for number in numbers):
        raise ConfigurationError("link", "does not name a context and a port", remedy=_REMEDY)
    cid, port = (int(number) for number in numbers)
    if not (cid < _MAX_UINT32 and port < _MAX_UINT32):
        raise ConfigurationError("link", "names a context or port beyond 32 bits", remedy=_REMEDY)
    return VsockAddress(cid=cid, port=port)
