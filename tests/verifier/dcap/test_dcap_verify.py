"""Quotes of a forger that signs for real: authentic or not, one thing turned at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from dcap_forgery import DAY, TD, Certified, Forgery, Recipe, certify, der, evidence, named, pair, roots_of
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.roots import RELEASED_ROOTS
from simulation import NOON

GOOD = Forgery()
SGX = Forgery(tee="sgx", version=3)
PAST, FUTURE = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)


def _judge(forgery: Forgery) -> Claims:
    made, roots = evidence(forgery)
    return authenticate(made, at=NOON, roots=roots, checks=Checks())


def _refused(forgery: Forgery, *, code: str = "not_authentic") -> str:
    made, roots = evidence(forgery)
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots, checks=checks)
    assert refused.value.code == code, refused.value
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def _turned(name: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | {name: value}


@pytest.mark.parametrize(
    "forgery",
    [GOOD, replace(GOOD, version=5), replace(GOOD, version=5, body_type=3), SGX],
    ids=["TDX v4", "TDX v5, 1.0", "TDX v5, 1.5", "SGX v3"],
)
def test_good_quote_is_authentic_and_the_second_opinion_agrees(forgery: Forgery) -> None:
    """What everything below turns one thing of."""
    claims = _judge(forgery)

    assert claims.bound_data == bytes(range(64))
    assert claims.tcb_status == "UpToDate"
    assert claims.debug is False
    assert claims.confidential
    assert claims.vendor["second_opinion"] == "agrees"
    assert claims.vendor["revocation"] == "current"
    assert claims.vendor["platform_instance_id"] == bytes(range(16))


@pytest.mark.parametrize(("version", "body_type"), [(4, 2), (5, 1)])
def test_later_versions_of_an_enclaves_quote_are_read_by_our_code_alone(version: int, body_type: int) -> None:
    """The second opinion knows version 3 only, and a claim says so."""
    claims = _judge(replace(SGX, version=version, body_type=body_type))

    assert claims.measurement == bytes([6]) * 32
    assert claims.vendor["second_opinion"] == f"not asked: an enclave's quote of version {version}"


def test_forgers_root_is_not_intels() -> None:
    """Under the released roots all of this is nothing."""
    made, _ = evidence(GOOD)
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=RELEASED_ROOTS, checks=Checks())
    assert refused.value.step == "pck chain: root"


def test_other_root_of_the_same_name_is_refused() -> None:
    """A name proves nothing; the fingerprint does."""
    other = certify(GOOD.root, ec.generate_private_key(ec.SECP256R1()))
    made, _ = evidence(GOOD)
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots_of(other.certificate), checks=Checks())
    assert refused.value.step == "pck chain: root"


def test_quote_asked_for_as_the_other_kind_is_refused() -> None:
    """An enclave's quote in a trust domain's folder."""
    made, roots = evidence(SGX)
    with pytest.raises(EvidenceError) as refused:
        authenticate(msgspec.structs.replace(made, format="tdx"), at=NOON, roots=roots, checks=Checks())
    assert refused.value.step == "tee"


def test_quote_of_another_vendors_quoting_enclave_is_refused() -> None:
    """Its certificates would be of another kind as well."""
    assert _refused(replace(GOOD, header={12: bytes(16)})) == "qe_vendor_id"


@pytest.mark.parametrize(
    ("forgery", "step"),
    [
        (replace(GOOD, foreign=frozenset({"authority"})), "pck chain: signature of Intel SGX PCK Platform CA"),
        (replace(GOOD, foreign=frozenset({"pck"})), "pck chain: signature of Intel SGX PCK Certificate"),
        (replace(GOOD, foreign=frozenset({"qe_report"})), "qe signature"),
        (replace(GOOD, foreign=frozenset({"quote"})), "signature"),
        (replace(GOOD, foreign=frozenset({"tcb_signer"})), "tcb signing chain: signature of Intel SGX TCB Signing"),
        (replace(GOOD, foreign=frozenset({"tcb_info"})), "tcb_info.json: signature"),
        (replace(GOOD, foreign=frozenset({"qe_identity"})), "qe_identity.json: signature"),
        (replace(GOOD, foreign=frozenset({"root_ca_crl"})), "root_ca_crl.der: signature"),
        (replace(GOOD, foreign=frozenset({"pck_crl"})), "pck_crl.der: signature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_signature_of_another_key_is_refused(forgery: Forgery, step: str) -> None:
    """At each place where something is signed."""
    assert _refused(forgery) == step


@pytest.mark.parametrize(
    ("field", "step"),
    [
        ("pck", "pck chain: validity of Intel SGX PCK Certificate"),
        ("authority", "pck chain: validity of Intel SGX PCK Platform CA"),
        ("root", "pck chain: validity of Intel SGX Root CA"),
        ("tcb_signer", "tcb signing chain: validity of Intel SGX TCB Signing"),
    ],
)
@pytest.mark.parametrize("turned", [{"end": PAST}, {"start": FUTURE}], ids=["expired", "not yet"])
def test_each_certificate_has_to_be_valid_at_the_time(field: str, step: str, turned: dict[str, object]) -> None:
    """As of the time that is given, not as of some clock."""
    assert _refused(replace(GOOD, **{field: named(getattr(GOOD, field), **turned)})) == step


@pytest.mark.parametrize(
    ("field", "name", "step"),
    [
        ("pck", "Intel SGX TCB Signing", "pck chain: name"),
        ("authority", "Intel SGX PCK Other CA", "pck chain: name"),
        ("root", "Intel SGX Another Root CA", "pck chain: name"),
        ("tcb_signer", "Intel SGX PCK Certificate", "tcb signing chain: name"),
    ],
)
def test_certificate_for_another_place_is_refused(field: str, name: str, step: str) -> None:
    """All of Intel's certificates end in one root: a platform's key must not sign TCB information."""
    assert _refused(replace(GOOD, **{field: named(getattr(GOOD, field), name=name)})) == step


def test_platforms_certificate_does_not_sign_collateral() -> None:
    """Whatever its name is: the extension shows whose it is."""
    signer = named(GOOD.tcb_signer, extension=b"\x30\x00")

    assert _refused(replace(GOOD, tcb_signer=signer)) == "tcb signing chain: is a platform's"


@pytest.mark.parametrize(
    ("field", "turned", "step"),
    [
        ("pck", {"may_sign": False}, "pck: key usage"),
        ("pck", {"has_usage": False}, "pck: key usage"),
        ("pck", {"is_authority": True}, "pck: key usage"),
        ("tcb_signer", {"may_sign": False}, "tcb signing chain: key usage"),
        ("tcb_signer", {"has_usage": False}, "tcb signing chain: key usage"),
        ("tcb_signer", {"is_authority": True}, "tcb signing chain: key usage"),
        ("authority", {"is_authority": False, "path_length": None}, "pck chain: Intel SGX PCK Platform CA may issue"),
        ("authority", {"has_usage": False}, "pck chain: Intel SGX PCK Platform CA may issue"),
        ("root", {"path_length": 0}, "pck chain: Intel SGX Root CA may issue"),
        ("root", {"may_sign_lists": False}, "root_ca_crl.der: issuer"),
        ("authority", {"may_sign_lists": False}, "pck_crl.der: issuer"),
    ],
)
def test_key_is_held_to_its_purpose(field: str, turned: dict[str, object], step: str) -> None:
    """Signers issue nothing, issuers may issue and sign lists."""
    assert _refused(replace(GOOD, **{field: named(getattr(GOOD, field), **turned)})) == step


@pytest.mark.parametrize(("field", "step"), [("pck", "qe signature"), ("tcb_signer", "tcb_info.json: signature")])
def test_key_on_another_curve_signs_nothing(field: str, step: str) -> None:
    """The algorithm is ECDSA on P-256, and no choice of whoever sends the quote."""
    recipe = named(getattr(GOOD, field), curve=ec.SECP384R1())

    assert _refused(replace(GOOD, **{field: recipe})) == step


@pytest.mark.parametrize("order", [(0,), (0, 1), (0, 1, 2, 2), (0, 1, 1)])
def test_chain_of_another_length_is_refused(order: tuple[int, ...]) -> None:
    """Too short, too long, or one twice."""
    assert _refused(replace(GOOD, chain_order=order)).startswith("pck chain")


def test_root_may_stand_before_the_authority_and_the_leaf_may_not_move() -> None:
    """Old platform software writes it so; which certificate the key is taken from, it may not choose."""
    assert _judge(replace(GOOD, chain_order=(0, 2, 1))).vendor["second_opinion"] == "agrees"
    assert _refused(replace(GOOD, chain_order=(1, 0, 2))) == "pck chain: name"


@pytest.mark.parametrize("order", [(0,), (0, 1, 1)])
def test_chain_of_the_collaterals_key_of_another_length_is_refused(order: tuple[int, ...]) -> None:
    """It has two certificates."""
    assert _refused(replace(GOOD, signing_order=order)) == "tcb_signing_chain.pem: certificates"


def test_attestation_key_that_the_quoting_enclave_did_not_make_is_refused() -> None:
    """Its digest is not in the report that the platform signed."""
    assert _refused(replace(GOOD, qe_report_data=bytes([1]) * 64)) == "attestation key"


def test_bytes_behind_the_attestation_keys_digest_are_refused() -> None:
    """They are zero in every report of the quoting enclave."""
    made, _ = evidence(GOOD)
    offset = 48 + 584 + 4 + 128 + 6 + 320
    digest = made.report[offset : offset + 32]

    assert _judge(replace(GOOD, qe_report_data=digest + bytes(32))).tcb_status == "UpToDate"
    assert _refused(replace(GOOD, qe_report_data=digest + bytes(31) + b"\x01")) == "attestation key"


_BROKEN_EXTENSIONS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "endless": lambda _: b"\x30\x80\x00\x00",
    "longer": lambda whole: whole + b"\x00",
    "cut": lambda whole: whole[:-1],
    "a field twice": lambda whole: der(0x30, whole[4:] + pair(bytes([1]), der(4, bytes(16)))),
    "another extension's field": lambda whole: der(0x30, whole[4:] + der(0x30, der(6, b"\x2a\x03") + der(5, b""))),
    "no pair": lambda whole: der(0x30, whole[4:] + der(4, b"\x00")),
    "no family": lambda whole: der(0x30, whole[4:].replace(pair(bytes([4]), der(4, _FMSPC)), b"")),
    "a number below zero": lambda whole: whole.replace(_first_component(4), _first_component(0x84)),
    "a truth value of 1": lambda whole: whole.replace(der(1, b"\xff"), der(1, b"\x01"), 1),
}
_FMSPC = bytes.fromhex("90c06f000000")


def _first_component(value: int) -> bytes:
    return pair(bytes([2, 1]), der(2, bytes([value])))


@pytest.mark.parametrize("name", _BROKEN_EXTENSIONS)
def test_extension_that_does_not_parse_is_unreadable(name: str) -> None:
    """One encoding of each value, each once: two readers must not see two platforms."""
    forgery = replace(GOOD, extension=_BROKEN_EXTENSIONS[name])

    assert _refused(forgery, code="unreadable") == "pck extension"


def test_certificate_without_intels_extension_is_no_platforms() -> None:
    """Whatever its name is."""
    assert _refused(replace(GOOD, extension=lambda _: None)) == "pck chain: is a platform's"


@pytest.mark.parametrize("name", ["Intel SGX PCK Certificate", "Intel SGX PCK Platform CA", "Intel SGX TCB Signing"])
@pytest.mark.parametrize("end", [NOON + DAY, PAST], ids=["current list", "stale list"])
def test_revoked_certificate_is_refused_however_old_the_list_is(name: str, end: object) -> None:
    """No revoked platform is among the genuine quotes, so this one is made."""
    start = NOON - DAY
    step = _refused(replace(GOOD, revoked=frozenset({name}), crl_start=start, crl_end=end))

    assert ": serial number " in step


@pytest.mark.parametrize(
    "turned", [{"crl_end": PAST}, {"crl_start": FUTURE, "crl_end": NOON + DAY}], ids=["past", "future"]
)
def test_list_that_is_not_in_force_shows_nothing(turned: dict[str, object]) -> None:
    """It is a claim, and the policy's default refuses it; the second opinion cannot be asked then."""
    claims = _judge(replace(GOOD, **turned))

    assert claims.vendor["revocation"] == "stale"
    assert claims.vendor["second_opinion"] == "not asked: revocation lists: stale"


