"""Retained messages: the last one of each topic, for those who subscribe later (MQTT 5.0, section 3.3.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from enclaved.mqtt.broker.publication import Publication
from enclaved.mqtt.topic_filters import filter_matches

__all__ = ["RetainedMessages"]


class RetainedMessages:
    """The last retained message of each topic, bounded in bytes."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._messages: dict[str, Publication] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def has_room(self, publication: Publication) -> bool:
        """Tell whether it can be kept in place of its topic's last one."""
        old = self._messages.get(publication.topic)
        freed = old.cost if old is not None else 0
        return not publication.payload or self._bytes - freed + publication.cost <= self._limit

    def keep(self, publication: Publication) -> None:
        """Keep it as its topic's last; an empty payload clears the topic instead."""
        self._drop(publication.topic)
        if publication.payload:
            self._messages[publication.topic] = publication
            self._bytes += publication.cost

    def matching(self, levels: tuple[str, ...], *, now: float) -> Iterator[Publication]:
        """Yield what a filter covers and is not expired."""
        for topic, publication in self._messages.items():
            if filter_matches(levels, topic) and not publication.expired(now):
                yield publication

    def expire(self, now: float) -> None:
        """Forget what is past its time."""
        for topic in [topic for topic, publication in self._messages.items() if publication.expired(now)]:
            self._drop(topic)

    def _drop(self, topic: str) -> None:
        old = self._messages.pop(topic, None)
        if old is not None:
            self._bytes -= old.cost
