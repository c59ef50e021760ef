"""How found and wanted values are shown: as JSON for machines, as text for people.

What was found comes from strangers. It is cut to a length that fits a line, and
characters that would move a terminal's cursor are escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeAlias

__all__ = ["JsonValue", "as_json", "as_text", "rfc3339"]

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"

_LONGEST = 512  # three SHA-512 values in hex and some words


def as_json(value: object) -> JsonValue:
    """Return a value as JSON holds it: bytes as hex, times as RFC 3339, sets sorted.

    Args:
        value: a claim's value or a policy's.

    Returns:
        The value in JSON's types; whatever JSON has no type for becomes text.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case bytes():
            return value.hex()
        case datetime():
            return rfc3339(value)
        case Enum():
            return as_json(value.value)
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case AbstractSet():
            return sorted((as_json(item) for item in value), key=str)
        case Collection():
            return [as_json(item) for item in value]
        case timedelta():
            return f"{int(value.total_seconds())}s"
        case _:
            return str(value)


def as_text(value: object) -> str:
    """Return a value as one line of text, cut and escaped.

    Args:
        value: a claim's value or a policy's.

    Returns:
        At most 513 printable characters; "nothing" for None and for what is empty.
    """
    text = _plain(as_json(value)) or "nothing"
    escaped = text[: _LONGEST + 1]
    if not escaped.isprintable():
        escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)
    return escaped if len(escaped) <= _LONGEST else escaped[:_LONGEST] + "…"


def rfc3339(at: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC, with fractions only where it has them."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: JsonValue) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(_plain(item) for item in value)
        case dict():
            return ", ".join(f"{key}={_plain(item)}" for key, item in value.items())
        case _:
            return str(value)
