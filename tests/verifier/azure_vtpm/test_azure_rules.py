"""The policy's rules for Azure's confidential VMs, and the hardware's own tables inside them."""

from __future__ import annotations

import pytest
from azure_forgery import CHIP, SERVICE, hcl_report, make_evidence, runtime_data, snp_report
from enclaved.errors import AppraisalError, ConfigurationError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.azure_vtpm.rules import RULES
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.rule import Waiver
from simulation import NOON, make_bundle
from tpm_forgery import PCRS

SNP = {
    "measurement": f'["{(b"M" * 48).hex()}"]',
    "host_data": f'["{(b"H" * 32).hex()}"]',
    "minimum_tcb.milan": "{ bootloader = 4, tee = 1, snp = 24, microcode = 219 }",
    "chips": f'["{CHIP.chip_id.hex()}"]',
}
WRITTEN = {"pcrs": f'{{ pcr4 = ["{PCRS[4].hex()}"] }}'}


def _claims(data: bytes | None = None, turned: dict[int, bytes] | None = None) -> Claims:
    data = runtime_data() if data is None else data
    evidence = make_evidence(hcl_report(data, snp_report(data, turned=turned)))
    return authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=Checks())


GOOD = _claims()


def _policy(snp: dict[str, str] | None = None, **turned: str | None) -> Policy:
    section = [f"{key} = {value}" for key, value in (WRITTEN | turned).items() if value is not None]
    inner = SNP if snp is None else snp
    section += ["[formats.azure-vtpm.sev-snp]", *(f"{key} = {value}" for key, value in inner.items())] if inner else []
    head = ["version = 1", 'namespace = "demo"', 'suites = ["x25519"]', "[formats.azure-vtpm]"]
    return parse_policy("\n".join([*head, *section, ""]).encode(), where="policy.toml")


def _accepted(claims: Claims, policy: Policy) -> Checks:
    checks = Checks()
    appraise(claims, policy, checks=checks)
    return checks


def _refused(claims: Claims, policy: Policy) -> str:
    with pytest.raises(AppraisalError) as refused:
        appraise(claims, policy, checks=Checks())
    return refused.value.claim


def test_policy_accepts_what_it_describes_and_lists_every_rule() -> None:
    """Those of the hardware's table as well, under its name."""
    checks = _accepted(GOOD, _policy())
    listed = {check.check for check in checks.done}

    assert all(check.ok for check in checks.done)
    assert {name.split(".")[0] for name in listed} >= {rule.key for rule in RULES}
    assert {"sev-snp.measurement", "sev-snp.debug", "sev-snp.vmpl", "sev-snp.revocation"} <= listed


def test_hardware_without_a_section_is_refused() -> None:
    """What is required in a section that is not written refuses."""
    assert _refused(GOOD, _policy(snp={})) == "sev-snp.measurement"


def test_section_of_other_hardware_does_not_stand_in() -> None:
    """A policy for machines on TDX says nothing on SEV-SNP."""
    assert (
        _refused(GOOD, _policy(snp={}, tdx='{ mr_td = "any", rtmr1 = "any", rtmr2 = "any" }')) == "sev-snp.measurement"
    )


@pytest.mark.parametrize("key", sorted(SNP))
def test_rule_that_is_required_in_a_section_and_not_written_refuses(key: str) -> None:
    """As in the hardware's own format."""
    rest = {name: value for name, value in SNP.items() if name != key}

    assert _refused(GOOD, _policy(snp=rest)) == f"sev-snp.{key.partition('.')[0]}"


def test_defaults_of_a_section_are_as_strict_as_in_the_format_itself() -> None:
    """A machine for debugging is refused by a policy that says nothing on it."""
    debug = _claims(turned={0x08: (0x3001F | 1 << 19).to_bytes(8, "little")})

    assert debug.debug is True
    assert _refused(debug, _policy()) == "sev-snp.debug"


def test_waivers_inside_a_section_are_written_and_warned_of() -> None:
    """Each leaves as much unmeasured as in the format itself."""
    policy = _policy(snp=SNP | {"measurement": '"any"'})
    _accepted(GOOD, policy)

    assert any(warning.startswith("formats.azure-vtpm.sev-snp.measurement") for warning in policy_warnings(policy))
    assert policy_warnings(_policy()) == policy_warnings(_policy(pcrs=WRITTEN["pcrs"]))
    missing = policy_warnings(_policy(snp={"measurement": '"any"'}))
    assert any("sev-snp.chips: it is required" in warning for warning in missing)


@pytest.mark.parametrize(
    ("snp", "problem"),
    [
        ({"measurment": '"any"'}, "measurment"),
        ({"measurement": '["00"]'}, "measurement"),
        ({"debug": '"any"'}, "debug"),
    ],
)
def test_mistakes_inside_a_section_name_the_key(snp: dict[str, str], problem: str) -> None:
    """A misspelt rule must not turn into a rule that is not there."""
    with pytest.raises(ConfigurationError, match=problem):
        _policy(snp=SNP | snp)


def test_section_that_is_no_table_is_a_mistake() -> None:
    """Nor is it waived as a whole."""
    for value in ('"any"', "true", "[]"):
        with pytest.raises(ConfigurationError):
            _policy(snp={}, **{"sev-snp": value})


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("secure_boot", "true", "false"),
        ("console_enabled", "true", "false"),
        ("vm_id", '["VM-1", "VM-2"]', '["VM-2"]'),
        ("pcrs", '"any"', f'{{ pcr4 = ["{"11" * 32}"] }}'),
    ],
)
def test_what_the_paravisor_and_its_tpm_say_is_held_against_the_policy(key: str, good: str, bad: str) -> None:
    """Left out, the first three are accepted as they are."""
    _accepted(GOOD, _policy(**{key: good}))

    assert _refused(GOOD, _policy(**{key: bad})).split(".")[0] == key


def test_setting_that_is_not_there_is_refused_by_a_rule_that_asks() -> None:
    """Older paravisors say less."""
    bare = _claims(runtime_data(vm_configuration={}))

    _accepted(bare, _policy())
    for key in ("secure_boot", "console_enabled"):
        assert _refused(bare, _policy(**{key: "true"})) == key


def test_draft_accepts_what_it_was_made_of() -> None:
    """The hardware's table included, on one line."""
    freshness = Freshness(challenge=True, max_age=Waiver.ANY)
    policy = parse_policy(draft_policy(make_bundle(), GOOD, freshness=freshness).encode(), where="draft")
    appraise(GOOD, policy, checks=Checks())

    assert _refused(_claims(turned={0x90: b"N"}), policy) == "sev-snp.measurement"
