"""The policy's rules for TPM 2.0, each turned once on evidence that is otherwise accepted."""

from __future__ import annotations

import hashlib

import pytest
from enclaved.errors import AppraisalError, ConfigurationError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.certificate import fingerprint_text, read_pem_certificates
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.policy import Freshness, Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.rule import Waiver
from enclaved.verifier.tpm.rules import RULES
from simulation import NOON, make_bundle
from tpm_forgery import PCRS, Quote, chain, event_log, make_evidence

LIBTPMS = bytes.fromhex("2019102300163636")
LOG, LOGGED = event_log((4, 13, b"loader"), (4, 13, b"kernel"), (7, 1, b"secure boot"))
CHAIN = chain()
ROOT = fingerprint_text(read_pem_certificates(CHAIN, "", Checks())[-1])


def _claims(quote: Quote | None = None, **files: bytes | None) -> Claims:
    return authenticate(make_evidence(quote, **files), at=NOON, checks=Checks())


GOOD = _claims()
WRITTEN = {
    "ak": f'"{GOOD.vendor["ak"]}"',
    "pcrs": f'{{ pcr0 = ["{PCRS[0].hex()}"], pcr4 = ["{"00" * 32}", "{PCRS[4].hex()}"] }}',
    "accept_not_confidential": "true",
}


def _policy(**turned: str | None) -> Policy:
    section = "\n".join(f"{key} = {value}" for key, value in (WRITTEN | turned).items() if value is not None)
    head = 'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n'
    return parse_policy(f"{head}[formats.tpm]\n{section}\n".encode(), where="policy.toml")


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


@pytest.mark.parametrize("key", ["ak", "pcrs"])
def test_rule_that_is_required_and_not_written_refuses(key: str) -> None:
    """A line that somebody forgot must not open the door."""
    assert _refused(GOOD, **{key: None}) == key


@pytest.mark.parametrize("value", [None, "false"])
def test_host_that_can_look_in_is_accepted_in_writing_only(value: str | None) -> None:
    """A TPM keeps nobody out."""
    assert _refused(GOOD, accept_not_confidential=value) == "confidential"


def test_key_that_is_not_pinned_is_refused() -> None:
    """Anybody can make a key, and sign a quote with it."""
    assert _refused(GOOD, ak=f'"sha256:{"00" * 32}"') == "ak"


def test_key_can_be_trusted_by_the_root_of_its_certificates() -> None:
    """Its own fingerprint need not be known then; and a root that did not come along vouches for nothing."""
    certified = _claims(ak_chain__pem=CHAIN)

    _accepted(certified, ak=f'["sha256:{"00" * 32}", "{ROOT}"]')
    assert _refused(certified, ak=f'"sha256:{"00" * 32}"') == "ak"
    assert _refused(GOOD, ak=f'"{ROOT}"') == "ak"


def test_key_cannot_be_waived() -> None:
    """Nothing else tells a TPM from a program."""
    with pytest.raises(ConfigurationError):
        _policy(ak='"any"')


def test_pcr_of_another_value_or_none_is_refused() -> None:
    """Another boot; or values that did not come along."""
    assert _refused(GOOD, pcrs=f'{{ pcr0 = ["{"11" * 32}"] }}') == "pcrs.pcr0"
    assert _refused(GOOD, pcrs=f'{{ pcr0 = ["{PCRS[0].hex()}"], pcr12 = ["{"00" * 32}"] }}') == "pcrs.pcr12"
    assert _refused(_claims(pcrs__json=None)) == "pcrs.pcr0"


@pytest.mark.parametrize("index", [13, 16, 23])
def test_pcrs_that_measure_nothing_are_not_enough(index: int) -> None:
    """One is zero; the others any program can set back, and extend as it likes."""
    claims = _claims(Quote(pcrs=PCRS | {16: b"m" * 32, 23: b"m" * 32}))
    value = "00" * 32 if index == 13 else (b"m" * 32).hex()

    assert _refused(claims, pcrs=f'{{ pcr{index} = ["{value}"] }}') == "pcrs"


def test_waiver_of_pcrs_is_warned_of() -> None:
    """It leaves the whole boot unmeasured."""
    _accepted(GOOD, pcrs='"any"')

    warnings = policy_warnings(_policy(pcrs='"any"'))
    assert any("formats.tpm.pcrs" in warning for warning in warnings)
    assert any("accept_not_confidential" in warning for warning in warnings)


def test_event_that_is_not_listed_is_refused() -> None:
    """Of a PCR whose value changes with every update, the parts may be known."""
    claims = _claims(Quote(pcrs=LOGGED), eventlog__bin=LOG)
    loader, kernel = (hashlib.sha256(part).hexdigest() for part in (b"loader", b"kernel"))
    pcrs = f'{{ pcr7 = ["{LOGGED[7].hex()}"] }}'

    _accepted(claims, pcrs=pcrs, events=f'{{ pcr4 = ["{kernel}", "{loader}", "{"00" * 32}"] }}')
    assert _refused(claims, pcrs=pcrs, events=f'{{ pcr4 = ["{loader}"] }}') == "events.pcr4"
    assert _refused(claims, pcrs=pcrs, events=f'{{ pcr5 = ["{loader}"] }}') == "events.pcr5"
    assert _refused(GOOD, events=f'{{ pcr4 = ["{loader}"] }}') == "events.pcr4"


def test_firmware_version_is_held_against_a_list() -> None:
    """Left out, every one is accepted."""
    _accepted(GOOD, firmware_version='["2020031200120003"]')

    assert _refused(GOOD, firmware_version='["2020031200120004"]') == "firmware_version"


def test_software_tpm_is_accepted_in_writing_only() -> None:
    """Its host reads its keys."""
    claims = _claims(Quote(firmware_version=LIBTPMS))

    _accepted(claims, software="true")
    _accepted(GOOD, software="true")
    assert _refused(claims) == "software"
    assert _refused(claims, software="false") == "software"


@pytest.mark.parametrize("claims", [GOOD, _claims(Quote(firmware_version=LIBTPMS), ak_chain__pem=CHAIN)])
def test_draft_accepts_what_it_was_made_of(claims: Claims) -> None:
    """And warns of what it had to accept."""
    freshness = Freshness(challenge=True, max_age=Waiver.ANY)
    policy = parse_policy(draft_policy(make_bundle(), claims, freshness=freshness).encode(), where="draft")
    appraise(claims, policy, checks=Checks())

    assert any("accept_not_confidential" in warning for warning in policy_warnings(policy))
    with pytest.raises(AppraisalError):
        appraise(_claims(Quote(pcrs=PCRS | {4: bytes(32)})), policy, checks=Checks())
