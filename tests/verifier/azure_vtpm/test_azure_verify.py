"""Azure's confidential VMs on SEV-SNP: authentic or not, one thing turned at a time, signed for real."""

from __future__ import annotations

import json

import msgspec
import pytest
from azure_forgery import CHIP, CONFIGURATION, SERVICE, hcl_report, jwk, make_evidence, runtime_data, snp_report
from cryptography.hazmat.primitives.asymmetric import rsa
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import judge_evidence
from enclaved.verifier.formats import find_format
from enclaved.verifier.moment import evidence_time
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding
from simulation import NOON
from tpm_forgery import EC256, PCRS, Quote, event_log, key_pem, sign

OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _authenticate(evidence: Evidence) -> Claims:
    return authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=Checks())


def _refused(evidence: Evidence, *, code: str = "not_authentic") -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=checks)
    assert refused.value.code == code
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def _over(data: bytes) -> Evidence:
    """Return evidence whose hardware vouches for these runtime data."""
    return make_evidence(hcl_report(data, snp_report(data)))


# What is accepted.


def test_claims_are_the_hardwares_the_tpms_and_the_paravisors() -> None:
    """Each under its own names; the binding is the TPM's."""
    claims = _authenticate(make_evidence())
    shown = claims.to_json()

    assert claims.confidential
    assert claims.bound_data == bytes(range(32))
    assert claims.measurement == b"M" * 48
    assert claims.debug is False
    assert (shown["hardware"], shown["product"], shown["vmpl"]) == ("sev-snp", "milan", 0)
    assert shown["pcrs"]["3"] == PCRS[3].hex()  # type: ignore[call-overload, index]
    assert shown["vm_configuration"] == CONFIGURATION
    assert shown["user_data"] == "00" * 64


def test_binding_is_the_tpms_form_of_it() -> None:
    """A quote holds no 64 bytes."""
    assert find_format("azure-vtpm").expected_binding(bytes(64)) == tpm_binding(bytes(64))


def test_older_paravisor_without_user_data_is_accepted() -> None:
    """Its blob is shorter, too."""
    data = runtime_data(user_data=...)
    evidence = make_evidence(hcl_report(data, snp_report(data), turned={0x04: b"\1"}, size=0x4D4 + len(data)))

    assert _authenticate(evidence).vendor["user_data"] == b""


def test_evidence_without_a_quote_is_authentic_and_bound_to_nothing() -> None:
    """The hardware vouches for the machine; nobody knows for whom it speaks."""
    files = ("tpm_quote__msg", "tpm_quote__sig", "tpm_quote__pcrs__json")
    evidence = make_evidence(**dict.fromkeys(files))
    claims = _authenticate(evidence)

    assert (claims.bound_data, claims.vendor["pcrs"]) == (b"", {})
    assert not judge_evidence(evidence, None, at=NOON, nonce=b"n", roots=SERVICE.roots).authentic


def test_key_file_is_not_needed() -> None:
    """The hardware vouches for the key."""
    assert _authenticate(make_evidence(ak_pub__pem=None)) == _authenticate(make_evidence())


def test_event_log_of_the_boot_is_replayed() -> None:
    """As for every TPM."""
    log, pcrs = event_log((4, 13, b"loader"))
    events = _authenticate(make_evidence(quote=Quote(pcrs=pcrs), eventlog__bin=log)).vendor["events"]

    assert events.keys() == {"4"}  # type: ignore[union-attr]


def test_evidence_holds_no_time() -> None:
    """Neither part does."""
    with pytest.raises(ConfigurationError):
        evidence_time(make_evidence())


# The report's shape.


@pytest.mark.parametrize("cut", [1, 0x4D3, 0x4D4, -1300])
def test_truncated_report_is_unreadable(cut: int) -> None:
    """Lengths are held against what is there."""
    assert _refused(make_evidence(make_evidence().report[:cut]), code="unreadable") == "hcl report"


@pytest.mark.parametrize(
    "turned",
    [
        {0x00: b"HCLB"},
        {0x08: bytes(4)},
        {0x10: b"\1"},
        {0x1F: b"\1"},
        {0x4C0: b"\0"},
        {0x4C4: b"\2"},
        {0x4D0: b"\xff\xff\xff\xff"},
        {2599: b"\1"},
    ],
)
def test_report_of_another_shape_is_unreadable(turned: dict[int, bytes]) -> None:
    """What is said twice has to agree, and padding is zero."""
    data = runtime_data()
    report = hcl_report(data, snp_report(data), turned=turned)

    assert _refused(make_evidence(report), code="unreadable") == "hcl report"


@pytest.mark.parametrize("turned", [{0x04: b"\3"}, {0x0C: b"\1"}, {0x4C8: b"\3"}, {0x4CC: b"\2"}])
def test_unknown_version_request_hardware_or_hash_is_unsupported(turned: dict[int, bytes]) -> None:
    """Nothing is guessed."""
    data = runtime_data()
    report = hcl_report(data, snp_report(data), turned=turned)

    assert _refused(make_evidence(report), code="unsupported") == "hcl report"


# The hardware's part.


