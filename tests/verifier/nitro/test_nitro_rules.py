"""The policy's rules for Nitro Enclaves, each turned once on evidence that is otherwise accepted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from enclaved.clock import unix_ms
from enclaved.errors import AppraisalError, ConfigurationError, EvidenceError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import appraise_evidence
from enclaved.verifier.nitro.rules import RULES
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.rule import Waiver
from nitro_forgery import make_evidence, make_module, pcrs
from simulation import NOON, make_bundle

MODULE = make_module()
ZERO = bytes(48)
GOOD_PCRS = {0: b"0" * 48, 1: b"1" * 48, 2: b"2" * 48}


def _written(**values: bytes) -> str:
    return "{ " + ", ".join(f'{name} = ["{value.hex()}"]' for name, value in values.items()) + " }"


WRITTEN = {
    "pcrs": _written(pcr0=GOOD_PCRS[0], pcr1=GOOD_PCRS[1], pcr2=GOOD_PCRS[2]),
    "debug": "false",
    "max_document_age": '"1h"',
}


def _policy(**turned: str | None) -> Policy:
    section = "\n".join(f"{key} = {value}" for key, value in (WRITTEN | turned).items() if value is not None)
    head = 'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n'
    return parse_policy(f"{head}[formats.nitro]\n{section}\n".encode(), where="policy.toml")


def _claims(**turned: object) -> Claims:
    return authenticate(make_evidence(MODULE, **turned), at=NOON, roots=MODULE.roots, checks=Checks())


GOOD = _claims()
DEBUG = _claims(pcrs=pcrs(pcr0=ZERO, pcr1=ZERO, pcr2=ZERO))


def _accepted(claims: Claims, **turned: str | None) -> Checks:
    checks = Checks()
    appraise(claims, _policy(**turned), checks=checks)
    return checks


def _refused(claims: Claims, **turned: str | None) -> str:
    with pytest.raises(AppraisalError) as refused:
        appraise(claims, _policy(**turned), checks=Checks())
    return refused.value.claim


def test_policy_accepts_what_it_describes_and_lists_every_rule() -> None:
    """A rule that is left out of a policy is listed in the verdict all the same."""
    checks = _accepted(GOOD, debug=None, max_document_age=None)

    assert all(check.ok for check in checks.done)
    assert {check.check.split(".")[0] for check in checks.done} >= {rule.key for rule in RULES}


def test_pcrs_that_are_not_written_refuse() -> None:
    """A line that somebody forgot must not open the door."""
    assert _refused(GOOD, pcrs=None) == "pcrs"


@pytest.mark.parametrize("name", ["pcr0", "pcr1", "pcr2", "pcr4"])
def test_pcr_of_another_value_is_refused(name: str) -> None:
    """The error names the PCR."""
    values = {"pcr0": GOOD_PCRS[0], "pcr1": GOOD_PCRS[1], "pcr2": GOOD_PCRS[2], "pcr4": b"4" * 48} | {name: b"x" * 48}

    assert _refused(GOOD, pcrs=_written(**values)) == f"pcrs.{name}"


def test_pcr_that_the_document_does_not_have_is_refused() -> None:
    """What is absent equals nothing, not even zeros."""
    assert _refused(GOOD, pcrs=_written(pcr0=GOOD_PCRS[0], pcr16=ZERO)) == "pcrs.pcr16"


def test_one_of_several_values_is_enough() -> None:
    """Two releases may run side by side."""
    _accepted(GOOD, pcrs=f'{{ pcr0 = ["{(b"x" * 48).hex()}", "{GOOD_PCRS[0].hex()}"] }}')


@pytest.mark.parametrize("names", [("pcr0",), ("pcr1", "pcr2"), ("pcr0", "pcr3")])
def test_pcrs_that_measure_the_code_are_enough(names: tuple[str, ...]) -> None:
    """The image; or its two parts."""
    values = {f"pcr{index}": value for index, value in {**GOOD_PCRS, 3: ZERO}.items()}

    _accepted(GOOD, pcrs=_written(**{name: values[name] for name in names}))


@pytest.mark.parametrize("names", [("pcr1",), ("pcr2",), ("pcr3",), ("pcr4",), ("pcr8",)])
def test_pcrs_that_do_not_say_what_code_runs_are_refused(names: tuple[str, ...]) -> None:
    """A role, an instance or half of an image; PCR 8 of an unsigned image is zero."""
    values = {f"pcr{index}": value for index, value in {**GOOD_PCRS, 3: ZERO, 4: b"4" * 48, 8: ZERO}.items()}

    assert _refused(GOOD, pcrs=_written(**{name: values[name] for name in names})) == "pcrs"


def test_signed_image_is_accepted_by_its_signer() -> None:
    """PCR 8 is the certificate that signed the image."""
    claims = _claims(pcrs=pcrs(pcr8=b"8" * 48))

    _accepted(claims, pcrs=_written(pcr8=b"8" * 48))


def test_debug_enclave_is_refused_whatever_is_written_about_its_pcrs() -> None:
    """Its PCRs are zero, so a policy that lists zeros would accept every debug enclave."""
    zeros = _written(pcr0=ZERO, pcr1=ZERO, pcr2=ZERO)

    assert _refused(DEBUG, pcrs='"any"') == "debug"
    assert _refused(DEBUG, pcrs='"any"', debug=None) == "debug"
    assert _refused(DEBUG, pcrs=zeros) == "pcrs"
    assert _refused(DEBUG, pcrs=zeros, debug="true") == "pcrs"
    _accepted(DEBUG, pcrs='"any"', debug="true")


def test_production_enclave_is_refused_where_a_debug_one_is_wanted() -> None:
    """The rule says what has to be found."""
    assert _refused(GOOD, debug="true") == "debug"


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(0), True),
        (timedelta(hours=1), True),
        (timedelta(hours=1, milliseconds=1), False),
        (timedelta(milliseconds=-2068), True),
        (timedelta(minutes=-1), True),
        (timedelta(minutes=-1, milliseconds=-1), False),
    ],
)
def test_age_of_a_document_is_bounded(age: timedelta, accepted: bool) -> None:  # noqa: FBT001 - a column of the table
    """Clocks differ by seconds; a document from a further future is no document of now."""
    claims = _claims(timestamp=unix_ms(NOON - age))

    for written in ('"1h"', None):
        if accepted:
            _accepted(claims, max_document_age=written)
        else:
            assert _refused(claims, max_document_age=written) == "max_document_age"
    _accepted(claims, max_document_age='"any"')


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "[]",
        '{ pcr32 = ["00"] }',
        f'{{ pcr00 = ["{ZERO.hex()}"] }}',
        "{ pcr0 = [] }",
        f'{{ pcr0 = "{ZERO.hex()}" }}',
        '{ pcr0 = ["00"] }',
    ],
)
def test_pcrs_that_are_none_are_an_error(written: str) -> None:
    """A misspelt rule must not turn into one that is not there."""
    with pytest.raises(ConfigurationError):
        _policy(pcrs=written)


def test_waiver_that_leaves_the_image_unmeasured_is_warned_about() -> None:
    """Then whoever runs the instance chooses what runs."""
    assert any("pcrs" in warning for warning in policy_warnings(_policy(pcrs='"any"')))
    assert not any("formats.nitro" in warning for warning in policy_warnings(_policy()))


def test_draft_accepts_what_it_was_drafted_from() -> None:
    """A person reviews it; until then it says what was seen."""
    draft = draft_policy(make_bundle(), GOOD, freshness=Freshness(challenge=False, max_age=Waiver.ANY))

    appraise(GOOD, parse_policy(draft.encode(), where="draft"), checks=Checks())


def test_nonce_is_compared_with_the_nonces_own_field() -> None:
    """User data carries the binding; the nonce has a field apart."""
    evidence = make_evidence(MODULE, nonce=b"our own nonce")

    appraise_evidence(evidence, _policy(), at=NOON, nonce=b"our own nonce", roots=MODULE.roots)
    for other in (b"another nonce", b"our own nonce\0", bytes(range(64)), b""):
        with pytest.raises(EvidenceError) as refused:
            appraise_evidence(evidence, _policy(), at=NOON, nonce=other, roots=MODULE.roots)
        assert refused.value.step == "nonce"


@pytest.mark.parametrize("nonce", [None, b"", ...])
def test_document_over_no_nonce_is_refused_where_one_is_given(nonce: object) -> None:
    """Nothing equals no nonce."""
    evidence = make_evidence(MODULE, nonce=nonce)

    for ours in (b"ours", b""):
        with pytest.raises(EvidenceError) as refused:
            appraise_evidence(evidence, _policy(), at=NOON, nonce=ours, roots=MODULE.roots)
        assert refused.value.step == "nonce"
