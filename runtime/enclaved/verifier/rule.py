"""A rule: one key of a format's policy section.

The rules of a format are a closed table. A key that is not in it is an error; a
key that is in it, is required and is not written, refuses the evidence; one that
is optional has the strictest value as its default. Skipping a rule is a value
that somebody wrote: the word ``"any"``, where the rule allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.value_type import ValueType

__all__ = ["Rule", "Waiver"]

_Found = TypeVar("_Found")
_Value = TypeVar("_Value")


class Waiver(Enum):
    """The value of a rule that the relying party has waived by name."""

    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[_Found, _Value]):
    """One key of a format's policy section.

    Attributes:
        key: the key in the policy document.
        type: what may be written there.
        found: takes what the rule is about out of the claims.
        check: holds what was found against the policy's value, given the record, the key, the
            finding and the value; it records at least one check and raises `AppraisalError`.
            `comparisons` has the usual ones.
        doc: what the rule is about, one line for the README's table and for drafts.
        required: does the policy have to hold it; its absence then refuses all evidence.
        default: the strict value of a rule that is not required.
        may_be_any: may the relying party waive it by writing ``"any"``.
        unmeasured_if_any: would the waiver leave code unmeasured, so that drafts and checks of
            policies have to warn.
        pinned: the value that accepts exactly what was found, for drafts; None where a draft
            writes the default or leaves the choice to a person.
        section: the rules of the table that is this rule's value, where it is one; see `section`.
    """

    key: str
    type: ValueType[_Value]
    found: Callable[[Claims], _Found]
    check: Callable[[Checks, str, _Found, _Value], None]
    doc: str
    required: bool = False
    default: _Value | Waiver | None = None
    may_be_any: bool = False
    unmeasured_if_any: bool = False
    pinned: Callable[[_Found], _Value] | None = None
    section: tuple[Rule[Any, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.required == (self.default is not None):
            raise ValueError(f"rule {self.key}: either it is required, or it has a default")

    def apply(self, claims: Claims, value: _Value | Waiver | None, checks: Checks) -> None:
        """Hold authentic claims against the value that a policy has for this rule.

        Args:
            claims: what the evidence says.
            value: the policy's value, its waiver, or None where the policy does not say.
            checks: the record.

        Raises:
            AppraisalError: the policy does not accept the claims, or does not say.
        """
        found = self.found(claims)
        if value is None:
            value = self.default
        if value is None:
            raise checks.not_acceptable(self.key, found=found, wanted="a rule, and the policy holds none")
        if isinstance(value, Waiver):
            checks.acceptable(self.key, found=found, wanted=value.value, ok=True)
            return
        before = len(checks.done)
        self.check(checks, self.key, found, value)
        if len(checks.done) == before:  # a check that looked at nothing must not pass for one
            raise checks.not_acceptable(self.key, found=found, wanted=value)
