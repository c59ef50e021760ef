"""Announcements: what the runtimes of a namespace say about themselves, unverified.

A broker holds one retained attestation for each runtime. It can withhold, replay or
invent them, so here they are only collected, within bounds.
"""

from __future__ import annotations

from enclaved.caller.bell import Bell
from enclaved.errors import ProtocolError
from enclaved.wire.limits import MAX_ATTESTATION
from enclaved.wire.topics import attestation_topic, check_name

__all__ = ["MAX_RUNTIMES", "Announcements"]

MAX_RUNTIMES = 64  # of at most 1 MiB each: a broker that invents runtimes fills no more memory than that


class Announcements:
    """The latest announcement of each runtime of one namespace.

    Attributes:
        changed: rung after each change.
    """

    def __init__(self, namespace: str) -> None:
        self.changed = Bell()
        self._namespace = namespace
        self._prefix, self._suffix = attestation_topic(namespace, "\0").split("\0")
        self._latest: dict[str, bytes] = {}

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes that are announced, in the order of their first announcement."""
        return tuple(self._latest)

    def latest(self, runtime_id: str) -> bytes | None:
        """Return a runtime's attestation as it was announced last, or None."""
        return self._latest.get(runtime_id)

    def is_announcement(self, topic: str) -> bool:
        """Tell whether a topic is one of this namespace's attestation topics."""
        return topic.startswith(self._prefix) and topic.endswith(self._suffix)

    def take(self, topic: str, payload: bytes) -> None:
        """Note an announcement; an empty one takes the runtime's last one back.

        Raises:
            ProtocolError: it is too large, of no runtime of this namespace, or of one too many.
        """
        runtime_id = topic.removeprefix(self._prefix).removesuffix(self._suffix)
        check_name(runtime_id, what="announcement: runtime")
        if topic != attestation_topic(self._namespace, runtime_id):
            raise ProtocolError("announcement", "on no attestation topic of this namespace")
        if len(payload) > MAX_ATTESTATION:
            raise ProtocolError("announcement", f"more than {MAX_ATTESTATION} bytes")
        if not payload:
            self._latest.pop(runtime_id, None)
        elif runtime_id not in self._latest and len(self._latest) >= MAX_RUNTIMES:
            raise ProtocolError("announcement", f"of more than {MAX_RUNTIMES} runtimes")
        else:
            self._latest[runtime_id] = payload
        self.changed.ring()
