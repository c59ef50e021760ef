"""The value types that policies use: hex digests, fingerprints, words, flags, numbers and tables of these.

Lists are sets of alternatives, and an empty one is an error: it would accept
nothing, and whoever wrote it meant something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from enclaved.verifier.value_type import ValueType

__all__ = [
    "duration",
    "fingerprints",
    "flag",
    "function_digests",
    "hex_values",
    "integer",
    "integers",
    "ordered_words",
    "table",
    "toml_key",
    "toml_string",
    "word",
    "words",
]

_Value = TypeVar("_Value")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")
_FINGERPRINT = re.compile(r"sha256:[0-9a-fA-F]{64}\Z")
_FUNCTION_DIGEST = re.compile(r"h1:[A-Za-z0-9+/]{43}=\Z")
_DURATION = re.compile(r"([0-9]{1,9})([smhd])\Z")
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_LARGEST = (1 << 63) - 1  # TOML promises 64-bit signed integers, no more


def hex_values(*sizes: int) -> ValueType[frozenset[bytes]]:
    """Take a list of byte strings in hex.

    Args:
        sizes: the lengths in bytes that each may have.
    """
    name = f"{' or '.join(str(size) for size in sizes)}-byte hex values"

    def parse_one(value: object) -> bytes:
        if not isinstance(value, str) or not _HEX.match(value) or len(value) // 2 not in sizes:
            raise ValueError(f"{name} are wanted")
        return bytes.fromhex(value)

    return _listed(name, parse_one, lambda value: f'"{value.hex()}"')


def fingerprints() -> ValueType[frozenset[str]]:
    """Take one SHA-256 fingerprint, or a list of them, each written ``sha256:`` and 64 hex digits.

    The values are texts in the form of `certificate.fingerprint`: hex digits in lower case.
    """

    def parse_one(value: object) -> str:
        if not isinstance(value, str) or not _FINGERPRINT.match(value):
            raise ValueError('fingerprints are written "sha256:" and 64 hex digits')
        return value.lower()

    listed = _listed("SHA-256 fingerprints", parse_one, toml_string)
    return ValueType(
        name='"sha256:…" or a list of them',
        parse=lambda value: frozenset({parse_one(value)}) if isinstance(value, str) else listed.parse(value),
        write=listed.write,
    )


def function_digests() -> ValueType[frozenset[str]]:
    """Take a list of function digests, each ``h1:`` and the base64 of a SHA-256."""

    def parse_one(value: object) -> str:
        if not isinstance(value, str) or not _FUNCTION_DIGEST.match(value):
            raise ValueError('function digests are written "h1:" and 44 characters of base64')
        return value

    return _listed("function digests", parse_one, toml_string)


def duration() -> ValueType[timedelta]:
    """Take a length of time: a whole number and one of ``s``, ``m``, ``h``, ``d``."""
    name = 'a length of time such as "90s", "10m", "1h" or "7d"'

    def parse(value: object) -> timedelta:
        match = _DURATION.match(value) if isinstance(value, str) else None
        if match is None or int(match[1]) == 0:
            raise ValueError(f"{name} is wanted")
        return int(match[1]) * _UNITS[match[2]]

    def write(value: timedelta) -> str:
        return f'"{int(value.total_seconds())}s"'

    return ValueType(name=name, parse=parse, write=write)


def words(*choices: str) -> ValueType[frozenset[str]]:
    """Take a list of words.

    Args:
        choices: the closed set that they come from; none for free text.
    """
    name = f"words out of {', '.join(choices)}" if choices else "texts"
    one = word(*choices)
    return _listed(name, one.parse, one.write)


def ordered_words(*choices: str) -> ValueType[tuple[str, ...]]:
    """Take a list of words whose order is a preference.

    Args:
        choices: the closed set that they come from; none for free text.
    """
    listed = words(*choices)

    def parse(value: object) -> tuple[str, ...]:
        listed.parse(value)
        return tuple(dict.fromkeys(value)) if isinstance(value, list) else ()

    def write(values: tuple[str, ...]) -> str:
        return "[" + ", ".join(toml_string(value) for value in values) + "]"

    return ValueType(name=listed.name, parse=parse, write=write)


def word(*choices: str) -> ValueType[str]:
    """Take one word.

    Args:
        choices: the closed set that it comes from; none for free text.
    """
    name = f"one of {', '.join(choices)}" if choices else "a text"

    def parse(value: object) -> str:
        if not isinstance(value, str) or not value or (choices and value not in choices):
            raise ValueError(f"{name} is wanted")
        return value

    return ValueType(name=name, parse=parse, write=toml_string)


def flag() -> ValueType[bool]:
    """Take ``true`` or ``false``."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("true or false is wanted")  # noqa: TRY004 - one kind of error for all that a person wrote wrong
        return value

    return ValueType(name="true or false", parse=parse, write=lambda value: "true" if value else "false")


def integer(*, least: int = 0, most: int = _LARGEST) -> ValueType[int]:
    """Take a whole number between two bounds, both included."""
    name = f"a whole number from {least} to {most}" if most < _LARGEST else f"a whole number from {least} up"

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} is wanted")
        return value

    return ValueType(name=name, parse=parse, write=str)


def integers(*, least: int = 0, most: int = _LARGEST) -> ValueType[frozenset[int]]:
    """Take a list of whole numbers between two bounds, both included."""
    one = integer(least=least, most=most)
    return _listed(f"whole numbers from {least} to {most}", one.parse, one.write)


def table(of: ValueType[_Value], *, keys: tuple[str, ...] = ()) -> ValueType[Mapping[str, _Value]]:
    """Take a table whose values are all of one type.

    Args:
        of: the type of each value.
        keys: the closed set of keys; none for free ones.
    """
    name = f"a table of {of.name}" + (f" under {', '.join(keys)}" if keys else "")

    def parse(value: object) -> Mapping[str, _Value]:
        if not isinstance(value, dict) or not value:
            raise ValueError(f"{name} is wanted")
        for key in value:
            if keys and key not in keys:
                raise ValueError(f"{key} is none of {', '.join(keys)}")
        return MappingProxyType({str(key): of.parse(item) for key, item in value.items()})

    def write(value: Mapping[str, _Value]) -> str:
        return "{ " + ", ".join(f"{toml_key(key)} = {of.write(item)}" for key, item in sorted(value.items())) + " }"

    return ValueType(name=name, parse=parse, write=write)


def toml_string(text: str) -> str:
    """Return a text as a TOML basic string (TOML 1.0, section "String")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def toml_key(key: str) -> str:
    """Return a text as a TOML key, quoted where it has to be (TOML 1.0, section "Keys")."""
    return key if _BARE_KEY.match(key) else toml_string(key)


def _listed(
    name: str, parse_one: Callable[[object], _Value], write_one: Callable[[_Value], str]
) -> ValueType[frozenset[_Value]]:
    def parse(value: object) -> frozenset[_Value]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"a list with at least one value is wanted: {name}")
        return frozenset(parse_one(item) for item in value)

    def write(values: frozenset[_Value]) -> str:
        return "[" + ", ".join(sorted(write_one(value) for value in values)) + "]"

    return ValueType(name=f"list of {name}", parse=parse, write=write)
