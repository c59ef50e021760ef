"""What holds for all quotes and all collateral that anybody can make up."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from dcap_forgery import Forgery, evidence
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.wire.attestation import Evidence
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import NOON

GOOD, ROOTS = evidence(Forgery(version=5, body_type=3))
FILES = sorted(set(GOOD.endorsements) - {"pck_crl_issuer_chain.pem"})


def _judge(made: Evidence) -> Claims | None:
    try:
        return authenticate(made, at=NOON, roots=ROOTS, checks=Checks())
    except EvidenceError:
        return None


CLAIMS = _judge(GOOD)


def _with(name: str, content: bytes) -> Evidence:
    if name == "quote.bin":
        return msgspec.structs.replace(GOOD, report=content)
    return msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {name: content})


def _splice(content: bytes, place: float, cut: int, inserted: bytes) -> bytes:
    start = int(place * len(content))
    return content[:start] + inserted + content[start + cut :]


splices = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))


@given(report=st.binary(max_size=1500))
@settings(deadline=None)
def test_no_quote_escapes_as_another_exception(report: bytes) -> None:
    """A stranger sends what he likes; nothing of it is signed."""
    assert _judge(_with("quote.bin", report)) is None


@given(header=st.binary(min_size=8, max_size=8), rest=st.binary(max_size=1500))
@settings(deadline=None)
def test_no_quote_with_a_good_header_escapes_as_another_exception(header: bytes, rest: bytes) -> None:
    """Lengths of all kinds behind a header that is understood."""
    assert _judge(_with("quote.bin", GOOD.report[:8] + header + rest)) is None
    assert _judge(_with("quote.bin", GOOD.report[:704] + header[:4] + rest)) is None


@given(name=st.sampled_from(FILES), content=st.binary(max_size=300))
@settings(deadline=None)
def test_no_collateral_escapes_as_another_exception(name: str, content: bytes) -> None:
    """Each file is read by a parser that has exceptions of its own."""
    assert _judge(_with(name, content)) is None


@given(name=st.sampled_from(["quote.bin", *FILES]), splice=splices)
@settings(deadline=None, max_examples=300)
def test_no_splice_of_good_evidence_yields_another_accepted_claim(name: str, splice: tuple[float, int, bytes]) -> None:
    """What is almost good gets further than what is made up."""
    content = GOOD.report if name == "quote.bin" else GOOD.endorsements[name]

    assert _judge(_with(name, _splice(content, *splice))) in (None, CLAIMS)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(["tcb_info", "qe_identity"]), name=st.data(), value=_json)
@settings(deadline=None, max_examples=150)
def test_no_signed_document_escapes_as_another_exception(field: str, name: st.DataObject, value: object) -> None:
    """Even a signer who writes anything in any place."""

    def turn(document: dict[str, object]) -> dict[str, object]:
        return document | {name.draw(st.sampled_from(sorted(document))): value}

    made, roots = evidence(Forgery(**{field: turn}))
    with contextlib.suppress(EvidenceError):
        authenticate(made, at=NOON, roots=roots, checks=Checks())


@pytest.mark.parametrize("depth", [100_000])
def test_nesting_without_end_is_unreadable(depth: int) -> None:
    """A parser that calls itself would end the process."""
    body = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    made, roots = evidence(Forgery(tcb_info=lambda _: body))
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots, checks=Checks())
    assert refused.value.code == "unreadable"
