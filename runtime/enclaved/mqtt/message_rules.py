"""What a message must be like for any broker to take it.

A broker answers an ill-formed PUBLISH by closing the connection, and a publisher
that tries again after each loss would then try for ever, and take every other
message on its connection along. So it is refused before it is sent.
"""

from __future__ import annotations

from enclaved.errors import ProtocolError
from enclaved.mqtt.topic_filters import check_topic_name
from enclaved.mqtt.transport import Message

__all__ = ["check_message"]

_MAX_BINARY = 65_535  # section 1.5.6
_MAX_SECONDS = 0xFFFFFFFF


def check_message(message: Message) -> None:
    """Check a message that is to be published.

    Raises:
        ProtocolError: its topic or a property cannot be carried.
    """
    check_topic_name(message.topic)
    if message.response_topic is not None:
        check_topic_name(message.response_topic, what="response topic")
    if message.correlation_data is not None and len(message.correlation_data) > _MAX_BINARY:
        raise ProtocolError("correlation data", f"is longer than {_MAX_BINARY} bytes")
    if message.expiry_s is not None and not 0 <= message.expiry_s <= _MAX_SECONDS:
        raise ProtocolError("expiry", "is not a number of seconds that MQTT can say")
    if message.content_type is not None:
        _check_text(message.content_type)


def _check_text(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ProtocolError("content type", "is not Unicode text") from error
    if size > _MAX_BINARY or "\0" in text:
        raise ProtocolError("content type", "is too long, or holds NUL")
