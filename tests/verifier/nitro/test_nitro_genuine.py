"""Genuine Nitro documents, judged under the released root."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from enclaved.errors import AppraisalError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.moment import evidence_time
from enclaved.verifier.policy_document import parse_policy
from genuine import Case, genuine_case, genuine_cases, judge, print_table

pytestmark = pytest.mark.vectors

_PARTS = range(12)
"""The byte-by-byte test in parts, each well below the time limit."""
_DEBUG = ("evervault-debug", "evervault-ga-debug-bound-cert", "fastcrypto-fixed", "fortanix-debug")
_NEVER = datetime.fromisoformat("2025-01-01T00:00:00Z")


def _claims(case_id: str) -> Claims:
    case = genuine_case(case_id, "nitro")
    assert case.at is not None
    exit_code, claims, message = judge(case.evidence, case.at)
    assert exit_code == 0, message
    assert claims is not None
    return claims


def test_every_case_is_judged_as_its_manifest_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, claims that upstream asserts, and debug flag, each as of the document's own time."""
    rows = [_row(case) for case in genuine_cases("nitro", "nitro")]
    with capsys.disabled():
        print_table("AWS Nitro Enclaves", rows)

    assert not [row for row in rows if row[0] == "wrong"]
    assert sum(row[0] == "right" for row in rows) >= 14


def _row(case: Case) -> tuple[str, str, str]:
    if case.exits is None:
        return "no verdict", case.id, str(case.entry["cli"]["reason"])
    exit_code, claims, message = judge(case.evidence, case.at or _NEVER)
    if exit_code not in case.exits:
        return "wrong", case.id, message
    if claims is not None:
        differing = _differing(case, claims)
        return ("wrong" if differing else "right"), case.id, f"differs: {differing}" if differing else "authentic"
    return "right", case.id, message


def _differing(case: Case, claims: Claims) -> list[str]:
    """Return the names of claims that are not what the manifest holds them to be."""
    found: dict[str, Any] = claims.to_json()
    parsed = case.entry["parsed"]
    wanted: dict[str, Any] = {
        name: parsed[name] for name in ("module_id", "digest", "user_data", "nonce", "public_key")
    }
    asserted = case.entry["expect"].get("asserted_by_upstream") or {}
    wanted |= {name.removesuffix("_ms"): value for name, value in asserted.items()}
    wanted |= {"timestamp": parsed["timestamp_ms"], "debug": parsed["debug_pcr0_zero"], "tcb_status": None}
    differing = [name for name, value in wanted.items() if not _same(found[name], value)]
    other_pcrs = {index: value for index, value in found["pcrs"].items() if value.strip("0")} != parsed["pcrs"]
    return [*differing, *(["pcrs"] if other_pcrs else [])]


def _same(found: object, wanted: object) -> bool:
    """Compare with what the manifest holds, which cuts long values short."""
    if isinstance(found, str) and isinstance(wanted, str) and "..." in wanted:
        return found.startswith(wanted.partition("...")[0])
    return found == wanted


@pytest.mark.parametrize("name", _DEBUG)
def test_genuine_debug_document_is_authentic_and_refused_by_policy(name: str) -> None:
    """PCR 0 to 2 are zero; AWS signs such a document like any other."""
    claims = _claims(f"nitro/{name}")
    assert claims.debug is True
    policy = 'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n[formats.nitro]\npcrs = "any"\n'

    with pytest.raises(AppraisalError) as refused:
        appraise(claims, parse_policy(policy.encode(), where="policy"), checks=Checks())

    assert refused.value.claim == "debug"


@pytest.mark.parametrize("name", ["base-indefinite", "dstack-nsm"])
def test_genuine_document_without_its_length_is_accepted(name: str) -> None:
    """The map is of indefinite length, and is hashed as it was received."""
    assert _claims(f"nitro/{name}").vendor["digest"] == "SHA384"


def test_genuine_document_is_verified_as_of_its_own_time_alone() -> None:
    """Three hours later its certificate is no longer valid."""
    case = genuine_case("nitro/base-sample1", "nitro")
    own = evidence_time(case.evidence)
    assert own == case.at

    assert judge(case.evidence, own)[0] == 0
    assert judge(case.evidence, own + timedelta(hours=4))[0] == 3
    assert judge(case.evidence, own - timedelta(hours=4))[0] == 3


def test_genuine_document_two_seconds_before_its_own_time_is_accepted() -> None:
    """Its makers' own test runs then: clocks differ."""
    case = genuine_case("nitro/fastcrypto-fixed", "nitro")
    clock = datetime.fromtimestamp(case.entry["expect"]["upstream_test_clock_ms"] / 1000, tz=_NEVER.tzinfo)
    exit_code, claims, message = judge(case.evidence, clock)

    assert exit_code == 0, message
    assert claims is not None
    assert claims.vendor["age_ms"] in (-2068, -2069)


@pytest.mark.parametrize("part", _PARTS)
def test_no_flipped_byte_of_a_document_yields_another_accepted_claim(part: int) -> None:
    """Every byte of one document, one after the other; its certificates are among them."""
    case = genuine_case("nitro/dstack-nsm", "nitro")
    report = case.evidence.report
    assert case.at is not None
    good = _claims(case.id)

    for offset in range(part, len(report), len(_PARTS)):
        flipped = bytearray(report)
        flipped[offset] ^= 1 << offset // len(_PARTS) % 8
        _, claims, _ = judge(msgspec.structs.replace(case.evidence, report=bytes(flipped)), case.at)
        assert claims is None or claims == good, f"byte {offset}"
