"""Ways to hold a quote's claims against a policy's value, beyond those that all formats share."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.revocation import Revocation
from enclaved.verifier.dcap.second_opinion import AGREES

__all__ = [
    "IF_PRESENT",
    "REQUIRED",
    "check_advisories",
    "check_allowed",
    "check_demanded",
    "check_flags",
    "check_revocation",
    "check_second_opinion",
]

REQUIRED, IF_PRESENT = "required", "if-present"
_REVOCATION = {
    REQUIRED: (Revocation.CURRENT.value,),
    IF_PRESENT: (Revocation.CURRENT.value, Revocation.ABSENT.value),
}


def check_revocation(checks: Checks, key: str, found: object, wanted: str) -> None:
    """Want both lists in force, or with ``if-present`` none that is out of force.

    Raises:
        AppraisalError: they are not.
    """
    accepted = _REVOCATION[wanted]
    checks.acceptable(key, found=found, wanted=f"{wanted}: {' or '.join(accepted)}", ok=found in accepted)


def check_second_opinion(checks: Checks, key: str, found: object, wanted: str) -> None:
    """Want `dcap-qvl` to have been asked; that it agreed, stage one has checked.

    Raises:
        AppraisalError: it was not.
    """
    checks.acceptable(key, found=found, wanted=f"{wanted}: {AGREES}", ok=found == AGREES)


def check_advisories(checks: Checks, key: str, found: tuple[str, ...], wanted: AbstractSet[str]) -> None:
    """Want every advisory to be one that the policy knows and accepts.

    Raises:
        AppraisalError: one is not.
    """
    unknown = [each for each in found if each not in wanted]
    checks.acceptable(key, found=found, wanted=sorted(wanted) or "none", ok=not unknown)


def check_allowed(checks: Checks, key: str, found: object, allowed: object) -> None:
    """Want something not to be so, unless the policy allows it.

    Raises:
        AppraisalError: it is, and the policy does not.
    """
    checks.acceptable(
        key, found=found, wanted="any" if allowed is True else False, ok=found is False or allowed is True
    )


def check_demanded(checks: Checks, key: str, found: object, demanded: object) -> None:
    """Want something to be so, unless the policy does not demand it.

    Raises:
        AppraisalError: it is not, and the policy does.
    """
    checks.acceptable(
        key, found=found, wanted=True if demanded is not False else "any", ok=found is True or demanded is False
    )


def check_flags(checks: Checks, key: str, found: Mapping[str, bool], wanted: Mapping[str, bool]) -> None:
    """Want each flag that the policy names as the policy has it; one that was not found is neither.

    Raises:
        AppraisalError: one is not.
    """
    for name, value in sorted(wanted.items()):
        checks.acceptable(f"{key}.{name}", found=found.get(name), wanted=value, ok=found.get(name) is value)
