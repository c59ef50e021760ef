"""The desk: what all invocations of one caller share while they are under way."""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.caller.announcements import Announcements
from enclaved.caller.discovery import Discovery
from enclaved.caller.progress import ProgressObserver
from enclaved.caller.replies import Replies
from enclaved.caller.sessions import Sessions
from enclaved.caller.surroundings import Surroundings
from enclaved.caller.trust import Vetting
from enclaved.mqtt.transport import Publisher

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One caller's shared things.

    Attributes:
        namespace: where the runtimes serve.
        response_topic: where answers come.
        publisher: sends.
        replies: matches what comes to what waits.
        announcements: what runtimes say of themselves.
        discovery: finds and verifies runtimes.
        sessions: the present session with each.
        vetting: the policy and roots.
        surroundings: time and randomness.
        observer: told of every step.
    """

    namespace: str
    response_topic: str
    publisher: Publisher
    replies: Replies
    announcements: Announcements
    discovery: Discovery
    sessions: Sessions
    vetting: Vetting
    surroundings: Surroundings
    observer: ProgressObserver
