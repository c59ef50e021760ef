"""Genuine tokens of Azure Attestation and Google Confidential Space."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from genuine import Case, genuine_case, genuine_cases, judge, print_table

pytestmark = pytest.mark.vectors


def _claims(case_id: str) -> Claims:
    case = genuine_case(case_id, "token")
    assert case.at is not None
    exit_code, claims, message = judge(case.evidence, case.at)
    assert exit_code == 0, message
    assert claims is not None
    return claims


def test_every_case_is_judged_as_its_manifest_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict and claims, each as of the case's own time; a token without its key set cannot be judged."""
    rows = [_row(case) for tee in ("maa", "gcp-cs") for case in genuine_cases(tee, "token")]
    with capsys.disabled():
        print_table("Attestation tokens", rows)

    assert not [row for row in rows if row[0] == "wrong"]
    assert sum(row[0] == "right" for row in rows) >= 3


def _row(case: Case) -> tuple[str, str, str]:
    if case.at is None or case.exits is None:
        return "no verdict", case.id, str(case.entry["cli"]["reason"])
    exit_code, claims, message = judge(case.evidence, case.at)
    if exit_code not in case.exits:
        return "wrong", case.id, message
    if claims is None:
        return "right", case.id, message
    expect, found = case.entry["expect"], claims.to_json()
    wanted = {name: expect[key] for key, name in _NAMES.items() if key in expect} | expect.get("claims_of_interest", {})
    differing = [name for name, value in wanted.items() if found.get(name) not in (value, [value])]
    if "dbgstat=enabled" in str(expect.get("policy_reject")) and claims.debug is not True:
        differing.append("debug")
    return ("wrong" if differing else "right"), case.id, f"differs: {differing}" if differing else "authentic"


_NAMES = {
    "issuer": "iss",
    "aud": "aud",
    "eat_nonce": "eat_nonce",
    "hwmodel": "hwmodel",
    "dbgstat": "dbgstat",
    "kid": "kid",
}


def test_wrapped_hardware_of_an_azure_machine_is_found() -> None:
    """A token about a machine says it one level down."""
    claims = _claims("maa/azurevm-snp-2023")

    assert claims.vendor["hardware"] == "sevsnpvm"
    assert claims.debug is False
    assert claims.nonces == (b"ADE0101", b"QURFMDEwMQ==")
    assert claims.confidential


def test_debug_image_on_plain_sev_is_authentic_and_says_so() -> None:
    """Which is for the policy to refuse."""
    claims = _claims("gcp-cs/sev-oidc-synddb-1")

    assert claims.debug is True
    assert not claims.confidential


def test_key_set_of_another_region_is_refused() -> None:
    """Nobody follows the address in the token to find the right one."""
    case = genuine_case("maa/neg-other-region-jwks", "token")
    assert case.at is not None
    with pytest.raises(EvidenceError) as refused:
        authenticate(case.evidence, at=case.at, checks=Checks())
    assert refused.value.step == "kid"


def test_certificates_in_a_token_are_no_key_set() -> None:
    """Their root is pinned nowhere here, so the token stays without a key."""
    case = genuine_case("gcp-cs/tdx-pki-oak", "token")
    assert case.at is not None

    assert judge(case.evidence, case.at)[0] == 5


@pytest.mark.parametrize("case_id", ["maa/azurevm-snp-2023", "gcp-cs/sev-oidc-synddb-1"])
def test_no_flipped_byte_yields_another_claim(case_id: str) -> None:
    """Every byte of the token, one at a time, and a sample of the key set."""
    case, wanted = genuine_case(case_id, "token"), _claims(case_id)
    assert case.at is not None
    for offset in range(len(case.evidence.report)):
        report = bytearray(case.evidence.report)
        report[offset] ^= 1 << offset % 7
        _, claims, _ = judge(msgspec.structs.replace(case.evidence, report=bytes(report)), case.at)
        assert claims in (None, wanted), offset
    keys = case.evidence.endorsements["jwks.json"]
    for offset in range(0, len(keys), 7):
        turned = bytearray(keys)
        turned[offset] ^= 1 << offset // 7 % 7
        evidence = msgspec.structs.replace(case.evidence, endorsements={"jwks.json": bytes(turned)})
        _, claims, _ = judge(evidence, case.at)
        assert claims in (None, wanted), offset
