"""How claims of SEV-SNP are held against a policy, beyond the ways that all formats share."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from enclaved.verifier.checks import Checks
from enclaved.verifier.comparisons import components_at_least, is_one_of
from enclaved.verifier.snp.revocation import Revocation

__all__ = [
    "IF_PRESENT",
    "REQUIRED",
    "check_allowed",
    "check_bits",
    "check_csp",
    "check_demanded",
    "check_flags",
    "check_minimum_tcb",
    "check_revocation",
    "check_version",
]

REQUIRED, IF_PRESENT = "required", "if-present"
_REVOCATION = {REQUIRED: (Revocation.CURRENT,), IF_PRESENT: (Revocation.CURRENT, Revocation.ABSENT)}


def check_minimum_tcb(
    checks: Checks, key: str, found: tuple[str, Mapping[str, int]], wanted: Mapping[str, Mapping[str, int]]
) -> None:
    """Want every component of the TCB version at or above the policy's for that product line.

    Raises:
        AppraisalError: one is lower, or the policy says nothing on the line or the component.
    """
    product, tcb = found
    if product not in wanted:
        raise checks.not_acceptable(f"{key}.{product}", found=tcb, wanted="a rule, and the policy holds none")
    components_at_least(checks, f"{key}.{product}", tcb, wanted[product])


def check_revocation(checks: Checks, key: str, found: object, wanted: str) -> None:
    """Want a list in force, or with ``if-present`` none that is out of force.

    Raises:
        AppraisalError: there is no such list.
    """
    accepted = _REVOCATION[wanted]
    checks.acceptable(key, found=found, wanted=f"{wanted}: {' or '.join(accepted)}", ok=found in accepted)


def check_allowed(checks: Checks, key: str, found: object, allowed: object) -> None:
    """Want something not to be so, unless the policy allows it.

    Raises:
        AppraisalError: it is, and the policy does not.
    """
    checks.acceptable(
        key, found=found, wanted="any" if allowed is True else False, ok=found is False or allowed is True
    )


def check_demanded(checks: Checks, key: str, found: object, demanded: object) -> None:
    """Want something to be so, if the policy demands it.

    Raises:
        AppraisalError: it is not, and the policy does.
    """
    checks.acceptable(
        key, found=found, wanted=True if demanded is not False else "any", ok=found is True or demanded is False
    )


def check_version(checks: Checks, key: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Want a version that is not older than the policy's.

    Raises:
        AppraisalError: it is.
    """
    checks.acceptable(key, found=_dotted(found), wanted=f"at least {_dotted(wanted)}", ok=found >= wanted)


def check_flags(checks: Checks, key: str, found: Mapping[str, bool], wanted: Mapping[str, bool]) -> None:
    """Want each flag that the policy names as the policy has it.

    Raises:
        AppraisalError: one is not.
    """
    for name, value in sorted(wanted.items()):
        checks.acceptable(f"{key}.{name}", found=found.get(name), wanted=value, ok=found.get(name) is value)


def check_bits(checks: Checks, key: str, found: int | None, wanted: int) -> None:
    """Want every bit that the policy has set; a report without the field has none.

    Raises:
        AppraisalError: one is not set.
    """
    checks.acceptable(key, found=found, wanted=f"all bits of {wanted}", ok=(found or 0) & wanted == wanted)


def check_csp(checks: Checks, key: str, found: str | None, wanted: AbstractSet[object]) -> None:
    """Want a VLEK to be one of the policy's cloud providers'; a VCEK is nobody's, and ``signing_key`` decides on it.

    Raises:
        AppraisalError: it is another's.
    """
    if found is None:
        checks.acceptable(key, found="a VCEK, which is no provider's", wanted=wanted, ok=True)
        return
    is_one_of(checks, key, found, wanted)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
