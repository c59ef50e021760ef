"""A caller's two connections, and what its one consuming connection hands on.

Replies, answers to challenges and announcements come on topics of their own, so that
nobody has to guess what a message is from its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enclaved.caller.announcements import Announcements
from enclaved.caller.challenges import Challenges
from enclaved.caller.replies import Replies
from enclaved.clock import RandomBytes
from enclaved.errors import ProtocolError
from enclaved.mqtt.transport import Consumer, Message
from enclaved.wire.topics import attestation_filter, reply_prefix

__all__ = ["SLOTS", "Incoming", "ReplyTopics", "reply_topics"]

SLOTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTopics:
    """The topics on which one caller listens; their random names are known to nobody beforehand.

    Attributes:
        answers: for results and hints.
        challenges: for answers to challenges.
        announcements: the filter that finds the runtimes.
    """

    answers: str
    challenges: str
    announcements: str

    @property
    def all(self) -> tuple[str, str, str]:
        """All three, to subscribe to."""
        return self.answers, self.challenges, self.announcements


def reply_topics(namespace: str, *, random: RandomBytes) -> ReplyTopics:
    """Return fresh reply topics under a namespace's reply prefix."""
    prefix = reply_prefix(namespace)
    return ReplyTopics(
        answers=prefix + random(16).hex(),
        challenges=prefix + random(16).hex(),
        announcements=attestation_filter(namespace),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Where each kind of message goes.

    Attributes:
        topics: the topics.
        replies: takes results and hints.
        challenges: takes answers to challenges.
        announcements: takes attestations.
        on_dropped: told why a message was dropped.
    """

    topics: ReplyTopics
    replies: Replies
    challenges: Challenges
    announcements: Announcements
    on_dropped: Callable[[str], None]

    async def pump(self, consumer: Consumer) -> None:
        """Hand on what comes, until cancelled.

        Each message is acknowledged once it was handed on: what gets lost after that is asked
        for again, since every request is kept until its answer is verified.
        """
        async for delivery in consumer:
            self.take(delivery.message)
            delivery.acknowledge()

    def take(self, message: Message) -> None:
        """Hand one message on; one that is of no use is dropped, whoever sent it."""
        try:
            if message.topic == self.topics.answers:
                self.replies.take(message.payload, correlation_data=message.correlation_data)
            elif message.topic == self.topics.challenges:
                self.challenges.take(message.payload)
            else:
                self.announcements.take(message.topic, message.payload)
        except ProtocolError as error:
            self.on_dropped(error.reason)
