"""The policy section of tokens: each rule, turned one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from enclaved.errors import AppraisalError, ConfigurationError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.attestation import verify_attestation
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.token.format import TOKEN
from simulation import NONCE, NOON, make_attestation, make_policy
from token_forgery import AZURE, EAR, FLAT, GOOGLE, NOW, Token, evidence

GOOD = Token()
_OF_KEY = str(authenticate(evidence(GOOD), at=NOON, checks=Checks()).vendor["key"])
_OTHER = "sha256:" + "00" * 32
ON_GOOGLE: dict[str, object] = {
    "issuer": ["https://confidentialcomputing.googleapis.com"],
    "keys": [_OF_KEY],
    "audience": ["https://relying.example"],
    "hardware": ["GCP_INTEL_TDX"],
    "measurement": ["03" * 32],
}
ON_AZURE: dict[str, object] = {
    "issuer": ["https://issuer.attest.azure.net"],
    "keys": [_OF_KEY],
    "audience": "any",
    "hardware": ["sevsnpvm"],
    "measurement": ["01" * 48],
}
ON_EAR: dict[str, object] = {
    "issuer": ["https://verifier.example"],
    "keys": [_OF_KEY],
    "audience": "any",
    "hardware": "any",
    "measurement": "any",
    "debug": "any",
    "secure_boot": False,
}


def _claims(payload: Mapping[str, Any]) -> Claims:
    return authenticate(evidence(replace(GOOD, payload=payload)), at=NOON, checks=Checks())


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("'", '"') if isinstance(value, list) else f'"{value}"'


def _policy(section: Mapping[str, object]) -> Policy:
    lines = [f"{key} = {_written(value)}" for key, value in section.items() if value is not ...]
    head = 'version = 1\nnamespace = "demo"\nsuites = ["mlkem768-x25519"]\n[formats.token]\n'
    return parse_policy((head + "\n".join(lines)).encode(), where="policy")


def _accepted(payload: Mapping[str, Any], section: Mapping[str, object]) -> None:
    checks = Checks()
    appraise(_claims(payload), _policy(section), checks=checks)
    assert {check.check for check in checks.done} >= {rule.key for rule in TOKEN.rules}


def _refused(payload: Mapping[str, Any], section: Mapping[str, object]) -> str:
    with pytest.raises(AppraisalError) as refused:
        appraise(_claims(payload), _policy(section), checks=Checks())
    return refused.value.claim


@pytest.mark.parametrize(
    ("payload", "section"),
    [(GOOGLE, ON_GOOGLE), (AZURE, ON_AZURE), (FLAT, ON_AZURE | {"secure_boot": False}), (EAR, ON_EAR)],
    ids=["google", "azurevm", "sevsnpvm", "ear"],
)
def test_least_policy_accepts_what_it_names(payload: Mapping[str, Any], section: Mapping[str, object]) -> None:
    """And lists every rule of the table, written or not."""
    _accepted(payload, section)


@pytest.mark.parametrize("key", list(ON_GOOGLE))
def test_rule_that_is_required_and_not_written_refuses(key: str) -> None:
    """Absence never means "don't check"."""
    assert _refused(GOOGLE, ON_GOOGLE | {key: ...}) == key


@pytest.mark.parametrize("key", ["issuer", "keys"])
def test_issuer_and_keys_cannot_be_waived(key: str) -> None:
    """Without them a token is whatever anybody signs."""
    with pytest.raises(ConfigurationError):
        _policy(ON_GOOGLE | {key: "any"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("issuer", ["https://confidentialcomputing.googleapis.com/"]),
        ("keys", [_OTHER]),
        ("audience", ["https://another.example"]),
        ("hardware", ["GCP_AMD_SEV_SNP"]),
        ("measurement", ["04" * 32]),
        ("debug", True),
        ("max_age", "59s"),
        ("tcb_status", ["OutOfDate"]),
        ("software", ["GCE"]),
        ("support_attributes", ["EXPERIMENTAL"]),
        ("subject", ["https://compute.example/instances/2"]),
        ("host_data", ["02" * 32]),
        ("policy_hash", ["policy"]),
    ],
)
def test_token_that_is_not_as_a_rule_wants_it_is_refused(key: str, value: object) -> None:
    """Compared exactly; what Google does not state is in no list."""
    assert _refused(GOOGLE, ON_GOOGLE | {key: value}) == key


@pytest.mark.parametrize(
    ("turned", "key"),
    [
        ({"aud": ["https://another.example"]}, "audience"),
        ({"aud": ...}, "audience"),
        ({"dbgstat": "enabled"}, "debug"),
        ({"dbgstat": ...}, "debug"),
        ({"secboot": False}, "secure_boot"),
        ({"secboot": ...}, "secure_boot"),
        ({"iat": NOW - 3601, "nbf": NOW - 3601}, "max_age"),
        ({"tdx": {"gcp_attester_tcb_status": "OutOfDate"}}, "tcb_status"),
        ({"swname": "GCE"}, "software"),
        ({"swname": ...}, "software"),
        ({"submods": {"container": GOOGLE["submods"]["container"]}}, "support_attributes"),
        ({"submods": {"container": {"image_digest": "03" * 32}}}, "measurement"),
        ({"submods": {"container": {"image_digest": "sha256:03"}}}, "measurement"),
        ({"hwmodel": "GCP_AMD_SEV"}, "confidential"),
    ],
    ids=str,
)
def test_googles_token_is_held_to_strict_defaults(turned: dict[str, object], key: str) -> None:
    """Debug images, unsupported images, other software, old tokens, other machines."""
    assert _refused({**GOOGLE, **turned}, ON_GOOGLE) == key


@pytest.mark.parametrize(
    ("turned", "key"),
    [
        ({"x-ms-isolation-tee": AZURE["x-ms-isolation-tee"] | {"x-ms-sevsnpvm-is-debuggable": True}}, "debug"),
        ({"x-ms-azurevm-kerneldebug-enabled": True}, "os_debug"),
        ({"x-ms-azurevm-bootdebug-enabled": "false"}, "os_debug"),
        ({"secureboot": False}, "secure_boot"),
        ({"x-ms-isolation-tee": ...}, "confidential"),
    ],
    ids=str,
)
def test_azures_token_is_held_to_strict_defaults(turned: dict[str, object], key: str) -> None:
    """Debugging of any part, unsigned boot, machines that are not confidential."""
    assert _refused({**AZURE, **turned}, ON_AZURE) == key


def test_compliance_is_azures_word() -> None:
    """A machine that Azure does not call compliant shows nothing about its host; both have to be waived."""
    payload = AZURE | {"x-ms-isolation-tee": AZURE["x-ms-isolation-tee"] | {"x-ms-compliance-status": "unknown"}}
    waived = ON_AZURE | {"accept_not_confidential": True}

    assert _refused(payload, ON_AZURE) == "confidential"
    assert _refused(payload, waived) == "compliance_status"
    _accepted(payload, waived | {"compliance_status": "any"})


@pytest.mark.parametrize(("key", "value"), [("host_data", ["03" * 32]), ("policy_hash", ["Policy"])])
def test_what_azure_states_is_held_against_the_policy(key: str, value: object) -> None:
    """Host data and the attestation policy that was applied."""
    good = {"host_data": ["02" * 32], "policy_hash": ["policy"]}
    _accepted(AZURE, ON_AZURE | good)

    assert _refused(AZURE, ON_AZURE | {key: value}) == key


@pytest.mark.parametrize("status", ["none", "warning", "contraindicated", 96, "unknown", True, None])
def test_every_part_of_an_attestation_result_has_to_be_affirmed(status: object) -> None:
    """One part that is not is enough to refuse."""
    parts = EAR["submods"] | {"WORKLOAD": EAR["submods"]["WORKLOAD"] | {"ear.status": status}}

    assert _refused(EAR | {"submods": parts}, ON_EAR) == "appraisal"


def test_result_without_parts_affirms_nothing() -> None:
    """Nothing was appraised."""
    section = ON_EAR | {"accept_not_confidential": True}

    assert _refused(EAR | {"submods": {}}, section) == "appraisal"


@pytest.mark.parametrize("key", ["hardware", "measurement", "debug", "secure_boot"])
def test_what_an_attestation_result_does_not_state_is_refused_unless_waived(key: str) -> None:
    """Its verifier knows; this token does not say."""
    assert _refused(EAR, ON_EAR | {key: ...}) == key


def test_waiver_of_the_measurement_is_warned_of() -> None:
    """The operator then chooses what runs."""
    assert any("formats.token.measurement" in each for each in policy_warnings(_policy(ON_EAR)))


def test_draft_accepts_what_it_was_drafted_from() -> None:
    """Pinned to issuer, key, audience, hardware and measurement."""
    claims = _claims(GOOGLE)
    bundle = verify_attestation(make_attestation(), make_policy(), at=NOON, nonce=NONCE).bundle
    text = draft_policy(bundle, claims, freshness=Freshness(challenge=True, max_age=timedelta(hours=1)))

    appraise(claims, parse_policy(text.encode(), where="draft"), checks=Checks())


def test_draft_from_a_token_for_nobody_needs_a_person() -> None:
    """Whether that is wanted, no program can know: the audience is left to write."""
    bundle = verify_attestation(make_attestation(), make_policy(), at=NOON, nonce=NONCE).bundle
    text = draft_policy(bundle, _claims(AZURE), freshness=Freshness(challenge=True, max_age=timedelta(hours=1)))

    assert "# audience =" in text


def test_binding_is_a_nonce_that_issuers_take() -> None:
    """They take short texts only: the digest of the binding in hex."""
    assert len(TOKEN.expected_binding(bytes(64))) == 64
    assert TOKEN.expected_binding(bytes(64)).decode().isalnum()
