"""The policy's rules for SEV-SNP, each turned once on evidence that is otherwise accepted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from enclaved.errors import AppraisalError, ConfigurationError, EvidenceError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import appraise_evidence
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.rule import Waiver
from enclaved.verifier.snp.rules import RULES
from simulation import NOON, make_bundle
from snp_forgery import DAY, ask, make_chip, make_crl, make_evidence, make_report, make_service, tcb_bytes, text, vek

MILAN = make_service()
CHIP = make_chip(MILAN)
VLEK_SERVICE = make_service(authority=ask(name="SEV-VLEK-Milan"))
VLEK = vek(name="SEV-VLEK", extensions={"2": text("Milan"), "4": ..., "5": text("CN=cloud.example")})
VLEK_CHIP = make_chip(VLEK_SERVICE, VLEK)
WRITTEN = {
    "measurement": f'["{(b"M" * 48).hex()}"]',
    "host_data": f'["{(b"H" * 32).hex()}"]',
    "minimum_tcb.milan": "{ bootloader = 4, tee = 1, snp = 24, microcode = 219 }",
    "signing_key": '["vcek"]',
    "debug": "false",
    "migration_agent": "false",
    "vmpl": "[0]",
    "chips": f'["{CHIP.chip_id.hex()}"]',
    "revocation": '"required"',
}


def _policy(**turned: str | None) -> Policy:
    written = WRITTEN | {key.replace("__", "."): value for key, value in turned.items()}
    section = "\n".join(f"{key} = {value}" for key, value in written.items() if value is not None)
    head = 'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n'
    return parse_policy(f"{head}[formats.sev-snp]\n{section}\n".encode(), where="policy.toml")


def _claims(turned: Mapping[int, bytes] | None = None, **files: bytes | None) -> Claims:
    evidence = make_evidence(CHIP, make_report(CHIP, turned=turned), **files)
    return authenticate(evidence, at=NOON, roots=MILAN.roots, checks=Checks())


def _vlek_claims() -> Claims:
    report = make_report(VLEK_CHIP, turned={0x48: bytes((1 << 2, 0, 0, 0)), 0x1A0: bytes(64)})
    evidence = make_evidence(VLEK_CHIP, report, vlek=True)
    return authenticate(evidence, at=NOON, roots=VLEK_SERVICE.roots, checks=Checks())


GOOD = _claims()


def _accepted(claims: Claims, **turned: str | None) -> Checks:
    checks = Checks()
    appraise(claims, _policy(**turned), checks=checks)
    return checks


def _refused(claims: Claims, **turned: str | None) -> str:
    with pytest.raises(AppraisalError) as refused:
        appraise(claims, _policy(**turned), checks=Checks())
    return refused.value.claim


def test_policy_accepts_what_it_describes_and_lists_every_rule() -> None:
    """A rule that is left out of a policy is listed in the verdict all the same."""
    checks = _accepted(GOOD)

    assert all(check.ok for check in checks.done)
    assert {check.check.split(".")[0] for check in checks.done} >= {rule.key for rule in RULES}


@pytest.mark.parametrize("key", ["measurement", "host_data", "minimum_tcb__milan", "chips"])
def test_rule_that_is_required_and_not_written_refuses(key: str) -> None:
    """A line that somebody forgot must not open the door."""
    assert _refused(GOOD, **{key: None}) == key.partition("__")[0]


@pytest.mark.parametrize("key", ["signing_key", "debug", "migration_agent", "vmpl", "revocation"])
def test_rule_with_a_default_may_be_left_out(key: str) -> None:
    """The default is the strict one, and this evidence meets it."""
    _accepted(GOOD, **{key: None})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("measurement", f'["{"00" * 48}"]'),
        ("host_data", f'["{"00" * 32}"]'),
        ("signing_key", '["vlek"]'),
        ("debug", "true"),
        ("migration_agent", "true"),
        ("vmpl", "[1, 2, 3]"),
        ("chips", f'["{"01" * 64}"]'),
        ("id_key_digest", f'["{"00" * 48}"]'),
        ("author_key_digest", f'["{"00" * 48}"]'),
        ("family_id", f'["{"00" * 16}"]'),
        ("image_id", f'["{"00" * 16}"]'),
        ("minimum_guest_svn", "8"),
        ("minimum_abi", '"0.32"'),
        ("minimum_firmware", '"1.55.41"'),
        ("smt", "false"),
        ("single_socket", "true"),
        ("current_mit_vector", "1"),
    ],
)
def test_rule_that_asks_for_something_else_refuses(key: str, value: str) -> None:
    """One rule is turned, and the error names it."""
    assert _refused(GOOD, **{key: value}) == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id_key_digest", f'["{(b"K" * 48).hex()}"]'),
        ("author_key_digest", f'["{(b"A" * 48).hex()}"]'),
        ("family_id", f'["{(b"F" * 16).hex()}"]'),
        ("image_id", f'["{(b"I" * 16).hex()}"]'),
        ("minimum_guest_svn", "7"),
        ("minimum_abi", '"0.31"'),
        ("minimum_firmware", '"1.55.40"'),
        ("smt", "true"),
        ("single_socket", "false"),
        ("provisional_firmware", "false"),
        ("platform_info", "{ smt_en = true, ecc_en = true, tsme_en = false, alias_check_complete = true }"),
        ("policy_bits", "{ cxl_allow = false }"),
        ("measurement", '"any"'),
        ("host_data", '"any"'),
        ("chips", '"any"'),
        ("revocation", '"any"'),
        ("revocation", '"if-present"'),
        ("vmpl", "[0, 1]"),
    ],
)
def test_rule_that_asks_for_what_is_there_accepts(key: str, value: str) -> None:
    """Each rule can be written, and holds."""
    _accepted(GOOD, **{key: value})


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode"])
def test_component_below_the_minimum_is_refused(component: str) -> None:
    """A newer microcode does not make up for an older boot loader."""
    least = {"bootloader": 0, "tee": 0, "snp": 0, "microcode": 0} | {component: 255}
    written = "{ " + ", ".join(f"{name} = {value}" for name, value in least.items()) + " }"

    assert _refused(GOOD, minimum_tcb__milan=written) == f"minimum_tcb.milan.{component}"


def test_product_without_a_minimum_is_refused() -> None:
    """Each line numbers its firmware anew."""
    written = "{ bootloader = 0, tee = 0, snp = 0, microcode = 0 }"

    assert _refused(GOOD, minimum_tcb__milan=None, minimum_tcb__genoa=written) == "minimum_tcb.milan"


@pytest.mark.parametrize(
    "written",
    [
        "{ bootloader = 4, tee = 1, snp = 24 }",
        "{ bootloader = 4, tee = 1, snp = 24, microcode = 219, fmc = 0 }",
        "{ bootloader = 4, tee = 1, snp = 24, microcode = 256 }",
        '"any"',
    ],
)
def test_minimum_that_does_not_name_every_component_is_an_error(written: str) -> None:
    """What is left out would not be looked at."""
    with pytest.raises(ConfigurationError):
        _policy(minimum_tcb__milan=written)


@pytest.mark.parametrize("written", ['"1"', '"1.2.3"', '"01.2"', '"1.256"', "1.2", '"1.2 "'])
def test_version_that_is_none_is_an_error(written: str) -> None:
    """A version is numbers and dots."""
    with pytest.raises(ConfigurationError):
        _policy(minimum_abi=written)


def test_debug_guest_is_refused_unless_it_is_asked_for() -> None:
    """Its memory is readable by its host, so no policy accepts it by omission."""
    claims = _claims({0x08: (0xB001F).to_bytes(8, "little")})

    assert _refused(claims) == "debug"
    assert _refused(claims, debug=None) == "debug"
    _accepted(claims, debug="true")


def test_guest_with_a_migration_agent_is_refused_unless_it_is_asked_for() -> None:
    """The agent gets the guest's keys, and the host chooses it."""
    claims = _claims({0x08: (0x7001F).to_bytes(8, "little")})

    assert _refused(claims) == "migration_agent"
    assert _refused(claims, migration_agent=None) == "migration_agent"
    _accepted(claims, migration_agent="true")


