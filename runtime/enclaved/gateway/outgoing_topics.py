"""The topics to which the gateway publishes on another's word, and which it never writes to.

The gateway publishes with its own rights. A caller names a reply topic, a manifest
an output topic; neither must be able to borrow these rights for anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.errors import ProtocolError
from enclaved.wire.topics import check_reply_topic

__all__ = ["ReplyAddress", "check_output_topic", "reply_address"]

_OURS = "enclaved/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyAddress:
    """Where an answer goes, checked to be a topic that callers may name.

    Attributes:
        topic: under the namespace's reply prefix.
        correlation_data: what the answer repeats.
    """

    topic: str
    correlation_data: bytes | None


def reply_address(topic: str, *, correlation_data: bytes | None, namespace: str) -> ReplyAddress:
    """Return the address of an answer.

    Raises:
        ProtocolError: the topic is none that a caller may name.
    """
    check_reply_topic(topic, namespace=namespace)
    return ReplyAddress(topic=topic, correlation_data=correlation_data)


def check_output_topic(topic: str) -> None:
    """Check the topic of an output, which the link's frames have found to be one that can be published to.

    Raises:
        ProtocolError: it is one of the protocol's own.
    """
    if topic.startswith(_OURS):
        raise ProtocolError("output topic", "lies among the protocol's own")
