"""SEV-SNP reports: authentic or not, one thing turned at a time, signed for real under a test root."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.wire.attestation import Evidence
from simulation import NOON
from snp_forgery import (
    OIDS,
    Chip,
    ark,
    ask,
    integer,
    make_chip,
    make_evidence,
    make_report,
    make_service,
    tcb_bytes,
    text,
    vek,
)

MILAN = make_service()
GENOA = make_service("Genoa")
TURIN = make_service("Turin")
CHIP = make_chip(MILAN)
GENOA_CHIP = make_chip(GENOA)
TURIN_CHIP = make_chip(TURIN)
VLEK_SERVICE = make_service(authority=ask(name="SEV-VLEK-Milan"))
VLEK = vek(name="SEV-VLEK", extensions={"2": text("Milan"), "4": ..., "5": text("CN=cloud.example")})
VLEK_CHIP = make_chip(VLEK_SERVICE, VLEK)
SIGNED_BY_VLEK = {0x48: bytes((1 << 2, 0, 0, 0))}
EXPIRED = {"end": NOON - timedelta(seconds=1)}


def _authenticate(evidence: Evidence, roots: Roots = MILAN.roots) -> Claims:
    return authenticate(evidence, at=NOON, roots=roots, checks=Checks())


def _refused(evidence: Evidence, *, roots: Roots = MILAN.roots, code: str = "not_authentic") -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, roots=roots, checks=checks)
    assert refused.value.code == code
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def _with(turned: Mapping[int, bytes], chip: Chip = CHIP) -> Evidence:
    return make_evidence(chip, make_report(chip, turned=turned))


def _certified(**turned: object) -> Evidence:
    """Return evidence of a chip whose VCEK's certificate has fields turned."""
    return make_evidence(make_chip(MILAN, vek(**turned)))


# What is accepted.


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_every_version_of_the_report_is_accepted(version: int) -> None:
    """Hosts are not updated all at once."""
    claims = _authenticate(make_evidence(CHIP, make_report(CHIP, version=version)))

    assert claims.vendor["version"] == version
    assert claims.vendor["product"] == "milan"
    assert claims.vendor["cpuid_mod_id"] == (None if version == 2 else 0x01)
    assert claims.vendor["current_mit_vector"] == (0x0B if version == 5 else None)


def test_claims_are_the_reports_fields_under_amds_names() -> None:
    """Policies and people name fields as AMD's documents do."""
    claims = _authenticate(make_evidence(CHIP))

    assert claims.format == "sev-snp"
    assert claims.bound_data == claims.vendor["report_data"] == bytes(range(64))
    assert claims.measurement == b"M" * 48
    assert claims.vendor["host_data"] == b"H" * 32
    assert claims.vendor["reported_tcb"] == {"bootloader": 4, "tee": 1, "snp": 24, "microcode": 219}
    assert claims.vendor["committed_version"] == {"major": 1, "minor": 55, "build": 40}
    assert claims.vendor["signing_key"] == "vcek"
    assert claims.vendor["guest_svn"] == 7
    assert claims.debug is False
    assert claims.confidential
    assert claims.evidence_time is None


def test_genoa_is_verified_under_its_own_root() -> None:
    """Each line has its own ARK."""
    assert _authenticate(make_evidence(GENOA_CHIP), GENOA.roots).vendor["product"] == "genoa"


def test_siena_is_genoa() -> None:
    """Family 19h, model A0h has another model number, and Genoa's keys and name."""
    report = make_report(GENOA_CHIP, turned={0x188: bytes((0x19, 0xA0, 2))})

    assert _authenticate(make_evidence(GENOA_CHIP, report), GENOA.roots).vendor["product"] == "genoa"


def test_turin_has_its_own_tcb_and_a_chip_identifier_of_eight_bytes() -> None:
    """Read as Milan's, the boot loader's number would be the firmware controller's."""
    claims = _authenticate(make_evidence(TURIN_CHIP, make_report(TURIN_CHIP, version=5)), TURIN.roots)

    assert claims.vendor["product"] == "turin"
    assert claims.vendor["reported_tcb"] == {"fmc": 2, "bootloader": 4, "tee": 1, "snp": 24, "microcode": 219}


