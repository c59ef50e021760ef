"""What a person should know about a policy before relying on it.

A policy may waive rules, and some waivers leave code unmeasured: then whoever
runs the machine chooses what runs on the data. Nothing here is an error, and
nothing here is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from enclaved.verifier.alternatives import with_alternatives
from enclaved.verifier.confidentiality import ACCEPT_NOT_CONFIDENTIAL
from enclaved.verifier.formats import find_format
from enclaved.verifier.policy import FormatSection, FunctionRule, Policy
from enclaved.verifier.rule import Rule, Waiver

__all__ = ["policy_warnings"]


def policy_warnings(policy: Policy) -> tuple[str, ...]:
    """Return what is weak in a policy, one sentence each that begins with the key.

    Args:
        policy: the policy.

    Returns:
        The warnings, in the document's order; none for a policy that waives nothing that matters.
    """
    return tuple(_warnings(policy))


def _warnings(policy: Policy) -> Iterator[str]:
    if not policy.freshness.challenge:
        yield "freshness.challenge: false accepts evidence that somebody recorded; nothing proves that it is fresh"
    if isinstance(policy.freshness.max_age, Waiver):
        yield 'freshness.max_age: "any" accepts key bundles of every age'
    if not policy.functions:
        yield "functions: none is listed, so no function may be called"
    for name, rule in policy.functions.items():
        yield from _function(name, rule)
    if not policy.formats:
        yield "formats: there is no section, so all evidence is refused"
    for section in policy.formats.values():
        yield from _section(section)


def _function(name: str, rule: FunctionRule) -> Iterator[str]:
    if isinstance(rule.digest, Waiver):
        yield f'functions.{name}.digest: "any" leaves the function\'s code unmeasured'


def _section(section: FormatSection) -> Iterator[str]:
    where = f"formats.{section.format}"
    format_ = find_format(section.format)
    if format_.simulated:
        yield f"{where}: SIMULATED evidence is accepted; it proves nothing about any machine"
    if section.values.get(ACCEPT_NOT_CONFIDENTIAL.key) is True:
        yield f"{where}.{ACCEPT_NOT_CONFIDENTIAL.key}: the host's administrator can read what is computed"
    yield from _rules(where, format_.rules, section.values, with_alternatives(format_, section.values))


def _rules(
    where: str, rules: Iterable[Rule[Any, Any]], values: Mapping[str, object], complete: Mapping[str, object]
) -> Iterator[str]:
    for rule in rules:
        value = values.get(rule.key)
        if rule.required and rule.key not in complete:
            yield f"{where}.{rule.key}: it is required and not written, so all evidence of this format is refused"
        if isinstance(value, Waiver) and rule.unmeasured_if_any:
            yield f'{where}.{rule.key}: "any" leaves code unmeasured: the operator chooses what runs'
        if rule.section and isinstance(value, Mapping) and value:
            yield from _rules(f"{where}.{rule.key}", rule.section, value, value)
