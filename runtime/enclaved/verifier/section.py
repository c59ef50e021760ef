"""A section: a rule whose value is a table of rules of its own.

Evidence of one format may hold evidence of another, with a table of rules that
says all there is to say on it. Such a table is written under one key, and read
by the same rules: closed, each required or with its strict default, each waiver
written. A section that is not written is an empty one, so whatever is required
in it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_type import ValueType
from enclaved.verifier.value_types import toml_key, toml_string

__all__ = ["Section", "section_rule"]

Section: TypeAlias = Mapping[str, object]
"""The rules that are written, by key: each the value of the rule's type, or the waiver."""


class _Part:
    """The claims that a section is about; as text, its key alone."""

    def __init__(self, key: str, claims: Claims) -> None:
        self.key = key
        self.claims = claims

    def __str__(self) -> str:
        return self.key


def section_rule(
    key: str, rules: Sequence[Rule[Any, Any]], *, applies: Callable[[Claims], bool], doc: str
) -> Rule[Any, Section]:
    """Return a rule whose value is a table of rules.

    Args:
        key: the key in the policy document.
        rules: the table.
        applies: is the table about these claims; where it is not, it is listed and passed over.
        doc: what the section is about.
    """

    def found(claims: Claims) -> _Part | None:
        return _Part(key, claims) if applies(claims) else None

    def check(checks: Checks, key: str, found: _Part | None, wanted: Section) -> None:
        if found is None:
            checks.acceptable(key, found=found, wanted="any, where the evidence holds none", ok=True)
            return
        for rule in rules:
            _prefixed(rule, key).apply(found.claims, wanted.get(rule.key), checks)

    def pinned(found: _Part | None) -> Section:
        return {} if found is None else _pinned(rules, found.claims)

    return Rule(
        key=key,
        type=_section_type(rules, name=f"the table of {key}"),
        found=found,
        check=check,
        doc=doc,
        default=MappingProxyType({}),
        pinned=pinned,
        section=tuple(rules),
    )


def _prefixed(rule: Rule[Any, Any], key: str) -> Rule[Any, Any]:
    return replace(rule, key=f"{key}.{rule.key}")  # the verdict names the rule as the document does


def _pinned(rules: Sequence[Rule[Any, Any]], claims: Claims) -> Section:
    values: dict[str, object] = {}
    for rule in rules:
        found = rule.found(claims)
        value = rule.default if rule.pinned is None or found is None else rule.pinned(found)
        if value is not None:
            values[rule.key] = value
    return values


def _section_type(rules: Sequence[Rule[Any, Any]], *, name: str) -> ValueType[Section]:
    known = {rule.key: rule for rule in rules}

    def parse_one(key: str, value: object) -> object:
        if key not in known:
            raise ValueError(f"{key}: there is no such key; the keys are {', '.join(known)}")
        rule = known[key]
        if rule.may_be_any and value == Waiver.ANY.value:
            return Waiver.ANY
        try:
            return rule.type.parse(value)
        except ValueError as error:
            alternative = ', or "any"' if rule.may_be_any else ""
            raise ValueError(f"{key}: {error}; {rule.type.name}{alternative} is wanted") from error

    def parse(value: object) -> Section:
        if not isinstance(value, dict):
            raise ValueError(f"{name} is wanted")  # noqa: TRY004 - one kind of error for all that a person wrote wrong
        return MappingProxyType({key: parse_one(key, each) for key, each in value.items()})

    def write(value: Section) -> str:
        written = [f"{toml_key(key)} = {_written(known[key], each)}" for key, each in value.items()]
        return f"{{ {', '.join(written)} }}" if written else "{}"

    return ValueType(name=name, parse=parse, write=write)


def _written(rule: Rule[Any, Any], value: object) -> str:
    return toml_string(value.value) if isinstance(value, Waiver) else rule.type.write(value)
