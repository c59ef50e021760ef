"""What holds for all Nitro documents that anybody can make up."""

from __future__ import annotations

import cbor2
import msgspec
import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.nitro.cbor import CborError, read_cbor
from enclaved.wire.attestation import Evidence
from hypothesis import given, settings
from hypothesis import strategies as st
from nitro_forgery import fields, make_evidence, make_module
from simulation import NOON

MODULE = make_module()
GOOD = make_evidence(MODULE)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 99) | st.text(max_size=8), inner),
    max_leaves=12,
)
splices = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=40))


def _judge(evidence: Evidence) -> Claims | None:
    try:
        return authenticate(evidence, at=NOON, roots=MODULE.roots, checks=Checks())
    except EvidenceError:
        return None


CLAIMS = _judge(GOOD)


def _depth(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@given(report=st.binary(min_size=1, max_size=300))
@settings(deadline=None)
def test_no_document_escapes_as_another_exception(report: bytes) -> None:
    """A stranger sends what he likes; nothing of it is signed."""
    assert _judge(msgspec.structs.replace(GOOD, report=report)) is None


@given(name=st.sampled_from(sorted(fields(MODULE))), value=values)
@settings(deadline=None)
def test_no_signed_field_escapes_as_another_exception(name: str, value: object) -> None:
    """Whoever can have anything signed may write any value into any field."""
    _judge(make_evidence(MODULE, **{name: value}))


@given(splice=splices)
@settings(deadline=None, max_examples=300)
def test_no_splice_of_a_good_document_yields_another_accepted_claim(splice: tuple[float, int, bytes]) -> None:
    """What is almost good gets further than what is made up."""
    place, cut, inserted = splice
    start = int(place * len(GOOD.report))
    report = GOOD.report[:start] + inserted + GOOD.report[start + cut :]

    assert not report or _judge(msgspec.structs.replace(GOOD, report=report)) in (None, CLAIMS)


def test_no_flipped_byte_of_a_document_yields_another_accepted_claim() -> None:
    """A sample; where genuine documents lie at hand, every byte of one is flipped."""
    for offset in range(0, len(GOOD.report), 7):
        flipped = bytearray(GOOD.report)
        flipped[offset] ^= 1 << offset // 7 % 8
        assert _judge(msgspec.structs.replace(GOOD, report=bytes(flipped))) in (None, CLAIMS)


@given(value=values.filter(lambda value: _depth(value) <= 4))
def test_values_are_read_as_another_library_wrote_them(value: object) -> None:
    """The reader is our own; the writer is not."""
    assert read_cbor(cbor2.dumps(value)) == value


@given(value=values.filter(lambda value: _depth(value) <= 4), cut=st.integers(0, 200))
def test_no_cut_of_a_value_is_one(value: object, cut: int) -> None:
    """A length that does not fit the bytes is found out."""
    encoded = cbor2.dumps(value)
    if cut < len(encoded):
        with pytest.raises(CborError):
            read_cbor(encoded[:cut])


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x81" * 6 + b"\x00",
        b"\x9f\xff",
        b"\x5f\x41a\xff",
        b"\x7f\x61a\xff",
        b"\xbf\xff\xff",
        b"\xbf\x01",
        b"\xbf\x01\xff",
        b"\x1c",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\x62\xc3\x28",
        b"\xa2\x01\x01\x01\x02",
        b"\xa1\xf5\x01",
        b"\xa1\x41a\x01",
        b"\xf9\x00\x00",
        b"\xc1\x01",
        b"\xf7",
        b"",
    ],
)
def test_value_that_documents_do_not_have_is_none(encoded: bytes) -> None:
    """Too deep, of indefinite or absurd length, twice the same key, a tag, a float."""
    with pytest.raises(CborError):
        read_cbor(encoded)
