"""Genuine SEV-SNP evidence of real machines, judged under the released roots."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.errors import AppraisalError, EvidenceError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.roots import AMD_TURIN, RELEASED_ROOTS
from enclaved.verifier.snp.chain import check_algorithms, check_names, read_chain
from enclaved.verifier.snp.product import LINES
from enclaved.verifier.snp.report import SigningKey, check_reserved, read_report
from enclaved.verifier.snp.revocation import check_lists, read_lists
from enclaved.verifier.snp.vek import read_vek
from genuine import Case, genuine_case, genuine_cases, judge, print_table

pytestmark = pytest.mark.vectors

_PARTS = range(8)
"""The byte-by-byte test in eight parts, each well below the time limit."""
_NAMES = {"bl": "bootloader", "ucode": "microcode"}


def _claims(case_id: str) -> Claims:
    case = genuine_case(case_id, "sev-snp")
    assert case.at is not None
    exit_code, claims, message = judge(case.evidence, case.at)
    assert exit_code == 0, message
    assert claims is not None
    return claims


def test_every_case_is_judged_as_its_manifest_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, claims that upstream asserts, and debug flag, each as of the case's own time."""
    rows = [_row(case) for case in genuine_cases("snp", "sev-snp")]
    with capsys.disabled():
        print_table("AMD SEV-SNP", rows)

    assert not [row for row in rows if row[0] == "wrong"]
    assert sum(row[0] == "right" for row in rows) >= 21


def _row(case: Case) -> tuple[str, str, str]:
    if case.at is None or case.exits is None:
        return "no verdict", case.id, str(case.entry["cli"]["reason"])
    exit_code, claims, message = judge(case.evidence, case.at)
    if exit_code not in case.exits:
        return "wrong", case.id, message
    if claims is not None:
        differing = _differing(case, claims)
        return ("wrong" if differing else "right"), case.id, f"differs: {differing}" if differing else "authentic"
    return "right", case.id, message


def _differing(case: Case, claims: Claims) -> list[str]:
    """Return the names of claims that are not what the manifest holds them to be."""
    found, parsed = claims.to_json(), case.entry["parsed"]
    wanted = {
        name: parsed[name] for name in ("version", "guest_svn", "vmpl", "report_data", "measurement", "host_data")
    }
    wanted |= {name: parsed[name] for name in ("id_key_digest", "author_key_digest", "report_id", "chip_id")}
    wanted |= {
        name: {_NAMES.get(part, part): value for part, value in parsed[name].items()}
        for name in ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")
    }
    wanted |= {"policy": int(parsed["policy"], 16), "platform_info": int(parsed["platform_info"], 16)}
    wanted |= {"debug": parsed["policy_debug"], "signing_key": parsed["signing_key"].lower(), "tcb_status": None}
    wanted |= case.entry["expect"].get("asserted_by_upstream") or {}
    return [name for name, value in wanted.items() if found[name] != value]


def test_genuine_turin_evidence_is_accepted() -> None:
    """Verifiers that know only 64-byte chip identifiers and Milan's TCB refuse it."""
    claims = _claims("snp/turin-microsoft")

    assert claims.vendor["product"] == "turin"
    assert claims.vendor["reported_tcb"] == {"fmc": 1, "bootloader": 1, "tee": 1, "snp": 4, "microcode": 81}


def test_genuine_siena_is_genoa() -> None:
    """Its model number is in no table of Genoa's first models."""
    claims = _claims("snp/genoa-v5-siena-live")

    assert claims.vendor["product"] == "genoa"
    assert claims.vendor["cpuid_mod_id"] == 0xA0


def test_genuine_vlek_is_accepted() -> None:
    """It is issued by the ASVK, for a provider and no chip."""
    claims = _claims("snp/milan-v3-vlek-aws-useast2")

    assert claims.vendor["signing_key"] == "vlek"
    assert claims.vendor["csp_id"] == "CN=cc-us-east-2.amazonaws.com"


def test_genuine_debug_guest_is_authentic_and_refused_by_policy() -> None:
    """AMD signs a debug guest's report like any other."""
    claims = _claims("snp/milan-v2-debug-google")
    reported = claims.vendor["reported_tcb"]
    assert claims.debug is True
    policy = f"""\
version = 1
namespace = "demo"
suites = ["x25519"]
[formats.sev-snp]
measurement = "any"
host_data = "any"
minimum_tcb.milan = {{ {", ".join(f"{name} = {value}" for name, value in reported.items())} }}
chips = "any"
revocation = "any"
"""
    with pytest.raises(AppraisalError) as refused:
        appraise(claims, parse_policy(policy.encode(), where="policy"), checks=Checks())

    assert refused.value.claim == "debug"