@pytest.mark.parametrize("name", ["root_ca_crl.der", "pck_crl.der"])
def test_missing_list_is_a_claim(name: str) -> None:
    """One of the two is not enough."""
    made, roots = evidence(GOOD)
    endorsements = {key: value for key, value in made.endorsements.items() if key != name}
    made = msgspec.structs.replace(made, endorsements=endorsements)

    assert authenticate(made, at=NOON, roots=roots, checks=Checks()).vendor["revocation"] == "absent"


def test_list_of_another_issuer_is_refused() -> None:
    """It says nothing about these certificates."""
    assert _refused(replace(GOOD, crl_issuer="Intel SGX PCK Processor CA")) == "root_ca_crl.der: issuer"


def test_swapped_lists_are_refused() -> None:
    """Each has its own issuer."""
    made, roots = evidence(GOOD)
    lists = {"root_ca_crl.der": made.endorsements["pck_crl.der"], "pck_crl.der": made.endorsements["root_ca_crl.der"]}
    made = msgspec.structs.replace(made, endorsements=made.endorsements | lists)
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots, checks=Checks())
    assert refused.value.step == "root_ca_crl.der: issuer"


def test_partial_list_is_refused() -> None:
    """What it leaves out would pass for not revoked."""
    assert _refused(replace(GOOD, crl_extension=x509.DeltaCRLIndicator(1))) == "root_ca_crl.der: critical extensions"


