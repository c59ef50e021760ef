"""Genuine quotes of cloud and emulated TPMs."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from enclaved.verifier.certificate import fingerprint, read_pem_certificates
from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import judge_evidence
from genuine import Case, genuine_case, genuine_cases, genuine_file, judge, print_table

pytestmark = pytest.mark.vectors

AT = datetime(2026, 1, 1, tzinfo=UTC)
"""No certificate comes with these quotes, so any time will do."""
COS = "tpm/gce-cos85-nonce9009-sha256"


def _claims(case_id: str) -> Claims:
    exit_code, claims, message = judge(genuine_case(case_id, "tpm").evidence, AT)
    assert exit_code == 0, message
    assert claims is not None
    return claims


def test_every_case_is_judged_as_its_manifest_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict and every field that the manifest has parsed."""
    rows = [_row(case) for case in genuine_cases("tpm", "tpm")]
    with capsys.disabled():
        print_table("TPM 2.0", rows)

    assert not [row for row in rows if row[0] == "wrong"]
    assert sum(row[0] == "right" for row in rows) == 5


def _row(case: Case) -> tuple[str, str, str]:
    if case.exits is None:
        return "no verdict", case.id, str(case.entry["cli"]["reason"])
    exit_code, claims, message = judge(case.evidence, AT)
    if exit_code not in case.exits:
        return "wrong", case.id, message
    differing = [] if claims is None else _differing(case, claims)
    return (
        ("wrong" if differing else "right"),
        case.id,
        f"differs: {differing}" if differing else message or "authentic",
    )


def _differing(case: Case, claims: Claims) -> list[str]:
    found, parsed = claims.to_json(), case.entry["parsed"]["tpm"]
    wanted = {name: parsed[name] for name in ("qualified_signer", "extra_data", "clock", "reset_count")}
    wanted |= {name: parsed[name] for name in ("restart_count", "firmware_version", "pcr_digest")}
    wanted |= {"safe": bool(parsed["safe"]), "pcr_bank": parsed["pcr_select"][0]["hash"].lower(), "debug": None}
    nonce = case.entry["expect"].get("nonce_hex")
    wanted |= {"bound_data": nonce} if nonce else {}
    return [name for name, value in wanted.items() if found[name] != value]


def test_nonce_of_a_genuine_quote_is_compared_as_exact_bytes() -> None:
    """Also one of two bytes."""
    evidence = genuine_case(COS, "tpm").evidence
    verdicts = [judge_evidence(evidence, None, at=AT, nonce=nonce).authentic for nonce in (b"\x90\x09", b"\x90", b"")]

    assert verdicts == [True, False, False]


def test_genuine_event_log_ends_in_the_quoted_pcrs() -> None:
    """Forty-four events of firmware, secure boot and GRUB."""
    events = _claims(COS).vendor["events"]

    assert {index: len(digests) for index, digests in events.items()}.keys() == {str(index) for index in range(10)}  # type: ignore[union-attr, arg-type]
    assert sum(len(digests) for digests in events.values()) == 44  # type: ignore[union-attr, arg-type]


def test_genuine_signature_is_accepted_in_a_tpms_envelope_as_well() -> None:
    """Keylime carries it so."""
    evidence = genuine_case("tpm/keylime-emulator", "tpm").evidence
    bare = evidence.endorsements["quote.sig"]
    enveloped = bytes.fromhex("0014000b0100") + bare
    exit_code, claims, message = judge(
        msgspec.structs.replace(evidence, endorsements=evidence.endorsements | {"quote.sig": enveloped}), AT
    )

    assert exit_code == 0, message
    assert claims == _claims("tpm/keylime-emulator")


def test_genuine_key_that_google_certified_leads_to_googles_root() -> None:
    """A chain without a quote: its authority issues endorsement keys and attestation keys alike."""
    archive = genuine_file("tpm/akcert-gce-openpcc", "ak_certificates.txtar")
    root = genuine_file("tpm/akcert-gce-openpcc", "gce_ek_ak_root.pem")
    path = [*read_pem_certificates(archive, "", Checks()), *read_pem_certificates(root, "", Checks())]

    check_path(path, at=AT, roots={fingerprint(path[-1])}, checks=Checks())


def test_no_flipped_byte_of_a_quote_yields_another_accepted_claim() -> None:
    """Every byte of quote and signature, every bit."""
    evidence = genuine_case(COS, "tpm").evidence
    small = msgspec.structs.replace(
        evidence, endorsements={name: each for name, each in evidence.endorsements.items() if name != "eventlog.bin"}
    )
    _, good, _ = judge(small, AT)
    assert good is not None

    for bit in range(8 * len(small.report)):
        flipped = bytearray(small.report)
        flipped[bit // 8] ^= 1 << bit % 8
        assert judge(msgspec.structs.replace(small, report=bytes(flipped)), AT)[1] is None, f"bit {bit}"
    for name in ("quote.sig", "pcrs.json", "ak_pub.pem"):
        content = small.endorsements[name]
        for offset in range(len(content)):
            flipped = bytearray(content)
            flipped[offset] ^= 1 << offset % 8
            endorsements = small.endorsements | {name: bytes(flipped)}
            _, claims, _ = judge(msgspec.structs.replace(small, endorsements=endorsements), AT)
            assert claims is None or claims == good, f"{name}, byte {offset}"


def test_no_flipped_byte_of_an_event_log_yields_another_digest() -> None:
    """A sample; what a log says of types and descriptions is no claim."""
    evidence, good = genuine_case(COS, "tpm").evidence, _claims(COS)
    log = evidence.endorsements["eventlog.bin"]

    for offset in range(0, len(log), 17):
        flipped = bytearray(log)
        flipped[offset] ^= 1 << offset // 17 % 8
        endorsements = evidence.endorsements | {"eventlog.bin": bytes(flipped)}
        _, claims, _ = judge(msgspec.structs.replace(evidence, endorsements=endorsements), AT)
        assert claims is None or claims == good, f"byte {offset}"
