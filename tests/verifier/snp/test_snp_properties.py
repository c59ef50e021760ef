"""What holds for all SEV-SNP evidence that anybody can make up."""

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
from snp_forgery import make_chip, make_evidence, make_service

SERVICE = make_service()
GOOD = make_evidence(make_chip(SERVICE))
FILES = ["vcek.der", "ask.pem", "ark.pem", "root.crl"]


def _judge(evidence: Evidence) -> Claims | None:
    try:
        return authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=Checks())
    except EvidenceError:
        return None


CLAIMS = _judge(GOOD)


def _splice(content: bytes, place: float, cut: int, inserted: bytes) -> bytes:
    start = int(place * len(content))
    return content[:start] + inserted + content[start + cut :]


splices = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))


@given(report=st.binary(max_size=1300) | st.binary(min_size=1184, max_size=1184))
@settings(deadline=None)
def test_no_report_escapes_as_another_exception(report: bytes) -> None:
    """A stranger sends what he likes; nothing of it is signed."""
    assert _judge(msgspec.structs.replace(GOOD, report=report)) is None


@given(name=st.sampled_from(FILES), content=st.binary(max_size=300))
@settings(deadline=None)
def test_no_endorsement_escapes_as_another_exception(name: str, content: bytes) -> None:
    """Each file is read by a parser that has exceptions of its own."""
    assert _judge(msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {name: content})) is None


@given(name=st.sampled_from(["report.bin", *FILES]), splice=splices)
@settings(deadline=None, max_examples=300)
def test_no_splice_of_good_evidence_yields_another_accepted_claim(name: str, splice: tuple[float, int, bytes]) -> None:
    """What is almost good gets further than what is made up."""
    if name == "report.bin":
        evidence = msgspec.structs.replace(GOOD, report=_splice(GOOD.report, *splice))
    else:
        content = _splice(GOOD.endorsements[name], *splice)
        evidence = msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {name: content})

    assert _judge(evidence) in (None, CLAIMS)


def test_no_flipped_byte_of_a_report_yields_another_accepted_claim() -> None:
    """A sample; where genuine evidence lies at hand, every byte of that is flipped."""
    for offset in range(0, len(GOOD.report), 5):
        flipped = bytearray(GOOD.report)
        flipped[offset] ^= 1 << offset // 5 % 8
        assert _judge(msgspec.structs.replace(GOOD, report=bytes(flipped))) in (None, CLAIMS)


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_byte_of_an_endorsement_yields_another_accepted_claim(name: str) -> None:
    """Parsers of certificates put off what is wrong in a name until somebody reads the name."""
    content = GOOD.endorsements[name]
    for offset in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << offset // 3 % 8
        endorsements = GOOD.endorsements | {name: bytes(flipped)}
        assert _judge(msgspec.structs.replace(GOOD, endorsements=endorsements)) in (None, CLAIMS)
