"""A broker's address, parsed once from the URL that a person writes.

Secrets have no place in a URL: URLs end in process lists, logs and shell
histories. So user information is refused here; a user name is an option of its
own and a password comes from a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, unquote, urlsplit

from enclaved.errors import ConfigurationError

__all__ = ["BrokerAddress", "Scheme", "parse_broker_url"]

_WHERE = "broker"
_EXAMPLES = "Write mqtt://host[:port], mqtts://, ws://, wss:// or unix:/path"
_WEBSOCKET_PATH = "/mqtt"  # what EMQX, HiveMQ and mosquitto behind a proxy serve


class Scheme(Enum):
    """How bytes reach the broker."""

    MQTT = "mqtt"
    MQTTS = "mqtts"
    WS = "ws"
    WSS = "wss"
    UNIX = "unix"

    @property
    def encrypted(self) -> bool:
        """Whether the connection itself is TLS."""
        return self in (Scheme.MQTTS, Scheme.WSS)

    @property
    def websocket(self) -> bool:
        """Whether MQTT is carried in WebSocket frames."""
        return self in (Scheme.WS, Scheme.WSS)


_PORTS = {Scheme.MQTT: 1883, Scheme.MQTTS: 8883, Scheme.WS: 80, Scheme.WSS: 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker listens.

    Attributes:
        scheme: how to reach it.
        host: name or IP address, without brackets; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        path: the socket's path, or the WebSocket's; empty for plain MQTT.
    """

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def url(self) -> str:
        """The address as a person would write it."""
        if self.scheme is Scheme.UNIX:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme.value}://{host}:{self.port}{self.path}"


def parse_broker_url(url: str) -> BrokerAddress:
    """Read a broker's URL.

    Args:
        url: `mqtt://host[:port]`, `mqtts://…`, `ws://host[:port][/path]`, `wss://…` or `unix:/path`.

    Raises:
        ConfigurationError: it is none of these, or it carries a user, a password, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        scheme = Scheme(parts.scheme)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(_WHERE, "is not the URL of a broker", remedy=_EXAMPLES) from error
    _check_extras(parts)
    if scheme is Scheme.UNIX:
        return _unix_address(parts)
    if not parts.hostname:
        raise ConfigurationError(_WHERE, "names no host", remedy=_EXAMPLES)
    if port == 0:
        raise ConfigurationError(_WHERE, "names port 0", remedy="Name a port from 1 to 65535")
    if not scheme.websocket and parts.path not in ("", "/"):
        raise ConfigurationError(_WHERE, "has a path, which plain MQTT does not know", remedy=_EXAMPLES)
    path = (parts.path or _WEBSOCKET_PATH) if scheme.websocket else ""
    return BrokerAddress(scheme=scheme, host=parts.hostname, port=port or _PORTS[scheme], path=path)


def _check_extras(parts: SplitResult) -> None:
    """Refuse what an MQTT address cannot carry; the text repeats none of it."""
    if "@" in parts.netloc:
        remedy = "Give the user by its own option and the password in a file"
        raise ConfigurationError(_WHERE, "carries a user or a password", remedy=remedy)
    if parts.query or parts.fragment:
        raise ConfigurationError(_WHERE, "has a query or a fragment", remedy=_EXAMPLES)


def _unix_address(parts: SplitResult) -> BrokerAddress:
    if parts.netloc or not parts.path.startswith("/"):
        raise ConfigurationError(_WHERE, "names no absolute socket path", remedy="Write unix:/run/broker.sock")
    return BrokerAddress(scheme=Scheme.UNIX, path=unquote(parts.path))
