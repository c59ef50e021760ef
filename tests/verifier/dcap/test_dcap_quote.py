"""The structure of quotes: every length leads exactly to the end of what holds it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from dcap_forgery import Forgery, evidence
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.der import INTEGER, elements, one_element, small_number
from enclaved.verifier.dcap.quote import BodyType, Quote, Tee, read_quote
from simulation import NOON

GOOD = Forgery()
TYPED = Forgery(version=5, body_type=3)
SGX = Forgery(tee="sgx", version=3)


def _read(forgery: Forgery) -> Quote:
    return read_quote(evidence(forgery)[0].report, Checks())


def _refused(report: bytes) -> tuple[str, str]:
    with pytest.raises(EvidenceError) as refused:
        read_quote(report, Checks())
    return refused.value.code, refused.value.step


@pytest.mark.parametrize(
    ("forgery", "tee", "body_type"),
    [
        (GOOD, Tee.TDX, BodyType.TD_1_0),
        (replace(GOOD, version=5), Tee.TDX, BodyType.TD_1_0),
        (TYPED, Tee.TDX, BodyType.TD_1_5),
        (SGX, Tee.SGX, BodyType.SGX),
        (replace(SGX, version=4), Tee.SGX, BodyType.SGX),
        (replace(SGX, version=5, body_type=1), Tee.SGX, BodyType.SGX),
    ],
    ids=["v4", "v5 1.0", "v5 1.5", "v3", "v4 enclave", "v5 enclave"],
)
def test_every_version_is_read(forgery: Forgery, tee: Tee, body_type: BodyType) -> None:
    """With the part of the quoting enclave wrapped or not, and the body typed or not."""
    quote = _read(forgery)

    assert (quote.version, quote.tee, quote.body_type) == (forgery.version, tee, body_type)
    assert len(quote.body) == body_type.size
    assert quote.pck_chain.startswith(b"-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize("forgery", [GOOD, TYPED, SGX], ids=["v4", "v5", "v3"])
def test_cut_quote_is_unreadable_at_every_length(forgery: Forgery) -> None:
    """Short of the whole, nothing is guessed."""
    report = evidence(forgery)[0].report
    for length in range(1, len(report), 7):
        assert _refused(report[:length])[0] == "unreadable"


@pytest.mark.parametrize(
    ("header", "step"),
    [
        ({0: b"\x02\x00"}, "version"),
        ({0: b"\x06\x00"}, "version"),
        ({2: b"\x03\x00"}, "attestation key type"),
        ({4: b"\x01\x00\x00\x00"}, "tee type"),
    ],
)
def test_kind_that_is_not_known_is_unsupported(header: dict[int, bytes], step: str) -> None:
    """Fields may lie elsewhere there."""
    assert _refused(evidence(replace(GOOD, header=header))[0].report) == ("unsupported", step)


def test_trust_domain_in_a_quote_of_version_3_is_unreadable() -> None:
    """There are none."""
    assert _refused(evidence(replace(SGX, header={4: b"\x81\x00\x00\x00"}))[0].report) == ("unreadable", "quote")


@pytest.mark.parametrize(
    ("offset", "value", "refusal"),
    [
        (48, b"\x04\x00", ("unsupported", "body type")),
        (48, b"\x02\x00", ("unreadable", "quote")),
        (48, b"\x01\x00", ("unreadable", "quote")),
        (50, b"\x00\x00\x00\x00", ("unreadable", "quote")),
        (50, b"\xff\xff\xff\xff", ("unreadable", "quote")),
    ],
)
def test_body_of_another_type_or_size_is_refused(offset: int, value: bytes, refusal: tuple[str, str]) -> None:
    """Type, size and kind of enclave have to fit one another."""
    report = bytearray(evidence(TYPED)[0].report)
    report[offset : offset + len(value)] = value

    assert _refused(bytes(report)) == refusal


@pytest.mark.parametrize("kind", [1, 3, 6, 7])
def test_certification_of_another_type_is_unsupported(kind: int) -> None:
    """Encrypted platform identifiers need Intel's service to become a certificate."""
    assert _refused(evidence(replace(GOOD, certification_type=kind))[0].report) == (
        "unsupported",
        "certification data type",
    )


