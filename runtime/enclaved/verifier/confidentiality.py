"""The rule for evidence of machines whose host can look in.

A standalone TPM proves what a host booted; it does not keep that host out. A
policy that takes such evidence has to say so in the format's section:
``accept_not_confidential = true``. A format without this rule in its table can
never be accepted unless it shows that the host is kept out.
"""

from __future__ import annotations

from enclaved.verifier.checks import Checks
from enclaved.verifier.rule import Rule
from enclaved.verifier.value_types import flag

__all__ = ["ACCEPT_NOT_CONFIDENTIAL", "check_confidential"]


def check_confidential(checks: Checks, key: str, found: object, accepted: object) -> None:
    """Want evidence that the host is kept out, or the policy's word that it need not be.

    Args:
        checks: the record.
        key: the claim's name in the record.
        found: True where the evidence shows it.
        accepted: True where the policy accepts that it does not.

    Raises:
        AppraisalError: neither is the case.
    """
    checks.acceptable(
        key, found=found, wanted="any" if accepted is True else True, ok=found is True or accepted is True
    )


ACCEPT_NOT_CONFIDENTIAL: Rule[bool, bool] = Rule(
    key="accept_not_confidential",
    type=flag(),
    found=lambda claims: claims.confidential,
    check=check_confidential,
    doc="accept evidence that does not show that the host is kept out",
    default=False,
    pinned=lambda found: not found,
)
