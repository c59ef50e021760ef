"""The policy sections of TDX and SGX: each rule, turned one at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from dcap_forgery import Forgery, evidence
from enclaved.errors import AppraisalError, ConfigurationError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.attestation import verify_attestation
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.formats import find_format
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from simulation import NONCE, NOON, make_attestation, make_policy

TDX = Forgery(version=5, body_type=3)
SGX = Forgery(tee="sgx", version=3)
TDX_SECTION = {
    "mr_td": ["01" * 48],
    "rtmr1": ["03" * 48],
    "rtmr2": ["04" * 48],
}
ENCLAVE_SECTION = {"mr_enclave": ["06" * 32]}
SIGNER_SECTION = {"mr_signer": ["07" * 32], "isv_prod_id": [3], "minimum_isv_svn": 4}
_OTHER = "ff"


def _claims(forgery: Forgery) -> Claims:
    made, roots = evidence(forgery)
    return authenticate(made, at=NOON, roots=roots, checks=Checks())


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def _policy(name: str, section: dict[str, object]) -> Policy:
    lines = [f"{key} = {_toml(value)}" for key, value in section.items() if value is not ...]
    head = 'version = 1\nnamespace = "demo"\nsuites = ["mlkem768-x25519"]\n'
    return parse_policy(f"{head}[formats.{name}]\n{chr(10).join(lines)}\n".encode(), where="policy")


def _refused(forgery: Forgery, section: dict[str, object]) -> str:
    with pytest.raises(AppraisalError) as refused:
        appraise(_claims(forgery), _policy(forgery.tee, section), checks=Checks())
    return refused.value.claim


def _accepted(forgery: Forgery, section: dict[str, object]) -> None:
    checks = Checks()
    appraise(_claims(forgery), _policy(forgery.tee, section), checks=checks)
    listed = {check.check.partition(".")[0] for check in checks.done}
    assert listed >= {rule.key for rule in find_format(forgery.tee).rules}


@pytest.mark.parametrize(
    ("forgery", "section"),
    [(TDX, TDX_SECTION), (replace(TDX, version=4), TDX_SECTION), (SGX, ENCLAVE_SECTION), (SGX, SIGNER_SECTION)],
    ids=["TD 1.5", "TD 1.0", "enclave", "signer"],
)
def test_least_policy_accepts_what_it_names(forgery: Forgery, section: dict[str, object]) -> None:
    """And lists every rule of the table, written or not."""
    _accepted(forgery, section)


@pytest.mark.parametrize(
    ("forgery", "section", "key"),
    [(TDX, TDX_SECTION, key) for key in TDX_SECTION]
    + [(SGX, ENCLAVE_SECTION, "mr_enclave")]
    + [(SGX, SIGNER_SECTION, key) for key in SIGNER_SECTION],
)
def test_rule_that_is_required_and_not_written_refuses(forgery: Forgery, section: dict[str, object], key: str) -> None:
    """Absence never means "don't check"; half of an alternative is none."""
    first = "mr_enclave" if forgery.tee == "sgx" else key

    assert _refused(forgery, section | {key: ...}) == first


@pytest.mark.parametrize("key", ["mr_signer", "isv_prod_id", "minimum_isv_svn"])
def test_rule_of_the_other_alternative_counts_where_it_is_written(key: str) -> None:
    """Writing the measurement passes over the signer's rules, unless they are there."""
    other = {"mr_signer": [_OTHER * 32], "isv_prod_id": [4], "minimum_isv_svn": 5}

    assert _refused(SGX, ENCLAVE_SECTION | {key: other[key]}) == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mr_td", [_OTHER * 48]),
        ("rtmr0", [_OTHER * 48]),
        ("rtmr1", [_OTHER * 48]),
        ("rtmr2", [_OTHER * 48]),
        ("rtmr3", [_OTHER * 48]),
        ("tcb_status", ["OutOfDate"]),
        ("debug", True),
        ("minimum_tcb_evaluation_data_number", 18),
        ("fmspc", [_OTHER * 6]),
        ("ppid", [_OTHER * 16]),
        ("platform_instance_id", [_OTHER * 16]),
        ("platform_configuration", {"smt_enabled": False}),
        ("mr_service_td", [_OTHER * 48]),
        ("xfam", [_OTHER * 8]),
        ("mr_seam", [_OTHER * 48]),
        ("mr_config_id", [_OTHER * 48]),
        ("mr_owner", [_OTHER * 48]),
        ("mr_owner_config", [_OTHER * 48]),
    ],
)
def test_domain_that_is_not_as_a_rule_wants_it_is_refused(key: str, value: object) -> None:
    """Each rule decides on its own claim."""
    assert _refused(TDX, TDX_SECTION | {key: value}).partition(".")[0] == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mr_enclave", [_OTHER * 32]),
        ("attributes", [_OTHER * 16]),
        ("misc_select", [_OTHER * 4]),
        ("config_id", [_OTHER * 64]),
        ("isv_ext_prod_id", [_OTHER * 16]),
        ("isv_family_id", [_OTHER * 16]),
    ],
)
def test_enclave_that_is_not_as_a_rule_wants_it_is_refused(key: str, value: object) -> None:
    """Each rule decides on its own claim."""
    assert _refused(SGX, ENCLAVE_SECTION | {key: value}) == key


@pytest.mark.parametrize(("key", "value"), [("mr_signer", [_OTHER * 32]), ("isv_prod_id", [4]), ("minimum_isv_svn", 5)])
def test_signers_other_enclave_is_refused(key: str, value: object) -> None:
    """Another signer, another product, an older version."""
    assert _refused(SGX, SIGNER_SECTION | {key: value}) == key


