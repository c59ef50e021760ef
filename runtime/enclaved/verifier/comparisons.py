"""The usual ways to hold a claim against a policy's value.

Each fits `Rule.check`. A claim that is absent (None) equals nothing and is in no
list, so evidence that does not say is never accepted by a rule that asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from enclaved.verifier.checks import Checks

__all__ = ["all_one_of", "components_at_least", "is_at_least", "is_equal", "is_one_of"]


def is_equal(checks: Checks, key: str, found: object, wanted: object) -> None:
    """Want exactly the policy's value.

    Raises:
        AppraisalError: it is another, or none.
    """
    checks.acceptable(key, found=found, wanted=wanted, ok=type(found) is type(wanted) and found == wanted)


def is_one_of(checks: Checks, key: str, found: object, wanted: AbstractSet[object]) -> None:
    """Want one of the policy's values.

    Raises:
        AppraisalError: it is none of them.
    """
    checks.acceptable(key, found=found, wanted=wanted, ok=found is not None and found in wanted)


def all_one_of(checks: Checks, key: str, found: Collection[object], wanted: AbstractSet[object]) -> None:
    """Want every element among the policy's values, as with advisories that are known and accepted.

    Raises:
        AppraisalError: one of them is not.
    """
    checks.acceptable(key, found=found, wanted=wanted, ok=all(item in wanted for item in found))


def is_at_least(checks: Checks, key: str, found: int | None, wanted: int) -> None:
    """Want a number that is not below the policy's.

    Raises:
        AppraisalError: it is lower, or none.
    """
    checks.acceptable(key, found=found, wanted=f"at least {wanted}", ok=found is not None and found >= wanted)


def components_at_least(checks: Checks, key: str, found: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Want each named component at or above the policy's; every component that was found must be named.

    Raises:
        AppraisalError: one is lower or missing, or the policy says nothing on one.
    """
    for component in sorted(found.keys() | wanted.keys()):
        there, least = found.get(component), wanted.get(component)
        checks.acceptable(
            f"{key}.{component}",
            found=there,
            wanted="a rule, and the policy holds none" if least is None else f"at least {least}",
            ok=there is not None and least is not None and there >= least,
        )