def test_report_of_a_lower_privilege_level_is_refused_by_default() -> None:
    """It says what some less privileged software asked for."""
    claims = _claims({0x30: b"\x01"})

    assert _refused(claims, vmpl=None) == "vmpl"
    _accepted(claims, vmpl="[1]")


def test_masked_chip_is_no_chip_that_a_policy_can_list() -> None:
    """All hosts that mask the identifier show the same zeros."""
    claims = _vlek_claims()
    tcb = {"signing_key": '["vlek"]'}

    assert _refused(claims, **tcb, chips=f'["{"00" * 64}"]') == "chips"
    _accepted(claims, **tcb, chips='"any"')


def test_vlek_is_refused_by_default() -> None:
    """It speaks for all chips of a provider."""
    assert _refused(_vlek_claims(), chips='"any"', signing_key=None) == "signing_key"


def test_vlek_of_another_provider_is_refused() -> None:
    """A VLEK names whom AMD made it for."""
    written = {"chips": '"any"', "signing_key": '["vlek", "vcek"]'}

    assert _refused(_vlek_claims(), **written, csp_id='["CN=other.example"]') == "csp_id"
    _accepted(_vlek_claims(), **written, csp_id='["CN=cloud.example"]')
    _accepted(GOOD, csp_id='["CN=cloud.example"]')


