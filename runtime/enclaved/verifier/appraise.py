"""Stage two: does the relying party's policy accept what authentic evidence says.

1. the policy has a section for the format;
2. the evidence is confidential, or simulated, or the policy accepts in writing that it is neither;
3. every rule of the format's closed table.
"""

from __future__ import annotations

from enclaved.verifier.alternatives import with_alternatives
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.confidentiality import ACCEPT_NOT_CONFIDENTIAL, check_confidential
from enclaved.verifier.formats import find_format
from enclaved.verifier.policy import FormatSection, Policy

__all__ = ["appraise"]


def appraise(claims: Claims, policy: Policy, *, checks: Checks) -> None:
    """Hold what authentic evidence says against a policy.

    Args:
        claims: the claims of stage one.
        policy: the relying party's policy.
        checks: the record.

    Raises:
        AppraisalError: the policy does not accept them.
    """
    # 1. A section for the format.
    section = _section(claims, policy, checks)
    # 2. Kept from the host, or accepted in writing, as the section of a simulated format is: it has no other use.
    accepted = claims.simulated or section.values.get(ACCEPT_NOT_CONFIDENTIAL.key)
    check_confidential(checks, "confidential", claims.confidential, accepted)
    # 3. Every rule, whether the policy mentions it or not.
    format_ = find_format(claims.format)
    values = with_alternatives(format_, section.values)
    for rule in format_.rules:
        rule.apply(claims, values.get(rule.key), checks)


def _section(claims: Claims, policy: Policy, checks: Checks) -> FormatSection:
    section = policy.formats.get(claims.format)
    if section is None:
        raise checks.not_acceptable("format", found=claims.format, wanted=sorted(policy.formats))
    checks.acceptable("format", found=claims.format, wanted=sorted(policy.formats), ok=True)
    return section
