"""Genuine confidential VMs of Azure, judged under the released roots."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import judge_evidence
from enclaved.wire.attestation import Evidence
from genuine import Case, genuine_case, genuine_cases, judge, print_table

pytestmark = pytest.mark.vectors

_SNP, _TDX = "azure-vtpm/snp-milan-v2-userdata", "azure-vtpm/tdx-trustee"


def _claims(case_id: str) -> Claims:
    case = genuine_case(case_id, "azure-vtpm")
    assert case.at is not None
    exit_code, claims, message = judge(case.evidence, case.at)
    assert exit_code == 0, message
    assert claims is not None
    return claims


def test_every_case_is_judged_as_its_manifest_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, claims that upstream asserts, TCB status, and every field that the manifest has parsed."""
    rows = [_row(case) for case in genuine_cases("azure-vtpm", "azure-vtpm")]
    with capsys.disabled():
        print_table("Azure confidential VMs", rows)

    assert not [row for row in rows if row[0] == "wrong"]
    assert sum(row[0] == "right" for row in rows) == 7


def _row(case: Case) -> tuple[str, str, str]:
    if case.at is None or case.exits is None:
        return "no verdict", case.id, str(case.entry["cli"]["reason"])
    exit_code, claims, message = judge(case.evidence, case.at)
    if exit_code not in case.exits:
        return "wrong", case.id, message
    differing = [] if claims is None else _differing(case, claims)
    return (
        ("wrong" if differing else "right"),
        case.id,
        f"differs: {differing}" if differing else message or "authentic",
    )


def _differing(case: Case, claims: Claims) -> list[str]:
    found, parsed, expected = claims.to_json(), case.entry["parsed"], case.entry["expect"]
    wanted = {"hardware": {"SNP": "sev-snp", "TDX": "tdx"}[parsed["hcl"]["report_type"]], "debug": False}
    wanted |= {"vm_configuration": parsed["hcl"]["vm_configuration"], "tcb_status": expected.get("tcb_status")}
    wanted |= {"user_data": parsed["hcl"]["user_data"].lower()}
    for name in ("measurement", "host_data", "chip_id", "report_data") if "snp" in parsed else ():
        wanted[name] = parsed["snp"][name]
    for name in ("extra_data", "clock", "pcr_digest", "firmware_version") if "tpm" in parsed else ():
        wanted[name] = parsed["tpm"][name]
    asserted = expected.get("asserted_by_upstream") or {}
    differing = [name for name, value in wanted.items() if found[name] != value]
    if "pcr00" in asserted and found["pcrs"]["0"] != asserted["pcr00"]:  # type: ignore[call-overload, index]
        differing.append("pcr00")
    if not str(found["user_data"]).startswith(asserted.get("user_data", "")):  # upstream leaves the zeros out
        differing.append("user_data")
    return differing


def test_nonce_is_in_the_tpms_quote_and_nowhere_else() -> None:
    """The hardware's report carries the hash of the runtime data."""
    case = genuine_case(_TDX, "azure-vtpm")
    assert case.at is not None
    verdicts = [
        judge_evidence(case.evidence, None, at=case.at, nonce=nonce).authentic
        for nonce in (bytes.fromhex(case.entry["expect"]["nonce_hex"]), b"", b"another")
    ]

    assert verdicts == [True, False, False]


_PARTS = {
    "hardware": ("vcek.der",),
    "quote": ("tpm_quote.msg", "tpm_quote.sig", "tpm_quote.pcrs.json"),
    "signature": ("tpm_quote.sig",),
    "values": ("tpm_quote.pcrs.json",),
    "trust domain": ("td_quote.bin",),
}


@pytest.mark.parametrize("part", _PARTS)
def test_genuine_part_of_another_machine_is_refused(part: str) -> None:
    """Every part is genuine; they do not belong together."""
    one, other = (_SNP, "azure-vtpm/snp-milan-live") if part != "trust domain" else (_TDX, "azure-vtpm/tdx-intel-ita")
    case, stranger = genuine_case(one, "azure-vtpm"), genuine_case(other, "azure-vtpm").evidence
    taken = {name: stranger.endorsements[name] for name in _PARTS[part]}
    endorsements = {**case.evidence.endorsements, **taken}
    endorsements.pop("ak_pub.pem")
    assert case.at is not None

    exit_code, _, message = judge(msgspec.structs.replace(case.evidence, endorsements=endorsements), case.at)
    assert exit_code == 3, message


def test_genuine_report_of_another_machine_is_refused() -> None:
    """The blob is genuine, and so is everything beside it."""
    case, stranger = genuine_case(_SNP, "azure-vtpm"), genuine_case("azure-vtpm/snp-milan-live", "azure-vtpm")
    assert case.at is not None

    exit_code, _, _ = judge(msgspec.structs.replace(case.evidence, report=stranger.evidence.report), case.at)
    assert exit_code == 3


def _flips(evidence: Evidence, name: str, step: int) -> list[Evidence]:
    content = evidence.report if name == "hcl_report.bin" else evidence.endorsements[name]
    flipped = []
    for offset in range(0, len(content), step):
        turned = bytearray(content)
        turned[offset] ^= 1 << offset // step % 8
        if name == "hcl_report.bin":
            flipped.append(msgspec.structs.replace(evidence, report=bytes(turned)))
        else:
            endorsements = evidence.endorsements | {name: bytes(turned)}
            flipped.append(msgspec.structs.replace(evidence, endorsements=endorsements))
    return flipped


@pytest.mark.parametrize(
    ("case_id", "name", "step"),
    [
        (_SNP, "hcl_report.bin", 1),
        (_SNP, "tpm_quote.msg", 1),
        (_SNP, "tpm_quote.sig", 1),
        (_SNP, "tpm_quote.pcrs.json", 3),
        (_SNP, "vcek.der", 11),
        (_TDX, "hcl_report.bin", 7),
        (_TDX, "tpm_quote.msg", 5),
        (_TDX, "td_quote.bin", 41),
    ],
)
def test_no_flipped_byte_yields_another_accepted_claim(case_id: str, name: str, step: int) -> None:
    """Every byte of the report, the quote and its signature on SEV-SNP; a sample of the rest."""
    case, good = genuine_case(case_id, "azure-vtpm"), _claims(case_id)
    assert case.at is not None

    for evidence in _flips(case.evidence, name, step):
        _, claims, _ = judge(evidence, case.at)
        assert claims is None or claims == good
