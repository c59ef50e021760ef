"""What a transport is: how messages reach us from a broker and leave for it.

Delivery is at least once, and loses nothing, because of four rules that every
transport keeps (MQTT 5.0, sections 4.1, 4.4, 4.6 and 4.9):

* a message is acknowledged when its receiver says so, never on arrival;
* an acknowledgement belongs to the connection that delivered the message: after
  a reconnect the broker delivers again, and the old one does nothing;
* acknowledgements go out in delivery order, and what is not acknowledged is
  bounded by the receiver's own slots, whatever the broker sends;
* consuming and publishing are two connections: on a single one, results would
  wait for acknowledgements that sit behind unread messages.

Nothing here knows what the messages mean. Their MQTT properties are routing
hints that a broker can read and change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from enclaved.errors import ConfigurationError
from enclaved.mqtt.addresses import BrokerAddress, Scheme, parse_broker_url

__all__ = [
    "DEFAULT_TRANSPORT",
    "DURABLE",
    "EPHEMERAL",
    "BrokerAddress",
    "Connection",
    "ConnectionEvent",
    "ConnectionState",
    "Consumer",
    "Delivery",
    "FirstConnection",
    "Message",
    "Observer",
    "Publisher",
    "Role",
    "Scheme",
    "Session",
    "Tls",
    "Transport",
    "ignore_events",
    "parse_broker_url",
]

DEFAULT_TRANSPORT: Final = "auto"
"""The name of what is used where nobody names one: the table's choice by the broker's address."""

_MAX_STRING = 65_535  # MQTT 5.0, section 1.5.4
_MAX_KEEP_ALIVE_S = 65_535  # MQTT 5.0, section 3.1.2.10
_DAY_S = 86_400
_MIB = 1 << 20
_LEAST_PACKET, _MOST_PACKET = 1024, 268_435_460


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What TLS needs beyond the address; the broker's certificate and name are always checked.

    Attributes:
        cafile: roots to trust instead of the system's.
        cert: our own certificate chain, PEM.
        certkey: its private key, PEM.
    """

    cafile: Path | None = None
    cert: Path | None = None
    certkey: Path | None = None

    def __post_init__(self) -> None:
        if self.certkey is not None and self.cert is None:
            raise ConfigurationError("certkey", "is given without a certificate", remedy="Give cert as well")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a broker, and as whom.

    Attributes:
        address: where it listens.
        client_id: stable over restarts where the session is to survive them.
        username: as whom, or None.
        password: the password itself, read from a file by the caller; never logged.
        tls: TLS options; None is the system's roots. Only with `mqtts` and `wss`.
        keep_alive_s: seconds between signs of life.
        packet_bytes: the largest packet that we take (section 3.1.2.11.4): a broker drops
            what is larger.
    """

    address: BrokerAddress
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    keep_alive_s: int = 30
    packet_bytes: int = 8 * _MIB

    def __post_init__(self) -> None:
        if not 0 < len(self.client_id.encode()) <= _MAX_STRING or "\0" in self.client_id:
            raise ConfigurationError("client id", "is empty or not a name", remedy="Give each connection a stable name")
        if self.tls is not None and not self.address.scheme.encrypted:
            # Otherwise a person who named a CA would believe that this connection is encrypted.
            problem = f"TLS options are given, but {self.address.scheme.value} is not encrypted"
            raise ConfigurationError("broker", problem, remedy="Use mqtts:// or wss://")
        if self.password is not None and self.username is None:
            raise ConfigurationError("password", "is given without a user name", remedy="Give the user name too")
        if not 0 < self.keep_alive_s <= _MAX_KEEP_ALIVE_S:
            raise ConfigurationError("keep_alive", "is not from 1 to 65535 seconds", remedy="Leave it at 30")
        if not _LEAST_PACKET <= self.packet_bytes <= _MOST_PACKET:
            raise ConfigurationError("packet_bytes", "is not from 1024 to 268435460", remedy="Leave it at 8 MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How long the broker keeps a consumer's subscriptions and what waits for it.

    Attributes:
        expiry_s: seconds that it outlives a lost connection.
        clean_start: drop what an earlier run of this client id left; later reconnects of
            this run resume the session all the same.
    """

    expiry_s: int
    clean_start: bool = False


DURABLE = Session(expiry_s=_DAY_S)
"""Survives restarts: what arrives meanwhile waits in the broker."""

EPHEMERAL = Session(expiry_s=0, clean_start=True)
"""Ends with its connection: for reply topics and look-ups whose requests are sent again anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One application message, with the MQTT 5 properties that we use.

    Attributes:
        topic: where it was or will be published.
        payload: its bytes.
        retain: outgoing: the broker is to keep it; incoming: it was published or kept so.
        response_topic: where an answer is wanted.
        correlation_data: what an answer repeats.
        content_type: what the payload is.
        expiry_s: seconds after which the broker drops it, or that are left of them.
    """

    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: str | None = None
    expiry_s: int | None = None