@pytest.mark.parametrize("name", ["root_ca_crl.der", "pck_crl.der"])
@pytest.mark.parametrize(
    "turn", [lambda crl: crl[:-1], lambda crl: crl + b"\0", lambda _: b"no list"], ids=["cut", "longer", "none"]
)
def test_list_that_does_not_parse_is_unreadable(name: str, turn: Callable[[bytes], bytes]) -> None:
    """Cut, with a byte too many, or none at all."""
    made, roots = evidence(GOOD)
    endorsements = made.endorsements | {name: turn(made.endorsements[name])}
    with pytest.raises(EvidenceError) as refused:
        authenticate(msgspec.structs.replace(made, endorsements=endorsements), at=NOON, roots=roots, checks=Checks())
    assert (refused.value.code, refused.value.step) == ("unreadable", name)


@pytest.mark.parametrize("field", ["tcb_info", "qe_identity"])
@pytest.mark.parametrize(
    ("name", "date"),
    [("issueDate", "2999-01-01T00:00:00Z"), ("nextUpdate", "2001-01-01T00:00:00Z")],
)
def test_collateral_has_to_be_in_force(field: str, name: str, date: str) -> None:
    """A status of yesterday is not today's."""
    assert _refused(replace(GOOD, **{field: _turned(name, date)})) == f"{field}.json: in force"


