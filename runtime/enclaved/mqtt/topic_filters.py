"""Topic names and topic filters (MQTT 5.0, sections 4.7 and 4.8.2).

A name is where a message goes and holds no wildcard; a filter is what a
subscriber asks for. Both are checked here and nowhere else, for packets that
come in and for those that go out.
"""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.errors import ProtocolError

__all__ = ["TopicFilter", "check_topic_name", "filter_matches", "parse_topic_filter"]

_MAX_BYTES = 65_535
_SHARED = "$share/"


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A topic filter, parsed.

    Attributes:
        levels: the filter's levels, without any share name.
        share: the group that takes turns on it, or None.
    """

    levels: tuple[str, ...]
    share: str | None = None


def check_topic_name(name: str, *, what: str = "topic") -> None:
    """Refuse what cannot be published to.

    Raises:
        ProtocolError: it is empty, too long, not encodable, or holds a wildcard or NUL.
    """
    _check_string(name, what=what)
    if "+" in name or "#" in name:
        raise ProtocolError(what, "holds a wildcard")


def parse_topic_filter(text: str) -> TopicFilter:
    """Read what a subscriber asks for.

    Raises:
        ProtocolError: it is empty, too long, has a wildcard that does not fill its level,
            or a shared filter without a name or topic.
    """
    _check_string(text, what="topic filter")
    share: str | None = None
    if text.startswith(_SHARED):
        share, slash, text = text.removeprefix(_SHARED).partition("/")
        if not share or not slash or not text or "+" in share or "#" in share:
            raise ProtocolError("topic filter", "shares without a proper group name and topic")
    levels = tuple(text.split("/"))
    for place, level in enumerate(levels):
        if "#" in level and (level != "#" or place != len(levels) - 1):
            raise ProtocolError("topic filter", "has a # that is not its last level")
        if "+" in level and level != "+":
            raise ProtocolError("topic filter", "has a + that does not fill its level")
    return TopicFilter(levels, share)


def filter_matches(levels: tuple[str, ...], topic: str) -> bool:
    """Tell whether a filter's levels cover a topic name.

    A wildcard at the start never covers a name that begins with `$` (section 4.7.2):
    such topics are the broker's own.
    """
    names = topic.split("/")
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place >= len(names) or level not in ("+", names[place]):
            return False
    return len(levels) == len(names)


def _check_string(text: str, *, what: str) -> None:
    if not text:
        raise ProtocolError(what, "is empty")
    if "\0" in text:
        raise ProtocolError(what, "holds NUL")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ProtocolError(what, "is not Unicode text") from error
    if size > _MAX_BYTES:
        raise ProtocolError(what, f"is longer than {_MAX_BYTES} bytes")
