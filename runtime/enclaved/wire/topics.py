"""Topic names of protocol version 1, and what may stand in them.

The topic of a message decides nothing that matters: functions are authorised
from the authenticated header. But a gateway publishes with its own rights, so
the topics that it writes to on another's word are checked here.
"""

from __future__ import annotations

import re

from enclaved.errors import ProtocolError
from enclaved.wire.limits import MAX_NAME, MAX_TOPIC, MAX_TOPIC_LEVELS

__all__ = [
    "attestation_filter",
    "attestation_topic",
    "challenge_topic",
    "check_name",
    "check_reply_topic",
    "check_topic",
    "dead_topic",
    "invoke_topic",
    "reply_prefix",
]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z")
# Wildcards, control characters, surrogates and non-characters: a broker may drop the connection that publishes them.
_FORBIDDEN = re.compile(r"[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_PLANE_END = 0xFFFE  # the last two code points of every plane are non-characters
_FIRST_ASTRAL = 0x10000


def check_name(name: str, *, what: str) -> None:
    """Check a namespace, runtime id or function name.

    Args:
        name: the name.
        what: which name it is, for the error.

    Raises:
        ProtocolError: it is not 1 to 64 of a-z, 0-9, ``.``, ``_``, ``-``, or starts or ends with punctuation.
    """
    if len(name) > MAX_NAME or not _NAME.match(name):
        raise ProtocolError(what, f"a name has 1 to {MAX_NAME} of a-z 0-9 . _ - and no punctuation at its ends")


def check_topic(topic: str, *, what: str) -> None:
    """Check a topic that is published to (MQTT 5, sections 1.5.4 and 4.7).

    A gateway shares one publishing connection among all callers. What a broker
    would drop that connection for must therefore not come from one of them.

    Raises:
        ProtocolError: empty, over 256 bytes or 32 levels, with a wildcard, a control character
            or a non-character, or starting with ``$``.
    """
    if not topic or len(topic.encode("utf-8", "surrogatepass")) > MAX_TOPIC:
        raise ProtocolError(what, f"a topic has 1 to {MAX_TOPIC} bytes")
    if _FORBIDDEN.search(topic) or topic.startswith("$"):
        raise ProtocolError(what, "a topic has no wildcard, no control character and no leading $")
    if any(ord(each) >= _FIRST_ASTRAL and ord(each) & _PLANE_END == _PLANE_END for each in topic):
        raise ProtocolError(what, "a topic has no non-character")
    if topic.count("/") >= MAX_TOPIC_LEVELS:
        raise ProtocolError(what, f"a topic has at most {MAX_TOPIC_LEVELS} levels")


def check_reply_topic(topic: str, *, namespace: str) -> None:
    """Check a topic to which a caller asks the gateway to publish.

    A caller must not borrow the gateway's rights to write on other topics.

    Raises:
        ProtocolError: it is not a plain topic under the namespace's reply prefix.
    """
    check_topic(topic, what="response topic")
    prefix = reply_prefix(namespace)
    if not topic.startswith(prefix) or topic == prefix:
        raise ProtocolError("response topic", "outside the namespace's reply prefix")


def reply_prefix(namespace: str) -> str:
    """Return the prefix of all reply topics of a namespace."""
    return f"enclaved/v1/{namespace}/reply/"


def attestation_topic(namespace: str, runtime_id: str) -> str:
    """Return the topic that holds a runtime's retained attestation."""
    return f"enclaved/v1/{namespace}/runtime/{runtime_id}/attestation"


def attestation_filter(namespace: str) -> str:
    """Return the topic filter that finds the attestations of all runtimes of a namespace."""
    return f"enclaved/v1/{namespace}/runtime/+/attestation"


def challenge_topic(namespace: str, runtime_id: str) -> str:
    """Return the topic on which a runtime takes challenges."""
    return f"enclaved/v1/{namespace}/runtime/{runtime_id}/challenge"


def invoke_topic(namespace: str, runtime_id: str, function: str) -> str:
    """Return the topic on which a runtime takes a function's invocations."""
    return f"enclaved/v1/{namespace}/runtime/{runtime_id}/function/{function}/invoke"


def dead_topic(namespace: str, runtime_id: str, function: str) -> str:
    """Return the topic that records invocations that nobody can open any more."""
    return f"enclaved/v1/{namespace}/runtime/{runtime_id}/dead/{function}"
