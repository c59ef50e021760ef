"""Drafts of policies: pinned to what was verified, commented, for a person to review.

A draft accepts exactly what was seen. Whether what was seen is what should run,
no program can know: the draft says so, and says at each rule what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enclaved.verifier.claims import Claims
from enclaved.verifier.formats import find_format
from enclaved.verifier.policy import Freshness
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_types import duration, toml_key, toml_string
from enclaved.wire.bundle import FunctionEntry, KeyBundle

__all__ = ["draft_policy"]

_HEAD = """\
# A policy of enclaved: which attested runtimes data may be sealed to.
# It was drafted from what one runtime showed, and accepts exactly that. Review it:
# compare every digest with one that you computed yourself from the source that you trust.
"""


def draft_policy(bundle: KeyBundle, claims: Claims, *, freshness: Freshness) -> str:
    """Return a policy document that accepts what was verified, and nothing else.

    Args:
        bundle: the key bundle that the evidence speaks for.
        claims: what the evidence says.
        freshness: what the policy shall ask for.

    Returns:
        The document, TOML with comments; `parse_policy` reads it.
    """
    parts = [
        _HEAD,
        "version = 1",
        f"namespace = {toml_string(bundle.namespace)}",
        f"suites = [{', '.join(toml_string(key.suite) for key in bundle.keys)}]   # in order of preference",
        "",
        *_freshness(freshness),
        *(line for entry in bundle.functions for line in _function(entry)),
        *_format(claims),
    ]
    return "\n".join(parts)


def _freshness(freshness: Freshness) -> Sequence[str]:
    max_age = freshness.max_age
    written = toml_string(max_age.value) if isinstance(max_age, Waiver) else duration().write(max_age)
    return (
        "[freshness]",
        f"challenge = {'true' if freshness.challenge else 'false'}   # evidence over a nonce of our own",
        f"max_age = {written}   # of the key bundle, by our own clock",
        "",
    )


def _function(entry: FunctionEntry) -> Sequence[str]:
    return (
        f"[functions.{toml_key(entry.name)}]",
        f"digest = [{toml_string(entry.digest)}]   # version {entry.version}",
        f"isolation = [{toml_string(entry.isolation)}]",
        "",
    )


def _format(claims: Claims) -> Sequence[str]:
    format_ = find_format(claims.format)
    warning = ["# SIMULATED: this evidence proves nothing about any machine."] if claims.simulated else []
    section = [*warning, f"[formats.{toml_key(format_.name)}]   # {format_.title}"]
    for rule in format_.rules:
        section += [f"# {rule.doc}", _rule(rule, claims)]
    return [*section, ""]


def _rule(rule: Rule[Any, Any], claims: Claims) -> str:
    found = rule.found(claims)
    if rule.pinned is not None and found is not None:
        return f"{toml_key(rule.key)} = {rule.type.write(rule.pinned(found))}"
    if rule.default is not None:
        default = rule.default
        written = toml_string(default.value) if isinstance(default, Waiver) else rule.type.write(default)
        return f"{toml_key(rule.key)} = {written}"
    return f"# {toml_key(rule.key)} =    # write {rule.type.name}: without this rule, all evidence is refused"
