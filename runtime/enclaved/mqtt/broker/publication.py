"""A published message on its way through the broker, and the place where it can be diverted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

__all__ = ["Interceptor", "LastWill", "Publication", "Routed", "route_unchanged"]

_OVERHEAD = 256  # a queued message costs about this beside its own bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One published message.

    Attributes:
        publisher: the client id that published it.
        topic: where to.
        payload: what.
        qos: 0 or 1.
        retain: the broker is to keep it.
        payload_format_indicator: 1 when the payload is UTF-8.
        content_type: as the publisher gave it.
        response_topic: as the publisher gave it.
        correlation_data: as the publisher gave it.
        user_properties: as the publisher gave them.
        expires_at: when it is no longer delivered, on the broker's monotonic clock.
    """

    publisher: str
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    payload_format_indicator: int = 0
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    expires_at: float | None = None

    @property
    def cost(self) -> int:
        """What keeping it costs, in bytes."""
        properties = sum(len(name) + len(value) for name, value in self.user_properties)
        return _OVERHEAD + len(self.topic) + len(self.payload) + len(self.correlation_data or b"") + properties

    def expired(self, now: float) -> bool:
        """Tell whether it is past its time."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWill:
    """What a client wants published when it is lost (section 3.1.2.5).

    Attributes:
        publication: the message, without an expiry.
        delay_s: how long to wait for the client to come back.
        lifetime_s: the expiry, which counts from the publishing; None is none.
    """

    publication: Publication
    delay_s: int
    lifetime_s: int | None

    def published(self, now: float) -> Publication:
        """Return the message as it is published now."""
        return replace(self.publication, expires_at=None if self.lifetime_s is None else now + self.lifetime_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What is routed in place of a publication.

    Attributes:
        publication: the message, perhaps another one.
        delay_s: seconds to hold it back.
    """

    publication: Publication
    delay_s: float = 0.0


class Interceptor(Protocol):
    """What stands between publishers and subscribers; the broker is untrusted, and tests use that.

    It sees each publication before it is routed, wills included, and answers with what
    is routed instead: nothing (dropped), the same, several, delayed, on another topic.
    A publisher whose message was dropped or held back is told success. What no packet can
    carry (a topic with a wildcard, say) is dropped on its way out.
    """

    def __call__(self, publication: Publication) -> Sequence[Routed]:
        """Return what to route in place of a publication."""
        ...


def route_unchanged(publication: Publication) -> Sequence[Routed]:
    """Be honest: route what was published."""
    return (Routed(publication=publication),)