class Delivery:
    """One message as it reached us, and the duty to acknowledge it.

    Attributes:
        message: the message.
        duplicate: the broker says that it delivered this before (its DUP flag); a hint only.
    """

    __slots__ = ("_acknowledge", "duplicate", "message")

    def __init__(self, message: Message, *, duplicate: bool, acknowledge: Callable[[], None]) -> None:
        self.message = message
        self.duplicate = duplicate
        self._acknowledge: Callable[[], None] | None = acknowledge

    def acknowledge(self) -> None:
        """Tell the broker that this message is dealt with, and free its slot.

        Calls after the first do nothing, nor does one whose connection is gone: the broker
        delivers that message again, as a new `Delivery`.
        """
        acknowledge, self._acknowledge = self._acknowledge, None
        if acknowledge is not None:
            acknowledge()


class FirstConnection(Enum):
    """What a first connection that cannot be made means."""

    MUST_SUCCEED = "must succeed"
    """Entering raises `TransportError`: a person waits at a terminal."""
    KEEP_TRYING = "keep trying"
    """Entering returns at once and the transport tries for ever: a service starts before its broker."""


class Role(Enum):
    """What a connection is for."""

    CONSUMER = "consumer"
    PUBLISHER = "publisher"


class ConnectionState(Enum):
    """What happened to a connection."""

    CONNECTED = "connected"
    """The broker accepted it, and a consumer's subscriptions as well."""
    LOST = "lost"
    """It was connected and is no longer; the next attempt follows."""
    FAILED = "failed"
    """An attempt did not succeed; the next one follows, unless the first had to succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEvent:
    """One thing that happened to a connection, for metrics and progress displays.

    Attributes:
        role: which kind of connection.
        client_id: whose.
        state: what happened.
        reason: in words, without secrets; empty when connected.
        reason_code: the MQTT reason code, where the broker gave one.
        session_present: when connected: the broker still had this consumer's session.
    """

    role: Role
    client_id: str
    state: ConnectionState
    reason: str = ""
    reason_code: int | None = None
    session_present: bool = False


Observer = Callable[[ConnectionEvent], None]
"""Told of every event, in the event loop; it must neither block nor raise."""


def ignore_events(event: ConnectionEvent) -> None:
    """Observe nothing."""


class Consumer(Protocol):
    """An endless stream of deliveries from one connection; iterate it from one task only."""

    def __aiter__(self) -> AsyncIterator[Delivery]:
        """Return the stream itself."""
        ...

    async def __anext__(self) -> Delivery:
        """Wait for the next delivery, as long as a slot is free.

        A cancelled wait loses no message.
        """
        ...

    async def subscribed(self) -> None:
        """Wait until the broker has granted every topic on the present connection.

        After it a publisher may send what is answered on these topics.
        """
        ...


class Publisher(Protocol):
    """A connection that publishes at QoS 1; any number of tasks may use it."""

    async def publish(self, message: Message) -> None:
        """Publish, and return once the broker has acknowledged success.

        Sent again after each reconnect, so the broker may receive it twice; for ever, so the
        caller sets the deadline. A cancelled call may or may not have published.

        Raises:
            ProtocolError: no broker could accept its topic or properties.
            TransportError: this broker refused the message; `reason_code` says why (0x87 not
                authorised, 0x95 too large, 0x97 quota exceeded).
        """
        ...


class Transport(Protocol):
    """One way to speak MQTT.

    Attributes:
        name: as configuration names it.
    """

    name: str

    def consume(
        self,
        connection: Connection,
        *,
        topics: Sequence[str],
        slots: int,
        session: Session = DURABLE,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AbstractAsyncContextManager[Consumer]:
        """Open a consuming connection, subscribe at QoS 1, and keep both up until left.

        Leaving keeps the session in the broker for its expiry; what was not acknowledged
        is delivered again to whoever resumes it.

        Args:
            connection: how to reach the broker. No other connection may use its client id.
            topics: topic filters.
            slots: how many deliveries may be unacknowledged at once.
            session: what the broker keeps for us.
            first: what a first connection that cannot be made means.
            observer: told of connections made and lost.

        Raises:
            ConfigurationError: no topics, no slots, or TLS files that cannot be read.
            TransportError: the first connection or a subscription failed, and had to succeed.
        """
        ...

    def publish(
        self,
        connection: Connection,
        *,
        window: int = 64,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AbstractAsyncContextManager[Publisher]:
        """Open a publishing connection and keep it up until left.

        Args:
            connection: how to reach the broker. No other connection may use its client id.
            window: how many publishes may be unacknowledged at once; the broker's own
                Receive Maximum lowers it.
            first: what a first connection that cannot be made means.
            observer: told of connections made and lost.

        Raises:
            ConfigurationError: an empty window, or TLS files that cannot be read.
            TransportError: the first connection failed, and had to succeed.
        """
        ...