def test_hardware_report_is_verified_like_any_other() -> None:
    """Signature, certificates, roots: whatever SEV-SNP's own format asks for."""
    data = runtime_data()
    turned = bytearray(snp_report(data))
    turned[0x90] ^= 1

    assert _refused(make_evidence(hcl_report(data, bytes(turned)))) == "signature"
    with pytest.raises(EvidenceError) as refused:
        authenticate(make_evidence(), at=NOON, checks=Checks())
    assert refused.value.step == "chain: root"


@pytest.mark.parametrize("vmpl", [1, 2, 3])
def test_report_that_the_guest_had_made_is_refused(vmpl: int) -> None:
    """The guest's operating system can ask the chip to vouch for a key of its own, below the paravisor's level."""
    data = runtime_data()
    report = snp_report(data, turned={0x30: vmpl.to_bytes(4, "little")})

    assert _refused(make_evidence(hcl_report(data, report))) == "vmpl"


# What the hardware vouches for.


@pytest.mark.parametrize("at", [0x50, 0x6F, 0x70, 0x8F])
def test_report_over_other_runtime_data_is_refused(at: int) -> None:
    """Also one whose second half is not zero."""
    data = runtime_data()
    other = bytes((snp_report(data)[at] ^ 1,))

    assert _refused(make_evidence(hcl_report(data, snp_report(data, turned={at: other})))) == "runtime data's hash"


def test_runtime_data_are_hashed_as_they_were_stored() -> None:
    """A space more is another hash; it is not parsed and written anew."""
    data = runtime_data()
    report = hcl_report(data.replace(b",", b", ", 1), snp_report(data))

    assert _refused(make_evidence(report)) == "runtime data's hash"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 900,
        b'{"keys":[],"keys":[]}',
        b'{"keys":{}}',
        b'{"keys":[{"n":"AQAB"}]}',
        runtime_data(keys=[]),
        runtime_data(keys=[jwk(), jwk(OTHER)]),
        runtime_data(keys=[jwk(kid="HCLEkPub")]),
        runtime_data(keys=[jwk(kty="EC")]),
        runtime_data(keys=[jwk(n=7)]),
        runtime_data(keys=[jwk(n="")]),
        runtime_data(keys=[jwk(n="A=")]),
        runtime_data(keys=[jwk(n="AAAA")]),
        runtime_data(keys=[jwk(e="AA")]),
        runtime_data(vm_configuration=[]),
        runtime_data(vm_configuration={"a": []}),
        runtime_data(vm_configuration={"a": 1.5}),
        runtime_data(user_data="0"),
        runtime_data(user_data=7),
        json.dumps({"keys": [jwk()], "vm-configuration": None}).encode(),
    ],
)
def test_runtime_data_without_one_attestation_key_are_unreadable(data: bytes) -> None:
    """Even if the hardware vouches for them; a name that stands twice would have two readers see two keys."""
    assert _refused(_over(data), code="unreadable") == "runtime data"


def test_weak_key_is_unsupported() -> None:
    """As for every TPM."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it has to be refused

    assert _refused(_over(runtime_data(weak)), code="unsupported") == "runtime data: HCLAkPub"


# The TPM's part.


def test_quote_of_another_machine_is_refused() -> None:
    """Its own hardware vouches for another key: parts of two machines do not fit together."""
    quote = Quote()

    assert _refused(make_evidence(tpm_quote__sig=sign(OTHER, quote.encoded))) == "signature"
    assert _refused(_over(runtime_data(OTHER))) == "ak_pub.pem"
    evidence = _over(runtime_data(OTHER))
    endorsements = {name: each for name, each in evidence.endorsements.items() if name != "ak_pub.pem"}
    assert _refused(msgspec.structs.replace(evidence, endorsements=endorsements)) == "signature"


@pytest.mark.parametrize("pem", [key_pem(OTHER), key_pem(EC256)])
def test_key_file_of_another_key_is_refused(pem: bytes) -> None:
    """Whoever reads the file must not see another key than the one that signed."""
    assert _refused(make_evidence(ak_pub__pem=pem)) == "ak_pub.pem"


def test_quote_over_nothing_answers_no_nonce() -> None:
    """Authentic, and of any time."""
    evidence = make_evidence(quote=Quote(extra_data=b""))

    assert _authenticate(evidence).bound_data == b""
    assert not judge_evidence(evidence, None, at=NOON, nonce=b"n", roots=SERVICE.roots).authentic


def test_values_that_the_tpm_did_not_digest_are_refused() -> None:
    """As for every TPM."""
    assert _refused(make_evidence(tpm_quote__pcrs__json=json.dumps(["00" * 32] * len(PCRS)).encode())) == "pcr_digest"


def test_parts_of_a_quote_without_the_quote_are_unreadable() -> None:
    """Somebody left it out."""
    assert _refused(make_evidence(tpm_quote__msg=None), code="unreadable") == "tpm_quote.msg"


def test_quote_without_signature_is_unreadable() -> None:
    """Nothing stands in for it."""
    assert _refused(make_evidence(tpm_quote__sig=None), code="unreadable") == "tpm_quote.sig"


def test_chips_certificate_of_another_chip_is_refused() -> None:
    """As in SEV-SNP's own format: nothing of it is left out here."""
    data = runtime_data()
    report = snp_report(data, turned={0x1A0: b"\7" * 64})

    assert _refused(make_evidence(hcl_report(data, report))) == "vcek hw_id"
    assert CHIP.chip_id != b"\7" * 64
