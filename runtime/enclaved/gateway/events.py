"""What the gateway tells whoever started it: few events, each one line of JSON.

They carry names, states and counts; never a payload. A broker's own words come
only inside `reason`, which JSON escapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

__all__ = ["BrokerChanged", "GatewayEvent", "GatewayObserver", "LinkChanged", "Serving", "Stopped", "ignore", "to_json"]

State = Literal["connected", "lost", "failed"]


class Serving(msgspec.Struct, frozen=True, kw_only=True, tag="serving", tag_field="event"):
    """All lanes are subscribed and the attestation is published: callers can come.

    Attributes:
        namespace: where the runtime serves.
        runtime_id: its name.
        functions: their names, in order.
    """

    namespace: str
    runtime_id: str
    functions: tuple[str, ...]


class LinkChanged(msgspec.Struct, frozen=True, kw_only=True, tag="link", tag_field="event"):
    """The link to the enclave came or went.

    Attributes:
        state: what happened.
        reason: why, in words; empty when connected.
    """

    state: State
    reason: str = ""


class BrokerChanged(msgspec.Struct, frozen=True, kw_only=True, tag="broker", tag_field="event"):
    """A connection to the broker came or went.

    Attributes:
        client_id: which one.
        state: what happened.
        reason: why, in words; empty when connected.
        reason_code: the MQTT reason code, where there is one.
    """

    client_id: str
    state: State
    reason: str = ""
    reason_code: int | None = None


class Stopped(msgspec.Struct, frozen=True, kw_only=True, tag="stopped", tag_field="event"):
    """The gateway has left in good order.

    Attributes:
        finished: whether all that was under way was answered first; what was not is
            unacknowledged, and the broker delivers it again.
        counters: all counts.
    """

    finished: bool
    counters: dict[str, int]


GatewayEvent = Serving | LinkChanged | BrokerChanged | Stopped

GatewayObserver = Callable[[GatewayEvent], None]
"""Told of every event, in the event loop; it must neither block nor raise."""


def ignore(event: GatewayEvent) -> None:
    """Observe nothing."""


def to_json(event: GatewayEvent) -> str:
    """Return an event as one line of JSON."""
    return msgspec.json.encode(event).decode()