@pytest.mark.parametrize("field", ["tcb_info", "qe_identity"])
@pytest.mark.parametrize("version", [1, 4, None, "3"])
def test_collateral_of_another_version_is_unsupported(field: str, version: object) -> None:
    """Its fields may mean something else."""
    step = _refused(replace(GOOD, **{field: _turned("version", version)}), code="unsupported")

    assert step == f"{field}.json: version"


@pytest.mark.parametrize(
    ("turn", "step"),
    [
        (_turned("fmspc", "90c06f000001"), "fmspc"),
        (_turned("pceId", "0001"), "pce_id"),
    ],
)
def test_tcb_information_of_another_platform_is_refused(turn: Callable[..., Any], step: str) -> None:
    """Another family's levels could call this platform up to date."""
    assert _refused(replace(GOOD, tcb_info=turn)) == step


def test_hex_of_either_case_is_read() -> None:
    """Intel writes both."""
    assert _judge(replace(GOOD, tcb_info=_turned("fmspc", "90C06F000000"))).tcb_status == "UpToDate"


def test_tcb_information_of_the_other_kind_is_refused() -> None:
    """Enclaves' levels say nothing on TDX modules."""
    assert _refused(replace(GOOD, tcb_info=_turned("id", "SGX"))) == "tcb_info.json: id"


