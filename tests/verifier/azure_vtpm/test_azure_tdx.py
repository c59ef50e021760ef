"""Azure's confidential VMs on TDX: a forged platform of Intel's beside the paravisor's report."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec
import pytest
from azure_forgery import hcl_report, make_evidence, runtime_data
from dcap_forgery import TD, Forgery, evidence
from enclaved.errors import AppraisalError, EvidenceError
from enclaved.verifier.appraise import appraise
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.policy import Freshness
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.roots import Roots
from enclaved.verifier.rule import Waiver
from enclaved.wire.attestation import Evidence
from simulation import NOON, make_bundle

DATA = runtime_data()
BOUND = hashlib.sha256(DATA).digest().ljust(64, b"\0")
GOOD = Forgery(body={"report_data": BOUND})


def _td_report(**turned: bytes) -> bytes:
    """Return a TDREPORT, which only its own machine could check."""
    fields = {"report_data": BOUND, "td_attributes": TD["td_attributes"], "mr_td": TD["mr_td"]} | turned
    report = bytearray(1024)
    for name, offset in (("report_data", 128), ("td_attributes", 512), ("mr_td", 528)):
        report[offset : offset + len(fields[name])] = fields[name]
    return bytes(report)


def _evidence(forgery: Forgery = GOOD, report: bytes | None = None, **files: bytes | None) -> tuple[Evidence, Roots]:
    quote, roots = evidence(forgery)
    blob = hcl_report(DATA, _td_report() if report is None else report, kind=4)
    made = make_evidence(blob, **({"td_quote__bin": quote.report} | files))
    snp = ("vcek.der", "ask.pem", "ark.pem", "ark.crl")
    own = {name: contents for name, contents in made.endorsements.items() if name not in snp}
    return msgspec.structs.replace(made, endorsements=own | quote.endorsements), roots


def _judge(made: Evidence, roots: Roots) -> Claims:
    return authenticate(made, at=NOON, roots=roots, checks=Checks())


def _refused(made: Evidence, roots: Roots, *, code: str = "not_authentic") -> str:
    with pytest.raises(EvidenceError) as refused:
        _judge(made, roots)
    assert refused.value.code == code, refused.value
    return refused.value.step


def test_claims_are_the_trust_domains_and_the_tpms() -> None:
    """The status is Intel's word on the platform; the binding is in the TPM's quote."""
    claims = _judge(*_evidence())

    assert claims.confidential
    assert (claims.vendor["hardware"], claims.tcb_status, claims.debug) == ("tdx", "UpToDate", False)
    assert claims.measurement == TD["mr_td"]
    assert claims.bound_data == bytes(range(32))


def test_quote_of_the_trust_domain_is_verified_like_any_other() -> None:
    """Whatever TDX's own format asks for."""
    made, roots = _evidence()

    with pytest.raises(EvidenceError):
        authenticate(made, at=NOON, checks=Checks())
    bare = {name: each for name, each in made.endorsements.items() if name != "tcb_info.json"}
    assert _refused(msgspec.structs.replace(made, endorsements=bare), roots, code="unreadable") == "tcb_info.json"


def test_evidence_without_the_quote_is_unreadable() -> None:
    """The report in the blob proves nothing to anybody elsewhere."""
    assert _refused(*_evidence(td_quote__bin=None), code="unreadable") == "td_quote.bin"


@pytest.mark.parametrize("name", ["report_data", "td_attributes", "mr_td"])
def test_quote_of_another_trust_domain_is_refused(name: str) -> None:
    """The blob holds one domain's report, the file another's quote."""
    made = _evidence(report=_td_report(**{name: b"\7" * 8}))

    assert _refused(*made) == f"td report: {name}"


def test_trust_domain_over_other_runtime_data_is_refused() -> None:
    """Report and quote agree, and vouch for another key."""
    other = bytes(64)
    made = _evidence(replace(GOOD, body={"report_data": other}), _td_report(report_data=other))

    assert _refused(*made) == "runtime data's hash"


def test_draft_accepts_it_by_the_table_of_tdx() -> None:
    """And another domain's measurement not."""
    claims = _judge(*_evidence())
    freshness = Freshness(challenge=True, max_age=Waiver.ANY)
    policy = parse_policy(draft_policy(make_bundle(), claims, freshness=freshness).encode(), where="draft")
    appraise(claims, policy, checks=Checks())

    other = _judge(*_evidence(replace(GOOD, body=dict(GOOD.body) | {"rtmr1": b"\7" * 48})))
    with pytest.raises(AppraisalError) as refused:
        appraise(other, policy, checks=Checks())
    assert refused.value.claim == "tdx.rtmr1"
