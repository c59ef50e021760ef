"""What a relying party asks of a key bundle, once evidence speaks for it.

The bundle is what the attested code says of itself: whose runtime it is, which
keys it has and until when, and which functions it will run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from enclaved.verifier.checks import Checks
from enclaved.verifier.policy import FunctionRule, Policy
from enclaved.verifier.rule import Waiver
from enclaved.wire.bundle import FunctionEntry, KeyBundle

__all__ = ["CLOCK_SKEW", "check_age", "check_function_entry", "check_namespace", "check_suites", "check_validity"]

CLOCK_SKEW = timedelta(seconds=60)
"""How far a host's clock may run ahead of the relying party's; it only makes a bundle valid earlier."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_validity(bundle: KeyBundle, *, at: datetime, checks: Checks) -> None:
    """Check that the bundle is valid: after it, the enclave no longer holds its keys.

    Raises:
        EvidenceError: it is not yet, or no longer, valid.
    """
    start, end = _time(bundle.not_before), _time(bundle.not_after)
    checks.authentic(
        "bundle validity",
        found=at,
        wanted=f"{start.isoformat()} to {end.isoformat()}",
        ok=start - CLOCK_SKEW <= at <= end,
    )


def check_age(bundle: KeyBundle, policy: Policy, *, at: datetime, checks: Checks) -> None:
    """Check that the bundle is not older than the policy allows.

    Raises:
        AppraisalError: it is.
    """
    age, max_age = at - _time(bundle.not_before), policy.freshness.max_age
    checks.acceptable("freshness.max_age", found=age, wanted=max_age, ok=isinstance(max_age, Waiver) or age <= max_age)


def check_namespace(bundle: KeyBundle, policy: Policy, *, checks: Checks) -> None:
    """Check that the bundle is of the policy's namespace: another's runtime is not meant.

    Raises:
        AppraisalError: it is not.
    """
    checks.acceptable(
        "namespace", found=bundle.namespace, wanted=policy.namespace, ok=bundle.namespace == policy.namespace
    )


def check_suites(bundle: KeyBundle, policy: Policy, *, checks: Checks) -> None:
    """Check that the bundle has a key of a suite that the policy accepts.

    Raises:
        AppraisalError: it has none.
    """
    offered = [key.suite for key in bundle.keys]
    checks.acceptable(
        "suites", found=offered, wanted=policy.suites, ok=any(suite in policy.suites for suite in offered)
    )


def check_function_entry(bundle: KeyBundle, policy: Policy, name: str, *, checks: Checks) -> FunctionEntry:
    """Return a function of the bundle, if the policy lets data be sealed to it.

    Args:
        bundle: a bundle that evidence speaks for.
        policy: the relying party's policy.
        name: the function's name.
        checks: the record.

    Returns:
        What the bundle says of the function.

    Raises:
        AppraisalError: the policy does not list it, the bundle does not have it, or its digest or
            isolation is not one of those listed.
    """
    claim, rule, entry = f"functions.{name}", policy.functions.get(name), bundle.function(name)
    if rule is None:
        raise checks.not_acceptable(
            claim, found=name, wanted=sorted(policy.functions) or "a function, and none is listed"
        )
    if entry is None:
        raise checks.not_acceptable(claim, found=[each.name for each in bundle.functions], wanted=name)
    _check_entry(claim, entry, rule, checks)
    return entry


def _check_entry(claim: str, entry: FunctionEntry, rule: FunctionRule, checks: Checks) -> None:
    digest = rule.digest
    checks.acceptable(
        f"{claim}.digest", found=entry.digest, wanted=digest, ok=isinstance(digest, Waiver) or entry.digest in digest
    )
    checks.acceptable(
        f"{claim}.isolation", found=entry.isolation, wanted=rule.isolation, ok=entry.isolation in rule.isolation
    )


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
