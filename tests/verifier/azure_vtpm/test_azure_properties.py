"""What holds for all evidence of Azure's confidential VMs that anybody can make up."""

from __future__ import annotations

import json

import msgspec
from azure_forgery import SERVICE, hcl_report, jwk, make_evidence, runtime_data, snp_report
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.wire.attestation import Evidence
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import NOON

GOOD = make_evidence()
DATA = runtime_data()
FILES = [
    "tpm_quote.msg",
    "tpm_quote.sig",
    "tpm_quote.pcrs.json",
    "ak_pub.pem",
    "vcek.der",
    "eventlog.bin",
    "td_quote.bin",
]


def _judge(evidence: Evidence) -> Claims | None:
    try:
        return authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=Checks())
    except EvidenceError:
        return None


CLAIMS = _judge(GOOD)
assert CLAIMS is not None


@given(rest=st.binary(max_size=600))
@settings(deadline=None)
def test_no_report_escapes_as_another_exception(rest: bytes) -> None:
    """Bytes of all sizes behind the magic, and good headers with bytes for runtime data."""
    for report in (rest or b"\0", b"HCLA" + rest, hcl_report(rest, snp_report(DATA))):
        assert _judge(msgspec.structs.replace(GOOD, report=report)) is None


@given(
    data=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(jwk()),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["keys", "kid", "n", "e", "kty", "vm-configuration", "user-data"]), inner, max_size=4
            )
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode())
)
@settings(deadline=None, max_examples=200)
def test_no_runtime_data_escape_as_another_exception(data: bytes) -> None:
    """Even where the hardware vouches for them."""
    _judge(make_evidence(hcl_report(data, snp_report(data))))


@given(name=st.sampled_from(FILES), content=st.binary(max_size=300))
@settings(deadline=None)
def test_no_endorsement_escapes_as_another_exception(name: str, content: bytes) -> None:
    """Each file is read by a parser that has exceptions of its own."""
    endorsements = GOOD.endorsements | {name: content}

    assert _judge(msgspec.structs.replace(GOOD, endorsements=endorsements)) in (None, CLAIMS)


@given(content=st.binary(max_size=300), kind=st.sampled_from([2, 4]))
@settings(deadline=None)
def test_no_hardware_report_escapes_as_another_exception(content: bytes, kind: int) -> None:
    """Of either kind; and there may be a quote of a trust domain, or none."""
    evidence = make_evidence(hcl_report(DATA, content, kind=kind), td_quote__bin=content or None)

    assert _judge(evidence) is None