@pytest.mark.parametrize(
    ("forgery", "step"),
    [
        (replace(GOOD, qe_identity=_turned("id", "QE")), "qe identity: id"),
        (replace(SGX, qe_identity=_turned("id", "TD_QE")), "qe identity: id"),
        (replace(GOOD, qe={"mr_signer": bytes(32)}), "qe identity: mr_signer"),
        (replace(GOOD, qe={"isv_prod_id": b"\x01\x00"}), "qe identity: isv_prod_id"),
        (replace(GOOD, qe={"misc_select": b"\x01\x00\x00\x00"}), "qe identity: misc_select"),
        (replace(GOOD, qe={"attributes": b"\x13" + bytes(15)}), "qe identity: attributes"),
        (replace(GOOD, qe={"isv_svn": b"\x03\x00"}), "qe level"),
    ],
)
def test_another_enclave_than_the_quoting_enclave_is_refused(forgery: Forgery, step: str) -> None:
    """Any enclave of the platform can have a report signed; this one alone keeps its keys."""
    assert _refused(forgery) == step


def test_attribute_that_the_mask_leaves_out_is_let_be() -> None:
    """Bit 2 is not compared, as Intel's mask says."""
    assert _judge(replace(GOOD, qe={"attributes": b"\x15" + bytes(15)})).tcb_status == "UpToDate"


@pytest.mark.parametrize(
    ("body", "step"),
    [
        ({"mr_signer_seam": bytes(47) + b"\x01"}, "tdx module: mr_signer_seam"),
        ({"seam_attributes": b"\x01" + bytes(7)}, "tdx module: seam_attributes"),
        ({"tee_tcb_svn": bytes([5, 2, 3]) + bytes(13)}, "tdx module"),
        ({"tee_tcb_svn": bytes([3, 1, 3]) + bytes(13)}, "tdx module level"),
        ({"tee_tcb_svn": bytes([5, 1, 2]) + bytes(13)}, "tcb level"),
    ],
)
def test_module_that_intel_does_not_list_is_refused(body: dict[str, bytes], step: str) -> None:
    """The module keeps host and guest apart."""
    assert _refused(replace(GOOD, body=body)) == step


def test_first_modules_are_judged_by_the_platforms_levels() -> None:
    """Major version 0 has no levels of its own: components 0 and 1 count there."""
    good = bytes([5, 0, 3]) + bytes(13)
    assert _judge(replace(GOOD, body={"tee_tcb_svn": good})).vendor["second_opinion"] == "agrees"
    assert _refused(replace(GOOD, body={"tee_tcb_svn": bytes([4, 0, 3]) + bytes(13)})) == "tcb level"


@pytest.mark.parametrize("name", ["tcb_info.json", "qe_identity.json", "tcb_signing_chain.pem"])
def test_missing_collateral_is_unreadable(name: str) -> None:
    """Without it nothing is known of the platform's versions."""
    made, roots = evidence(GOOD)
    endorsements = {key: value for key, value in made.endorsements.items() if key != name}
    with pytest.raises(EvidenceError) as refused:
        authenticate(msgspec.structs.replace(made, endorsements=endorsements), at=NOON, roots=roots, checks=Checks())
    assert (refused.value.code, refused.value.step) == ("unreadable", name)


def test_issuer_chain_of_the_list_is_not_needed() -> None:
    """The authority is in the quote; a second one beside it would be a second choice."""
    made, roots = evidence(GOOD)
    endorsements = made.endorsements | {"pck_crl_issuer_chain.pem": b"anything"}
    made = msgspec.structs.replace(made, endorsements=endorsements)

    assert authenticate(made, at=NOON, roots=roots, checks=Checks()).vendor["second_opinion"] == "agrees"


def test_certificates_are_told_apart_by_type() -> None:
    """The forger's own check: recipes make what they say."""
    made = certify(Recipe(name="any"), ec.generate_private_key(ec.SECP256R1()))

    assert isinstance(made, Certified)
    assert TD["mr_td"] == bytes([1]) * 48
