"""The recipient: reads the sealed outputs of events from a topic, each once.

    async with Recipient.connect("mqtt://localhost:1883", topic="alarms", key="my.key", policy="p.toml") as outputs:
        async for event in outputs:
            event.output, event.receipt        # verified

Delivery is at least once and a run may be repeated, so repeats are dropped by the
invocation id. What does not open or verify is dropped too, told to an observer, and
ends nothing: anyone can publish on a topic.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import anyio

from enclaved.caller.event import Event, open_event_output
from enclaved.caller.keys import read_recipient_key
from enclaved.caller.surroundings import Surroundings
from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.mqtt.transport import (
    DEFAULT_TRANSPORT,
    DURABLE,
    EPHEMERAL,
    Connection,
    Consumer,
    Delivery,
    FirstConnection,
    Tls,
    Transport,
    parse_broker_url,
)
from enclaved.mqtt.transports import open_transport
from enclaved.verifier.policy import Policy
from enclaved.verifier.policy_document import read_policy
from enclaved.wire.hpke import PrivateKey

__all__ = ["REMEMBERED", "DroppedObserver", "Recipient", "ignore_dropped"]

REMEMBERED = 65_536  # invocation ids; about 8 MiB at most
_SLOTS = 32

DroppedObserver = Callable[[ProtocolError | EvidenceError | AppraisalError], None]
"""Told why an output was dropped; it must neither block nor raise."""


def ignore_dropped(error: ProtocolError | EvidenceError | AppraisalError) -> None:
    """Observe nothing."""


class Recipient:
    """An endless stream of verified events; iterate it from one task. `connect` makes it."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        key: PrivateKey,
        policy: Policy,
        as_of: Literal["receipt", "now"],
        surroundings: Surroundings,
        on_dropped: DroppedObserver,
    ) -> None:
        self._consumer = consumer
        self._key = key
        self._policy = policy
        self._as_of = as_of
        self._surroundings = surroundings
        self._on_dropped = on_dropped
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._shown: Delivery | None = None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        broker: str,
        *,
        topic: str,
        key: str | Path | PrivateKey,
        policy: str | Path | Policy,
        as_of: Literal["receipt", "now"] = "receipt",
        client_id: str | None = None,
        transport: str | Transport = DEFAULT_TRANSPORT,
        username: str | None = None,
        password: str | None = None,
        tls: Tls | None = None,
        on_dropped: DroppedObserver = ignore_dropped,
        surroundings: Surroundings | None = None,
    ) -> AsyncIterator[Recipient]:
        """Connect to a broker and subscribe to a topic of outputs.

        Args:
            broker: its URL.
            topic: the topic, or filter, that functions' manifests name as output.
            key: the recipient's key: a file that `enclaved keygen` wrote, or the key.
            policy: what to accept: a TOML file, or the value.
            as_of: judge each output as of its receipt's time (it may have waited), or as of now.
            client_id: a stable name, under which the broker keeps outputs while this recipient is
                away; None for one that hears only what comes while it listens.
            transport: its name, or one.
            username: as whom to connect.
            password: the password itself, out of a file of yours.
            tls: TLS options, for ``mqtts`` and ``wss``.
            on_dropped: told why an output was dropped.
            surroundings: time, randomness and roots; for tests.

        Yields:
            The recipient.

        Raises:
            ConfigurationError: an argument, the policy or the key file is wrong.
            TransportError: the broker cannot be reached, or refused.
        """
        around = surroundings or Surroundings()
        connection = Connection(
            address=parse_broker_url(broker),
            client_id=client_id or f"enclaved-recipient-{around.random(8).hex()}",
            username=username,
            password=password,
            tls=tls,
        )
        accepted = policy if isinstance(policy, Policy) else read_policy(Path(policy))
        opener = key if isinstance(key, PrivateKey) else read_recipient_key(Path(key))
        through = open_transport(transport) if isinstance(transport, str) else transport
        session = EPHEMERAL if client_id is None else DURABLE
        failure: Exception | None = None
        async with through.consume(
            connection, topics=(topic,), slots=_SLOTS, session=session, first=FirstConnection.MUST_SUCCEED
        ) as consumer:
            await consumer.subscribed()
            try:
                yield cls(
                    consumer,
                    key=opener,
                    policy=accepted,
                    as_of=as_of,
                    surroundings=around,
                    on_dropped=on_dropped,
                )
            except Exception as error:  # noqa: BLE001 - raised again below: the transport's task group would wrap it
                failure = error
        if failure is not None:
            raise failure

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next verified event that was not shown before.

        An event is acknowledged when the one after it is asked for: if its reader dies
        meanwhile, the broker delivers it again.
        """
        if self._shown is not None:
            self._shown.acknowledge()
            self._shown = None
        async for delivery in self._consumer:
            event = await self._open(delivery.message.payload)
            if event is not None and self._is_new(event.invocation_id):
                self._shown = delivery
                return event
            delivery.acknowledge()
        raise StopAsyncIteration

    async def _open(self, message: bytes) -> Event | None:
        at = self._surroundings.clock.now() if self._as_of == "now" else None
        opening = partial(
            open_event_output,
            message,
            key=self._key,
            policy=self._policy,
            at=at,
            roots=self._surroundings.roots,
        )
        try:
            return await anyio.to_thread.run_sync(opening)
        except (ProtocolError, EvidenceError, AppraisalError) as error:
            self._on_dropped(error)
            return None

    def _is_new(self, invocation_id: bytes) -> bool:
        if invocation_id in self._seen:
            return False
        self._seen[invocation_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