def test_vlek_is_accepted_under_its_own_authority() -> None:
    """A cloud provider's key is for no chip, so the chip identifier may be masked."""
    report = make_report(VLEK_CHIP, turned=SIGNED_BY_VLEK | {0x1A0: bytes(64)})
    claims = _authenticate(make_evidence(VLEK_CHIP, report, vlek=True), VLEK_SERVICE.roots)

    assert claims.vendor["signing_key"] == "vlek"
    assert claims.vendor["csp_id"] == "CN=cloud.example"


def test_debug_report_is_authentic_and_says_so() -> None:
    """Whether it is acceptable is the policy's; nobody forged it."""
    assert _authenticate(_with({0x08: (0xB001F).to_bytes(8, "little")})).debug is True


# 1. The report parses.


@pytest.mark.parametrize("size", [0x49F, 0x4A1, 0x4C0])
def test_report_of_another_size_is_unreadable(size: int) -> None:
    """A report with the ioctl's header before it would be read at wrong offsets."""
    report = make_report(CHIP).ljust(size, b"\0")[:size]

    assert _refused(make_evidence(CHIP, report), code="unreadable") == "report"


@pytest.mark.parametrize("version", [0, 1, 6])
def test_unknown_version_is_unsupported(version: int) -> None:
    """Its fields may lie elsewhere."""
    assert _refused(_with({0x00: version.to_bytes(4, "little")}), code="unsupported") == "version"


# 2. Reserved fields.


@pytest.mark.parametrize("offset", [0x4C, 0x4F, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x1F8, 0x29F])
def test_reserved_byte_that_is_not_zero_is_refused(offset: int) -> None:
    """A later firmware may say there what this verifier does not know."""
    assert _refused(_with({offset: b"\x01"})) == "reserved fields"


@pytest.mark.parametrize("offset", [0x330, 0x49F])
def test_byte_behind_the_signature_is_refused(offset: int) -> None:
    """Nobody signs it, so anybody could write there."""
    report = bytearray(make_report(CHIP))
    report[offset] = 1

    assert _refused(make_evidence(CHIP, bytes(report))) == "reserved fields"


def test_reserved_bits_of_the_signer_are_refused() -> None:
    """The field that says which key signed must be understood to its last bit."""
    assert _refused(_with({0x48: bytes((1 << 5, 0, 0, 0))})) == "reserved bits of signer_info"


def test_policy_without_bit_17_is_refused() -> None:
    """Firmware launches no guest without it."""
    assert _refused(_with({0x08: (0x1001F).to_bytes(8, "little")})) == "policy bit 17"


def test_unknown_bit_of_the_guests_policy_is_unsupported() -> None:
    """Whatever it allows the host, no rule here asks for it."""
    assert _refused(_with({0x08: (1 << 26 | 0x3001F).to_bytes(8, "little")}), code="unsupported") == "policy"


def test_another_signature_algorithm_is_refused() -> None:
    """There is one."""
    assert _refused(_with({0x34: (2).to_bytes(4, "little")})) == "signature_algo"


# 3. The kind of key.


@pytest.mark.parametrize("number", [2, 7])
def test_report_by_no_known_kind_of_key_is_refused(number: int) -> None:
    """7 says that nobody signed."""
    assert _refused(_with({0x48: bytes((number << 2, 0, 0, 0))})) == "signing_key"


# 4. The certificates parse.