@pytest.mark.parametrize(
    ("files", "accepts"),
    [
        ({"root_crl": None}, {"if-present", "any"}),
        ({}, {"required", "if-present", "any"}),
    ],
    ids=["absent", "current"],
)
def test_revocation_list_is_required_as_the_policy_says(files: dict[str, None], accepts: set[str]) -> None:
    """A host that has been caught would leave the list out."""
    claims = _claims(**files)
    for written in ("required", "if-present", "any"):
        if written in accepts:
            _accepted(claims, revocation=f'"{written}"')
        else:
            assert _refused(claims, revocation=f'"{written}"') == "revocation"


def test_stale_list_is_refused_where_one_is_asked_for() -> None:
    """An old list was made before the revocation that matters."""
    claims = _claims(root_crl=make_crl(MILAN.root, start=NOON - 3 * DAY, end=NOON - DAY))

    assert _refused(claims) == "revocation"
    assert _refused(claims, revocation=None) == "revocation"
    assert _refused(claims, revocation='"if-present"') == "revocation"
    _accepted(claims, revocation='"any"')


def test_provisional_firmware_is_refused_where_the_policy_says_so() -> None:
    """The host can still roll it back."""
    claims = _claims({0x1E0: tcb_bytes("Milan", microcode=0)})

    _accepted(claims)
    assert _refused(claims, provisional_firmware="false") == "provisional_firmware"


@pytest.mark.parametrize("key", ["platform_info", "policy_bits"])
def test_flag_that_is_otherwise_is_refused(key: str) -> None:
    """The error names the flag."""
    flag = {"platform_info": "tsme_en", "policy_bits": "page_swap_disable"}[key]

    assert _refused(GOOD, **{key: f"{{ {flag} = true }}"}) == f"{key}.{flag}"


def test_guest_that_does_not_share_cores_is_accepted_where_that_is_wanted() -> None:
    """The guest's policy forbids its host simultaneous multithreading, and another socket."""
    claims = _claims({0x08: (0x12001F).to_bytes(8, "little")})

    _accepted(claims, smt="false", single_socket="true")


def test_bits_of_the_mitigation_vector_are_wanted_one_by_one() -> None:
    """A report without the vector has none of them."""
    report = make_report(CHIP, version=5)
    claims = authenticate(make_evidence(CHIP, report), at=NOON, roots=MILAN.roots, checks=Checks())

    _accepted(claims, current_mit_vector="9")
    assert _refused(claims, current_mit_vector="13") == "current_mit_vector"


def test_waiver_that_leaves_the_guest_unmeasured_is_warned_about() -> None:
    """Then the host chooses what runs."""
    assert any("measurement" in warning for warning in policy_warnings(_policy(measurement='"any"')))
    assert not any("formats.sev-snp.measurement" in warning for warning in policy_warnings(_policy()))


@pytest.mark.parametrize("claims", [GOOD, _vlek_claims()], ids=["vcek", "vlek"])
def test_draft_accepts_what_it_was_drafted_from(claims: Claims) -> None:
    """A person reviews it; until then it says what was seen."""
    freshness = Freshness(challenge=False, max_age=Waiver.ANY)
    draft = draft_policy(make_bundle(), claims, freshness=freshness).replace("# chips =", 'chips = "any" #')

    appraise(claims, parse_policy(draft.encode(), where="draft"), checks=Checks())


def test_evidence_over_another_nonce_is_refused() -> None:
    """The nonce is all of report_data, to the byte."""
    evidence = make_evidence(CHIP)
    policy = _policy()
    good = bytes(range(64))

    appraise_evidence(evidence, policy, at=NOON, nonce=good, roots=MILAN.roots)
    for other in (bytes(64), good[:32], good + b"\0", b""):
        with pytest.raises(EvidenceError) as refused:
            appraise_evidence(evidence, policy, at=NOON, nonce=other, roots=MILAN.roots)
        assert refused.value.step == "nonce"
