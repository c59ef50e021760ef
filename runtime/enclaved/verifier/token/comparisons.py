"""Ways to hold a token's claims against a policy's value, beyond those that all formats share.

Some rules are about what only one issuer states. For a token of another kind such
a rule says that it does not apply, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta

from enclaved.verifier.checks import Checks

__all__ = [
    "OfKind",
    "all_listed",
    "check_age",
    "check_any_of",
    "check_demanded",
    "check_stated_status",
    "for_kind",
    "has_listed",
    "is_listed",
]

OfKind = tuple[str, object]
"""The kind of token, and what was found in it."""


def for_kind(kind: str, is_good: Callable[[object, AbstractSet[str]], bool]) -> Callable[..., None]:
    """Return a check on what tokens of one kind state.

    Args:
        kind: the kind.
        is_good: holds what was found against the policy's words.
    """

    def check(checks: Checks, key: str, found: OfKind, wanted: AbstractSet[str]) -> None:
        its_kind, value = found
        if its_kind != kind:
            checks.acceptable(key, found=f"a token of the kind {its_kind}", wanted=f"{kind}: {sorted(wanted)}", ok=True)
            return
        checks.acceptable(key, found=value, wanted=sorted(wanted), ok=is_good(value, wanted))

    return check


def check_any_of(checks: Checks, key: str, found: tuple[str, ...], wanted: AbstractSet[str]) -> None:
    """Want at least one of the policy's values among those that were found, as with audiences.

    Raises:
        AppraisalError: there is none.
    """
    checks.acceptable(key, found=found, wanted=sorted(wanted), ok=any(each in wanted for each in found))


def check_demanded(checks: Checks, key: str, found: object, demanded: object) -> None:
    """Want something to be so, unless the policy does not demand it.

    Raises:
        AppraisalError: it is not, and the policy does.
    """
    checks.acceptable(
        key, found=found, wanted=True if demanded is not False else "any", ok=found is True or demanded is False
    )


def check_stated_status(checks: Checks, key: str, found: str | None, wanted: AbstractSet[str]) -> None:
    """Want a status among the policy's, where the token states one.

    Raises:
        AppraisalError: it states another.
    """
    checks.acceptable(key, found=found or "not stated", wanted=sorted(wanted), ok=found is None or found in wanted)


def check_age(checks: Checks, key: str, found: timedelta, wanted: timedelta) -> None:
    """Want a token that is not older than the policy's age.

    Raises:
        AppraisalError: it is older.
    """
    checks.acceptable(key, found=found, wanted=f"at most {int(wanted.total_seconds())}s", ok=found <= wanted)


def is_listed(found: object, wanted: AbstractSet[str]) -> bool:
    """Tell whether a text is one of the policy's words."""
    return isinstance(found, str) and found in wanted


def has_listed(found: object, wanted: AbstractSet[str]) -> bool:
    """Tell whether one of the texts is one of the policy's words."""
    return isinstance(found, tuple) and any(each in wanted for each in found)


def all_listed(found: object, wanted: AbstractSet[str]) -> bool:
    """Tell whether there are parts, and each has one of the policy's words."""
    return isinstance(found, Mapping) and bool(found) and all(each in wanted for each in found.values())
