"""Who is subscribed to what, found by topic level (MQTT 5.0, sections 3.8.3.1 and 4.8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from enclaved.mqtt.topic_filters import TopicFilter

__all__ = ["Share", "Subscription", "SubscriptionTree"]

Share = tuple[str, tuple[str, ...]]
"""A shared subscription: its group's name and the levels of its filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One client's subscription to one filter.

    Attributes:
        client_id: whose.
        filter: to what.
        qos: the most that it is granted.
        no_local: not what this client published itself.
        retain_as_published: keep the retain flag of the publisher.
        identifier: what the client wants to see with each match.
    """

    client_id: str
    filter: TopicFilter
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int | None = None

    @property
    def share(self) -> Share | None:
        """The group that takes turns, or None."""
        return None if self.filter.share is None else (self.filter.share, self.filter.levels)


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    subscriptions: dict[tuple[str, str | None], Subscription] = field(default_factory=dict)


class SubscriptionTree:
    """All subscriptions; what covers a topic is found without looking at the others."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, subscription: Subscription) -> None:
        """Add a subscription, in place of the same client's on the same filter."""
        node = self._root
        for level in subscription.filter.levels:
            node = node.children.setdefault(level, _Node())
        node.subscriptions[subscription.client_id, subscription.filter.share] = subscription

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription that was added, and the branches that only it needed."""
        path = [(self._root, "")]
        for level in subscription.filter.levels:
            path.append((path[-1][0].children[level], level))
        del path[-1][0].subscriptions[subscription.client_id, subscription.filter.share]
        for (parent, _), (node, level) in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.children or node.subscriptions:
                break
            del parent.children[level]

    def covering(self, topic: str) -> list[Subscription]:
        """Return the subscriptions whose filter covers a topic name."""
        found: list[Subscription] = []
        frontier = [self._root]
        for place, level in enumerate(topic.split("/")):
            wild = place > 0 or not topic.startswith("$")  # section 4.7.2: such topics hide from wildcards
            reached: list[_Node] = []
            for node in frontier:
                if wild:
                    _collect_rest(node, found)
                names = (level, "+") if wild else (level,)
                reached.extend(node.children[name] for name in names if name in node.children)
            frontier = reached
        for node in frontier:
            found.extend(node.subscriptions.values())
            _collect_rest(node, found)  # "a/#" covers "a" as well
        return found

    def group(self, share: Share) -> Iterator[Subscription]:
        """Yield the members of a shared subscription, in the order in which they joined."""
        name, levels = share
        node = self._root
        for level in levels:
            if level not in node.children:
                return
            node = node.children[level]
        yield from (member for member in node.subscriptions.values() if member.filter.share == name)


def _collect_rest(node: _Node, found: list[Subscription]) -> None:
    """Add the subscriptions to everything below a node."""
    if "#" in node.children:
        found.extend(node.children["#"].subscriptions.values())