def _with_bits(*bits: int) -> Forgery:
    return replace(TDX, body={"td_attributes": sum(1 << bit for bit in bits).to_bytes(8, "little")})


@pytest.mark.parametrize(
    ("forgery", "key", "waiver"),
    [
        (_with_bits(0, 28), "debug", True),
        (_with_bits(5, 28), "debug", True),
        (_with_bits(), "sept_ve_disable", False),
        (_with_bits(28, 29), "migratable", True),
        (_with_bits(28, 63), "perfmon", True),
        (_with_bits(28, 40), "unknown_attributes", True),
        (replace(TDX, body={"mr_service_td": b"\x01" * 48}), "mr_service_td", "any"),
    ],
    ids=["debug", "debug group", "exceptions", "migratable", "perfmon", "unknown", "service TD"],
)
def test_attribute_that_opens_a_domain_is_refused_by_default_and_waived_by_name(
    forgery: Forgery, key: str, waiver: object
) -> None:
    """The second opinion cannot be asked about such a domain, so that is waived as well or it is refused."""
    without = TDX_SECTION | {"second_opinion": "any"}

    assert _refused(forgery, without) == key
    assert _refused(forgery, TDX_SECTION | {key: waiver}) == "second_opinion"
    _accepted(forgery, without | {key: waiver})


def test_keys_for_the_guests_own_use_are_let_be() -> None:
    """Protection keys and key locker give the host nothing, and the second opinion agrees."""
    _accepted(_with_bits(28, 30, 31), TDX_SECTION)


def test_debuggable_enclave_is_refused_by_default() -> None:
    """Its host reads and writes its memory."""
    forgery = replace(SGX, body={"attributes": b"\x07" + bytes(15)})
    without = ENCLAVE_SECTION | {"second_opinion": "any"}

    assert _refused(forgery, without) == "debug"
    _accepted(forgery, without | {"debug": True})


def test_status_and_advisories_are_accepted_by_name() -> None:
    """A status that is let pass does not let pass whatever explains it."""

    def turn(document: dict[str, object]) -> dict[str, object]:
        levels = document["tcbLevels"]
        assert isinstance(levels, list)
        levels[0] |= {"tcbStatus": "SWHardeningNeeded", "advisoryIDs": ["INTEL-SA-00615"]}
        return document

    forgery = replace(TDX, tcb_info=turn)
    status = TDX_SECTION | {"tcb_status": ["UpToDate", "SWHardeningNeeded"]}

    assert _refused(forgery, TDX_SECTION) == "tcb_status"
    assert _refused(forgery, status) == "advisories"
    assert _refused(forgery, status | {"advisories": []}) == "advisories"
    assert _refused(forgery, status | {"advisories": ["INTEL-SA-00614"]}) == "advisories"
    _accepted(forgery, status | {"advisories": ["INTEL-SA-00615", "INTEL-SA-00614"]})
    _accepted(forgery, status | {"advisories": "any"})


@pytest.mark.parametrize("value", ["required", "if-present"])
def test_stale_list_is_refused_unless_waived(value: str) -> None:
    """It shows nothing."""
    stale = replace(TDX, crl_end=NOON - timedelta(hours=1))
    without = TDX_SECTION | {"second_opinion": "any"}

    assert _refused(stale, without | {"revocation": value}) == "revocation"
    _accepted(stale, without | {"revocation": "any"})


def test_revoked_is_no_status_that_a_policy_could_accept() -> None:
    """It is not authentic, so the word is an error."""
    with pytest.raises(ConfigurationError):
        _policy("tdx", TDX_SECTION | {"tcb_status": ["Revoked"]})


@pytest.mark.parametrize("key", ["mr_td", "rtmr1", "rtmr2"])
def test_waiver_that_leaves_code_unmeasured_is_warned_of(key: str) -> None:
    """Whoever runs the machine then chooses what runs."""
    warnings = policy_warnings(_policy("tdx", TDX_SECTION | {key: "any"}))

    assert any(warning.startswith(f"formats.tdx.{key}: ") and "unmeasured" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("section", "warned"),
    [
        (ENCLAVE_SECTION, []),
        (SIGNER_SECTION, []),
        ({"mr_enclave": "any"}, ["mr_enclave"]),
        (SIGNER_SECTION | {"isv_prod_id": ...}, ["mr_enclave", "isv_prod_id"]),
    ],
    ids=["enclave", "signer", "waived", "half"],
)
def test_alternative_that_is_not_used_is_not_warned_of(section: dict[str, object], warned: list[str]) -> None:
    """One of the two is enough; half of one is not."""
    warnings = [warning for warning in policy_warnings(_policy("sgx", section)) if warning.startswith("formats.sgx")]

    assert [warning.split(".")[2].split(":")[0] for warning in warnings] == warned


@pytest.mark.parametrize("forgery", [TDX, SGX], ids=["TDX", "SGX"])
def test_draft_accepts_what_it_was_drafted_from(forgery: Forgery) -> None:
    """And it is a policy that parses."""
    claims = _claims(forgery)
    bundle = verify_attestation(make_attestation(), make_policy(), at=NOON, nonce=NONCE).bundle
    text = draft_policy(bundle, claims, freshness=Freshness(challenge=True, max_age=timedelta(hours=1)))

    appraise(claims, parse_policy(text.encode(), where="draft"), checks=Checks())
