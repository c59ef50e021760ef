"""The table of certificates that a host of SEV-SNP gives."""

from __future__ import annotations

import pytest
from enclaved.attester.snp_certificates import certificate_files
from hypothesis import given
from hypothesis import strategies as st
from snp_forgery import make_crl, make_service

SERVICE = make_service()
GUIDS = {
    "vcek": bytes.fromhex("63da758de6644564adc5f4b93be8accd"),
    "vlek": bytes.fromhex("a8074bc2a25a483eaae639c045a0b8a1"),
    "ask": bytes.fromhex("4ab7b379bbac4fe4a02f05aef327c782"),
    "ark": bytes.fromhex("c0b406a4a803495297433fb6014cd0ae"),
    "crl": bytes.fromhex("92f81bc358114d3d97ffd19f88dc67ea"),
    "unknown": bytes(range(16)),
}
DER = SERVICE.root.der


def _entry(name: str, offset: int, length: int) -> bytes:
    return GUIDS[name] + offset.to_bytes(4, "little") + length.to_bytes(4, "little")


def _table(*names: str, content: bytes = DER) -> bytes:
    end = 24 * (len(names) + 1)
    return b"".join(_entry(name, end, len(content)) for name in names) + bytes(24) + content


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("vcek", "ask", "ark"), {"vcek.der", "ask.pem", "ark.pem"}),
        (("vlek", "ask", "ark"), {"vlek.der", "asvk.pem", "ark.pem"}),
        (("vcek", "vlek", "ask"), {"vcek.der", "vlek.der", "ask.pem"}),
        (("ark", "crl", "unknown"), {"ark.pem", "ark.crl"}),
        ((), set()),
    ],
)
def test_certificates_go_to_the_files_of_their_places(names: tuple[str, ...], files: set[str]) -> None:
    """A VLEK is issued by another authority than a VCEK, and its file has another name."""
    assert certificate_files(_table(*names)).keys() == files


def test_certificates_are_what_the_host_gave() -> None:
    """In DER or in PEM, as evidence carries them."""
    files = certificate_files(_table("vcek", "ark"))

    assert files["vcek.der"] == DER
    assert files["ark.pem"] == SERVICE.root.pem


def test_list_of_revocations_is_taken_along() -> None:
    """Some hosts give one."""
    crl = make_crl(SERVICE.root)

    assert certificate_files(_table("crl", content=crl)) == {"ark.crl": crl}


@pytest.mark.parametrize("entry", [_entry("ark", 48, len(DER) + 1), _entry("ark", 1 << 31, 8), _entry("ark", 0, 0)])
def test_entry_that_leads_outside_is_left_out(entry: bytes) -> None:
    """The host may write anything there."""
    assert certificate_files(entry + bytes(24) + DER) == {}


def test_what_is_no_certificate_is_left_out() -> None:
    """A verifier would call the whole evidence unreadable."""
    assert certificate_files(_table("ark", content=b"-----BEGIN CERTIFICATE-----")) == {}


@given(table=st.binary(max_size=400))
def test_no_table_is_an_error(table: bytes) -> None:
    """The report is good without it."""
    certificate_files(table)
