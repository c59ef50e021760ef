"""What holds for all TPM evidence that anybody can make up."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.wire.attestation import Evidence
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import NOON
from tpm_forgery import Quote, chain, event_log, make_evidence

LOG, PCRS = event_log((0, 8, b"firmware"), (4, 13, b"loader"), (4, 13, b"kernel"))
GOOD = make_evidence(Quote(pcrs=PCRS), eventlog__bin=LOG, ak_chain__pem=chain())
FILES = ["quote.sig", "pcrs.json", "ak_pub.pem", "eventlog.bin", "ak_chain.pem"]


def _judge(evidence: Evidence) -> Claims | None:
    try:
        return authenticate(evidence, at=NOON, checks=Checks())
    except EvidenceError:
        return None


CLAIMS = _judge(GOOD)
assert CLAIMS is not None


def _with(name: str, content: bytes) -> Evidence:
    if name == "quote.msg":
        return msgspec.structs.replace(GOOD, report=content)
    return msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {name: content})


def _content(name: str) -> bytes:
    return GOOD.report if name == "quote.msg" else GOOD.endorsements[name]


def _splice(content: bytes, place: float, cut: int, inserted: bytes) -> bytes:
    start = int(place * len(content))
    return content[:start] + inserted + content[start + cut :]


splices = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))


@given(report=st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: GOOD.report[:6] + rest))
@settings(deadline=None)
def test_no_quote_escapes_as_another_exception(report: bytes) -> None:
    """A stranger sends what he likes; nothing of it is signed."""
    assert _judge(_with("quote.msg", report)) is None


@given(name=st.sampled_from(FILES), content=st.binary(max_size=300))
@settings(deadline=None)
def test_no_endorsement_escapes_as_another_exception(name: str, content: bytes) -> None:
    """Each file is read by a parser that has exceptions of its own."""
    assert _judge(_with(name, content)) is None


@given(rest=st.binary(max_size=300))
@settings(deadline=None)
def test_no_event_escapes_as_another_exception(rest: bytes) -> None:
    """Behind a header that is good."""
    assert _judge(_with("eventlog.bin", LOG[:73] + rest)) in (None, CLAIMS)


@given(name=st.sampled_from(["quote.msg", *FILES[:3], "ak_chain.pem"]), splice=splices)
@settings(deadline=None, max_examples=200)
def test_no_splice_of_good_evidence_yields_another_accepted_claim(name: str, splice: tuple[float, int, bytes]) -> None:
    """What is almost good gets further than what is made up."""
    assert _judge(_with(name, _splice(_content(name), *splice))) in (None, CLAIMS)


@pytest.mark.parametrize("name", ["quote.msg", *FILES])
def test_no_flipped_byte_yields_another_accepted_claim(name: str) -> None:
    """Every byte of the quote and its signature, and a sample of the rest."""
    content = _content(name)
    step = {"quote.msg": 1, "quote.sig": 1, "eventlog.bin": 1}.get(name, 5)
    for offset in range(0, len(content), step):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << offset // step % 8
        assert _judge(_with(name, bytes(flipped))) in (None, CLAIMS), f"{name}, byte {offset}"