def test_genuine_revocation_list_is_used_while_it_is_in_force() -> None:
    """AMD signed it, and it revokes nothing of this chain."""
    case = genuine_case("snp/milan-v2-enarx-crl", "sev-snp")
    assert case.at is not None

    _, then, _ = judge(case.evidence, case.at)
    _, later, _ = judge(case.evidence, case.at.replace(year=2024))
    assert then is not None
    assert later is not None
    assert then.vendor["revocation"] == "current"
    assert later.vendor["revocation"] == "stale"


def test_genuine_turin_chain_ends_in_the_pinned_root() -> None:
    """A chain without a report: its certificate is of the second structure, and names the chip in eight bytes."""
    case = genuine_case("snp/cert-turin-vcek-virtee", "sev-snp")
    checks = Checks()
    chain = read_chain(case.evidence.endorsements, SigningKey.VCEK, checks)
    assert case.at is not None

    check_names(chain, SigningKey.VCEK, LINES["turin"], checks)
    check_algorithms(chain, checks)
    check_path(chain.path, at=case.at, roots=RELEASED_ROOTS.of(AMD_TURIN), checks=checks)
    vek = read_vek(chain.vek, checks)
    assert vek.hw_id is not None
    assert len(vek.hw_id) == 8
    assert vek.tcb["fmc"] == 0


def test_genuine_revoked_authority_is_refused() -> None:
    """AMD revoked the first authority for Genoa; its signature and its dates are good to this day."""
    case = genuine_case("snp/neg-genoa-revoked-ask-2022", "sev-snp")
    leaf = genuine_case("snp/genoa-microsoft", "sev-snp").evidence.endorsements["vcek.der"]
    chain = read_chain(case.evidence.endorsements | {"vcek.der": leaf}, SigningKey.VCEK, Checks())
    lists = read_lists(case.evidence.endorsements, Checks())

    with pytest.raises(EvidenceError) as refused:
        check_lists(lists, chain, Checks())

    assert refused.value.code == "not_authentic"
    assert refused.value.step == "genoa.crl: serial number 131073"


@pytest.mark.parametrize("case_id", ["snp/parse-milan-v2-kms", "snp/parse-milan-v4-gce"])
def test_genuine_report_without_its_certificates_parses(case_id: str) -> None:
    """Nobody has its certificate; its fields are where they belong."""
    case = genuine_case(case_id, "sev-snp")
    report = read_report(case.evidence.report, Checks())
    check_reserved(report, Checks())

    parsed = case.entry["parsed"]
    assert report.version == parsed["version"]
    assert report.measurement.hex() == parsed["measurement"]
    assert report.chip_id.hex() == parsed["chip_id"]


@pytest.mark.parametrize("part", _PARTS)
@pytest.mark.parametrize("case_id", ["snp/milan-v2-enarx-crl", "snp/turin-microsoft"])
def test_no_flipped_byte_of_a_report_yields_another_accepted_claim(case_id: str, part: int) -> None:
    """Every byte of the report, one after the other; another bit of each in turn."""
    case = genuine_case(case_id, "sev-snp")
    report = case.evidence.report
    assert case.at is not None
    good = _claims(case_id)

    for offset in range(part, len(report), len(_PARTS)):
        flipped = bytearray(report)
        flipped[offset] ^= 1 << offset // 8 % 8
        _, claims, _ = judge(msgspec.structs.replace(case.evidence, report=bytes(flipped)), case.at)
        assert claims is None or claims == good, f"byte 0x{offset:x}"


@pytest.mark.parametrize("name", ["vcek.der", "ask.pem", "ark.pem", "milan.crl"])
def test_no_flipped_byte_of_an_endorsement_yields_another_accepted_claim(name: str) -> None:
    """A sample of every file beside the report."""
    case = genuine_case("snp/milan-v2-enarx-crl", "sev-snp")
    good = _claims("snp/milan-v2-enarx-crl")
    content = case.evidence.endorsements[name]
    assert case.at is not None

    for offset in range(0, len(content), 11):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << offset // 11 % 8
        endorsements = case.evidence.endorsements | {name: bytes(flipped)}
        _, claims, _ = judge(msgspec.structs.replace(case.evidence, endorsements=endorsements), case.at)
        assert claims is None or claims == good, f"{name}, byte {offset}"
