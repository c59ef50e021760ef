"""Stage two: authentic claims held against a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

import pytest
from enclaved.errors import AppraisalError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import all_one_of, components_at_least, is_at_least, is_equal, is_one_of
from enclaved.verifier.confidentiality import ACCEPT_NOT_CONFIDENTIAL
from enclaved.verifier.policy import FormatSection, Policy
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_types import integer
from simulation import NOON, make_device, make_policy

Comparison: TypeAlias = Callable[..., None]

POLICY = make_policy()
CLAIMS = authenticate(make_device().attest(bytes(64)), at=NOON, checks=Checks())


def _section(values: Mapping[str, object]) -> Policy:
    section = FormatSection(format="simulated", values=MappingProxyType(dict(values)))
    return replace(POLICY, formats=MappingProxyType({"simulated": section}))


def _refused(claims: Claims, policy: Policy) -> str:
    checks = Checks()
    with pytest.raises(AppraisalError) as refused:
        appraise(claims, policy, checks=checks)
    assert checks.done[-1].check == refused.value.claim
    assert not checks.done[-1].ok
    return refused.value.claim


def test_pinned_claims_are_accepted() -> None:
    """The policy names this root and this measurement."""
    checks = Checks()
    appraise(CLAIMS, POLICY, checks=checks)

    assert [check.check for check in checks.done] == ["format", "confidential", "root", "measurement", "debug"]


def test_simulated_evidence_without_its_section_is_refused() -> None:
    """No policy accepts a simulation unless it says so in a section of its own."""
    assert _refused(CLAIMS, replace(POLICY, formats=MappingProxyType({}))) == "format"


def test_unknown_root_is_refused() -> None:
    """The root is all that tells one developer's simulation from another's."""
    values = POLICY.formats["simulated"].values
    assert _refused(CLAIMS, _section({**values, "root": frozenset({"sha256:" + "00" * 32})})) == "root"


def test_required_rule_that_is_not_written_refuses() -> None:
    """A forgotten line of the policy does not open the door."""
    assert _refused(CLAIMS, _section({})) == "root"


def test_other_measurement_is_refused() -> None:
    """Where it is pinned, it has to fit."""
    values = POLICY.formats["simulated"].values
    assert _refused(CLAIMS, _section({**values, "measurement": frozenset({bytes(48)})})) == "measurement"


@pytest.mark.parametrize("debug", [True, None], ids=["debug", "unknown"])
def test_debug_is_refused_by_omission(debug: object) -> None:
    """A debuggable enclave can be read by its host, so no policy accepts one without saying so."""
    claims = replace(CLAIMS, debug=debug, vendor={"root": CLAIMS.vendor["root"]})

    assert _refused(claims, POLICY) == "debug"


def test_debug_is_accepted_where_it_is_written() -> None:
    """Developers may want it."""
    values = POLICY.formats["simulated"].values
    claims = replace(CLAIMS, debug=True, vendor={"root": CLAIMS.vendor["root"]})

    appraise(claims, _section({**values, "debug": True}), checks=Checks())


def test_evidence_that_does_not_keep_the_host_out_is_refused() -> None:
    """That a host booted well says nothing about what its administrator reads."""
    assert _refused(replace(CLAIMS, simulated=False), POLICY) == "confidential"


def test_evidence_that_does_not_keep_the_host_out_is_accepted_in_writing() -> None:
    """A standalone TPM has its uses; the policy has to say that it is one."""
    values = {**POLICY.formats["simulated"].values, ACCEPT_NOT_CONFIDENTIAL.key: True}

    appraise(replace(CLAIMS, simulated=False), _section(values), checks=Checks())


@pytest.mark.parametrize("accepted", [False, None, 1, Waiver.ANY])
def test_only_true_accepts_evidence_that_does_not_keep_the_host_out(accepted: object) -> None:
    """The acceptance is one word, and nothing that resembles it."""
    values = {**POLICY.formats["simulated"].values, ACCEPT_NOT_CONFIDENTIAL.key: accepted}

    assert _refused(replace(CLAIMS, simulated=False), _section(values)) == "confidential"


def _apply(check: Comparison, found: object, value: object) -> None:
    rule: Rule[Any, Any] = Rule(
        key="key", type=integer(), found=lambda _: found, check=check, doc="", required=True, may_be_any=True
    )
    rule.apply(CLAIMS, value, Checks())


@pytest.mark.parametrize(
    ("check", "found", "value"),
    [
        (is_equal, 1, 1),
        (is_one_of, 1, frozenset({1, 2})),
        (all_one_of, [1, 2], frozenset({1, 2})),
        (all_one_of, [], frozenset({1})),
        (is_at_least, 2, 2),
        (components_at_least, {"a": 2}, {"a": 1}),
    ],
)
def test_comparison_accepts_what_the_policy_wants(check: Comparison, found: object, value: object) -> None:
    """One good value each."""
    _apply(check, found, value)


@pytest.mark.parametrize(
    ("check", "found", "value"),
    [
        (is_equal, 2, 1),
        (is_equal, True, 1),
        (is_equal, None, False),
        (is_one_of, 3, frozenset({1, 2})),
        (is_one_of, None, frozenset({1})),
        (is_one_of, 1, frozenset()),
        (all_one_of, [1, 3], frozenset({1, 2})),
        (is_at_least, 1, 2),
        (is_at_least, None, 0),
        (components_at_least, {"a": 0}, {"a": 1}),
        (components_at_least, {"a": 1}, {"a": 1, "b": 0}),
        (components_at_least, {"a": 1, "b": 0}, {"a": 1}),
        (components_at_least, {}, {}),
        (lambda *_: None, 1, 1),
        (is_equal, 1, None),
    ],
    ids=str,
)
def test_comparison_refuses_anything_else(check: Comparison, found: object, value: object) -> None:
    """Another value, no value, another type, a component too few, a check that looks at nothing, no rule."""
    with pytest.raises(AppraisalError):
        _apply(check, found, value)


def test_waived_rule_is_listed_with_what_was_found() -> None:
    """A waiver is a check that somebody decided not to make; readers of the verdict see it."""
    checks = Checks()
    appraise(CLAIMS, _section({**POLICY.formats["simulated"].values, "measurement": Waiver.ANY}), checks=checks)

    waived = next(check for check in checks.done if check.check == "measurement")
    assert waived.wanted == "any"
    assert waived.found == CLAIMS.measurement.hex() if CLAIMS.measurement else ""


def test_rule_is_required_or_has_a_default() -> None:
    """A rule that is neither would be skipped in silence."""
    with pytest.raises(ValueError, match="default"):
        Rule(key="key", type=integer(), found=lambda _: 1, check=is_equal, doc="")
    with pytest.raises(ValueError, match="default"):
        Rule(key="key", type=integer(), found=lambda _: 1, check=is_equal, doc="", required=True, default=1)


def test_vendors_claim_cannot_contradict_the_common_one() -> None:
    """Two values under one name: a reader would see only one of them."""
    with pytest.raises(ValueError, match="debug"):
        replace(CLAIMS, vendor={"debug": True})
