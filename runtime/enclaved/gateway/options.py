"""What a gateway is started with: one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from enclaved.errors import ConfigurationError
from enclaved.gateway.address import LinkAddress
from enclaved.gateway.link import LinkDeadlines
from enclaved.mqtt.transport import DEFAULT_TRANSPORT, BrokerAddress, Connection, Tls

__all__ = ["GatewayOptions", "read_password"]

_MAX_PASSWORD = 65_535  # MQTT 5.0, section 3.1.3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What a gateway is started with.

    Attributes:
        broker: where the broker listens.
        link: where the enclave listens.
        transport: the transport's name.
        username: as whom to connect to the broker, or None.
        password: the password itself; it comes from a file.
        tls: roots and certificates, where the system's roots do not do.
        keep_alive_s: seconds between signs of life to the broker.
        stop_s: within how many seconds an orderly stop ends.
        deadlines: how long the link waits for what.
    """

    broker: BrokerAddress
    link: LinkAddress
    transport: str = DEFAULT_TRANSPORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    keep_alive_s: int = 30
    stop_s: float = 4.5
    deadlines: LinkDeadlines = field(default_factory=LinkDeadlines)

    def __post_init__(self) -> None:
        self.connection("gateway")  # what does not go together is told at once, not when the enclave is there

    def connection(self, client_id: str) -> Connection:
        """Return how to reach the broker under that client id.

        Raises:
            ConfigurationError: the options do not go together.
        """
        return Connection(
            address=self.broker,
            client_id=client_id,
            username=self.username,
            password=self.password,
            tls=self.tls,
            keep_alive_s=self.keep_alive_s,
        )


def read_password(path: Path) -> str:
    """Return the password that a file holds, without the newline at its end.

    Raises:
        ConfigurationError: it cannot be read or holds none.
    """
    remedy = "Name a file that holds the password and nothing else"
    try:
        with path.open(encoding="utf-8") as file:
            password = file.read(_MAX_PASSWORD + 1).removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("password-file", "cannot be read as text", remedy=remedy) from error
    if not password or len(password) > _MAX_PASSWORD:
        raise ConfigurationError("password-file", "holds no password", remedy=remedy)
    return password