@pytest.mark.parametrize("offset", [48 + 584, 48 + 584 + 4 + 128 + 2, 48 + 584 + 4 + 128 + 6 + 448])
@pytest.mark.parametrize("step", [1, -1])
def test_length_that_leads_elsewhere_is_unreadable(offset: int, step: int) -> None:
    """Of the signature data, of the wrapped part, of the quoting enclave's data."""
    report = bytearray(evidence(GOOD)[0].report)
    report[offset : offset + 2] = (int.from_bytes(report[offset : offset + 2], "little") + step).to_bytes(2, "little")

    assert _refused(bytes(report))[0] in ("unreadable", "unsupported")


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33)])
def test_authentication_data_of_another_size_is_unreadable(data: bytes) -> None:
    """Intel's quoting enclave writes 32 bytes."""
    assert _refused(evidence(replace(GOOD, authentication_data=data))[0].report) == ("unreadable", "quote")


def test_zeros_behind_the_quote_are_let_be_and_zeros_alone() -> None:
    """Linux hands out buffers of 8000 bytes."""
    report = evidence(GOOD)[0].report

    assert read_quote(report + bytes(3000), Checks()).whole == report
    assert _refused(evidence(replace(GOOD, tail=bytes(10) + b"\x01"))[0].report) == ("unreadable", "quote")


def test_zero_behind_the_chain_is_let_be() -> None:
    """Some quoting software ends the text as C does."""
    made, roots = evidence(replace(GOOD, certification_tail=b"\x00", tail=bytes(100)))

    assert authenticate(made, at=NOON, roots=roots, checks=Checks()).vendor["second_opinion"] == "agrees"


@pytest.mark.parametrize("chain", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_chain_that_does_not_parse_is_unreadable(chain: bytes) -> None:
    """It holds no certificate, or something else under that name."""
    made, roots = evidence(replace(GOOD, chain_order=(), certification_tail=chain))
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots, checks=Checks())
    assert (refused.value.code, refused.value.step) == ("unreadable", "pck chain")


@pytest.mark.parametrize(
    "data",
    [b"\x02", b"\x02\x02\x00", b"\x02\x80", b"\x02\x81\x01\x00", b"\x02\x82\x00\x80" + bytes(128), b"\x1f\x01\x00"],
    ids=bytes.hex,
)
def test_der_of_another_form_is_refused(data: bytes) -> None:
    """Short of its length, endless, longer than needed, or with a tag of two bytes."""
    with pytest.raises(ValueError, match=r"\w"):
        list(elements(data))


@pytest.mark.parametrize("contents", [b"", b"\x00\x01", b"\x80", b"\x01\x00"], ids=bytes.hex)
def test_number_of_another_form_is_refused(contents: bytes) -> None:
    """Empty, with a byte too many, below zero, or too large."""
    with pytest.raises(ValueError, match="integer"):
        small_number(INTEGER, contents, most=255)


def test_numbers_and_elements_are_read() -> None:
    """Up to the bound, and with long lengths."""
    assert [small_number(INTEGER, each, most=255) for each in (b"\x00", b"\x7f", b"\x00\x80", b"\x00\xff")] == [
        0,
        127,
        128,
        255,
    ]
    assert one_element(b"\x30\x81\x80" + bytes(128), 0x30) == bytes(128)
    with pytest.raises(ValueError, match="elements"):
        one_element(b"\x30\x00\x30\x00", 0x30)


def test_missing_report_is_refused_before_anything_is_read() -> None:
    """An empty file is no quote."""
    made, roots = evidence(GOOD)
    with pytest.raises(EvidenceError):
        authenticate(msgspec.structs.replace(made, report=b""), at=NOON, roots=roots, checks=Checks())