@pytest.mark.parametrize("name", ["vcek.der", "ask.pem", "ark.pem"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificate_that_is_not_there_or_not_one_is_unreadable(name: str, content: bytes | None) -> None:
    """Nothing is fetched in its place."""
    evidence = make_evidence(CHIP, **{name.replace(".", "_"): content})

    assert _refused(evidence, code="unreadable") == name


def test_two_certificates_in_one_file_are_unreadable() -> None:
    """Each of three has its place; a longer chain has none."""
    both = MILAN.authority.pem + MILAN.root.pem

    assert _refused(make_evidence(CHIP, ask_pem=both), code="unreadable") == "ask.pem"


@pytest.mark.parametrize(
    "turned",
    [
        {"1": ...},
        {"2": ...},
        {"2": b"\x0c\x05Milan"},
        {"2": b"\x16\x04Milan"},
        {"3.1": b"\x02\x02\x00\x04"},
        {"3.8": b"\x02\x01\xdb"},
        {"3.8": b"\x02\x02\x01\xdb"},
        {"3.3": b"\x04\x01\x18"},
        {"3.3": b""},
    ],
)
def test_extension_that_is_missing_or_malformed_is_unreadable(turned: dict[str, object]) -> None:
    """Two encodings of one number could be read as two numbers."""
    assert _refused(_certified(extensions=turned), code="unreadable") == "vek extensions"


def test_certificate_of_an_unknown_structure_is_unsupported() -> None:
    """Its extensions may mean something else."""
    assert _refused(_certified(extensions={"1": integer(2)}), code="unsupported") == "vek extensions"


# 5. The product line.


def test_unknown_processor_is_unsupported() -> None:
    """No root is known for it."""
    assert _refused(_with({0x188: bytes((0x1A, 0x50, 1))}), code="unsupported") == "product"


def test_unknown_product_name_is_unsupported() -> None:
    """A report of version 2 names no processor, so the certificate has to."""
    chip = make_chip(MILAN, vek(extensions={"2": text("Milano")}))
    report = make_report(chip, version=2)

    assert _refused(make_evidence(chip, report), code="unsupported") == "product"


# 6. Names.


@pytest.mark.parametrize(
    ("root", "authority", "leaf"),
    [
        ({}, {}, {"name": "SEV-VLEK"}),
        ({}, {"name": "SEV-VLEK-Milan"}, {}),
        ({}, {"name": "SEV-Genoa"}, {}),
        ({"name": "ARK-Genoa"}, {}, {}),
    ],
    ids=["VLEK for VCEK", "ASVK for ASK", "ASK of Genoa", "ARK of Genoa"],
)
def test_certificate_in_anothers_place_is_refused(
    root: dict[str, object], authority: dict[str, object], leaf: dict[str, object]
) -> None:
    """What AMD vouches for under one name, it does not vouch for under another."""
    service = make_service(root=ark(**root), authority=ask(**authority))

    assert _refused(make_evidence(make_chip(service, vek(**leaf))), roots=service.roots) == "name"


def test_certificate_of_another_organisation_is_refused() -> None:
    """It is not AMD's."""
    assert _refused(_certified(organisation="Advanced Micro Service")) == "organisation of SEV-VCEK"


# 7. Signature algorithms.


@pytest.mark.parametrize(
    "turned",
    [{"scheme": padding.PKCS1v15()}, {"digest": hashes.SHA256()}],
    ids=["PKCS #1 v1.5", "SHA-256"],
)
def test_certificate_signed_in_another_way_is_refused(turned: dict[str, object]) -> None:
    """AMD signs in one way."""
    assert _refused(_certified(**turned)) == "certificate algorithm"


# 8. The path.


def test_root_of_the_same_name_is_refused() -> None:
    """Anybody can make an ARK-Milan; the fingerprint tells."""
    other = make_service()

    assert _refused(make_evidence(make_chip(other))) == "chain: root"


def test_released_roots_do_not_accept_a_test_root() -> None:
    """What these tests sign is worth nothing outside of them."""
    assert _refused(make_evidence(CHIP), roots=RELEASED_ROOTS) == "chain: root"


def test_root_of_another_line_is_refused() -> None:
    """A Genoa root does not vouch for Milan chips."""
    assert _refused(make_evidence(CHIP), roots=GENOA.roots) == "chain: root"


@pytest.mark.parametrize("turned", [EXPIRED, {"start": NOON + timedelta(seconds=1)}], ids=["expired", "not yet valid"])
@pytest.mark.parametrize("link", ["ARK-Milan", "SEV-Milan", "SEV-VCEK"])
def test_certificate_out_of_its_time_is_refused_at_each_link(link: str, turned: dict[str, object]) -> None:
    """The time is the caller's, and holds for the whole path."""
    service = make_service(
        root=ark(**(turned if link == "ARK-Milan" else {})), authority=ask(**(turned if link == "SEV-Milan" else {}))
    )
    chip = make_chip(service, vek(**(turned if link == "SEV-VCEK" else {})))

    assert _refused(make_evidence(chip), roots=service.roots) == f"chain: validity of {link}"


@pytest.mark.parametrize("usage", [frozenset(), frozenset({"digital_signature"})])
def test_authority_that_may_not_issue_is_refused(usage: frozenset[str]) -> None:
    """Its certificate says what its key is for."""
    service = make_service(authority=ask(usage=usage))

    assert _refused(make_evidence(make_chip(service)), roots=service.roots) == "chain: SEV-Milan may issue"


def test_vcek_of_another_authority_is_refused() -> None:
    """The name of the issuer fits, its key does not."""
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    namesake = make_service(keys=[MILAN.root.private_key, stranger])
    evidence = make_evidence(make_chip(namesake), ask_pem=MILAN.authority.pem, ark_pem=MILAN.root.pem)

    assert _refused(evidence) == "chain: signature of SEV-VCEK"


def test_certificates_in_each_others_files_are_refused() -> None:
    """A path out of order is no path."""
    swapped = make_evidence(CHIP, ask_pem=MILAN.root.pem, ark_pem=MILAN.authority.pem)

    assert _refused(swapped) == "name"


def test_critical_extension_that_nobody_reads_is_refused() -> None:
    """AMD marks none of its own as critical."""
    assert _refused(_certified(critical=frozenset({"2"}))) == "chain: critical extensions of SEV-VCEK"


# 10. The key.


def test_key_on_another_curve_is_refused() -> None:
    """A report's signature is one on P-384."""
    chip = make_chip(MILAN, key=ec.generate_private_key(ec.SECP256R1()))

    assert _refused(make_evidence(chip, make_report(CHIP))) == "vek key"


@pytest.mark.parametrize(
    "turned", [{"is_authority": True}, {"usage": frozenset({"key_agreement"})}], ids=["an issuer's", "may not sign"]
)
def test_key_for_something_else_is_refused(turned: dict[str, object]) -> None:
    """AMD's certificates say nothing on this; one that does is held to it."""
    assert _refused(_certified(**turned)) == "vek key"


def test_key_that_says_that_it_may_sign_is_accepted() -> None:
    """The other side of the coin."""
    _authenticate(_certified(is_authority=False, usage=frozenset({"digital_signature"})))


# 11. The report's signature.


def test_report_of_another_chip_is_refused() -> None:
    """The certificate is genuine, and of another key."""
    other = make_chip(MILAN)

    assert _refused(make_evidence(CHIP, make_report(other))) == "signature"


@pytest.mark.parametrize("offset", [0x04, 0x50, 0x90, 0xC0, 0x140, 0x2A0, 0x2A0 + 72, 0x2A0 + 71, 0x2A0 + 143])
def test_byte_that_was_changed_after_signing_is_refused(offset: int) -> None:
    """Signed bytes, and the signature's own, its highest included."""
    report = bytearray(make_report(CHIP))
    report[offset] ^= 1

    assert _refused(make_evidence(CHIP, bytes(report))) == "signature"


def test_signature_of_zeros_is_refused() -> None:
    """Firmware writes one where the host keeps the chip's key from guests."""
    report = make_report(CHIP)

    assert _refused(make_evidence(CHIP, report[:0x2A0] + bytes(0x200))) == "signature"


# 12. The product.


def test_key_for_another_product_is_refused() -> None:
    """The processor says Milan, the certificate says Genoa."""
    assert _refused(_certified(extensions={"2": text("Genoa")})) == "vek product"


# 13. and 14. TCB versions.


@pytest.mark.parametrize("field", [0x38, 0x180, 0x1E0, 0x1F0])
def test_reserved_byte_of_a_tcb_version_is_refused(field: int) -> None:
    """On another line this byte is a component."""
    assert _refused(_with({field + 3: b"\x01"})).startswith("reserved bytes of ")


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode"])
def test_key_for_a_newer_tcb_is_refused(component: str) -> None:
    """Older firmware must not pass for newer, in no component."""
    older = tcb_bytes("Milan", **{component: 0})

    assert _refused(_with({0x180: older})) == f"vek tcb: {component}"


@pytest.mark.parametrize("component", ["fmc", "bootloader", "tee", "snp", "microcode"])
@pytest.mark.parametrize("value", [integer(0), ...], ids=["another", "missing"])
def test_key_for_another_tcb_is_refused_on_turin(component: str, value: object) -> None:
    """Turin has one component more, under a number of its own."""
    chip = make_chip(TURIN, vek("Turin", chip_id=TURIN_CHIP.chip_id, extensions={OIDS[component]: value}))

    assert _refused(make_evidence(chip), roots=TURIN.roots) == f"vek tcb: {component}"


@pytest.mark.parametrize("oid", ["3.4", "3.5", "3.6", "3.7", "3.9"])
def test_spare_component_that_is_not_zero_is_refused(oid: str) -> None:
    """The report has no place for it, so it cannot match."""
    assert _refused(_certified(extensions={oid: integer(1)})).startswith("vek tcb: ")


# 15. The chip.


def test_key_of_another_chip_is_refused() -> None:
    """The report names one chip, the certificate another."""
    assert _refused(_certified(chip_id=bytes(range(2, 66)))) == "vcek hw_id"


def test_chip_identifier_as_an_octet_string_is_accepted() -> None:
    """AMD has written it in both ways."""
    _authenticate(_certified(extensions={"4": b"\x04\x40" + CHIP.chip_id}))


@pytest.mark.parametrize("hw_id", [..., b"", bytes(64), bytes(8), b"\x04\x00"])
def test_masked_chip_identifier_matches_no_certificate(hw_id: object) -> None:
    """Zeros are no chip; a certificate that says nothing is not one for it."""
    chip = make_chip(MILAN, vek(extensions={"4": hw_id}), chip_id=bytes(64))

    assert _refused(make_evidence(chip)) == "vcek hw_id"


def test_rest_of_a_short_chip_identifier_has_to_be_zero() -> None:
    """Eight bytes are signed for; the others would be anybody's."""
    assert _refused(_with({0x1A0 + 63: b"\x01"}, TURIN_CHIP), roots=TURIN.roots) == "rest of chip_id"


def test_vcek_for_a_cloud_provider_is_refused() -> None:
    """A VCEK is for a chip alone."""
    assert _refused(_certified(extensions={"5": text("CN=cloud.example")})) == "vcek csp_id"


@pytest.mark.parametrize(
    ("turned", "step"),
    [({"4": CHIP.chip_id}, "vlek hw_id"), ({"5": ...}, "vlek csp_id")],
    ids=["for a chip", "for nobody"],
)
def test_vlek_for_a_chip_or_for_nobody_is_refused(turned: dict[str, object], step: str) -> None:
    """A VLEK is for a cloud provider alone."""
    link = vek(name="SEV-VLEK", extensions={"4": ..., "5": text("CN=cloud.example")} | turned)
    chip = make_chip(VLEK_SERVICE, link)
    evidence = make_evidence(chip, make_report(chip, turned=SIGNED_BY_VLEK), vlek=True)

    assert _refused(evidence, roots=VLEK_SERVICE.roots) == step


def test_vlek_certificate_for_a_report_by_a_vcek_is_not_looked_at() -> None:
    """The report says which key signed it; nothing is tried."""
    evidence = make_evidence(VLEK_CHIP, make_report(VLEK_CHIP), vlek=True)

    assert _refused(evidence, roots=VLEK_SERVICE.roots, code="unreadable") == "vcek.der"


# 16. What runs.


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode"])
@pytest.mark.parametrize(("field", "name"), [(0x38, "reported_tcb"), (0x1E0, "committed_tcb")])
def test_tcb_that_is_newer_than_what_runs_is_refused(field: int, name: str, component: str) -> None:
    """One component that is newer is not made up for by others that are older."""
    value = 0 if field == 0x38 else 255
    turned = {field: tcb_bytes("Milan", **{component: value})}

    assert _refused(_with(turned)) == name


def test_committed_firmware_that_is_newer_than_what_runs_is_refused() -> None:
    """What is committed cannot be rolled back."""
    assert _refused(_with({0x1EC: bytes((39, 56, 1))})) == "committed_version"


def test_provisional_firmware_is_authentic() -> None:
    """What runs may be newer than what is committed: that is how clouds roll out firmware."""
    _authenticate(_with({0x1E0: tcb_bytes("Milan", microcode=0), 0x1EC: bytes((0, 55, 1))}))


def test_report_is_refused_whichever_file_is_anothers() -> None:
    """Swapping any one file of two good sets never makes a third good one."""
    other = make_evidence(GENOA_CHIP)
    good = make_evidence(CHIP)
    for name in ("vcek.der", "ask.pem", "ark.pem", "root.crl"):
        swapped = good.endorsements | {name: other.endorsements[name]}
        _refused(msgspec.structs.replace(good, endorsements=swapped))
