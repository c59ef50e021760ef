"""Revocation lists that come along with SEV-SNP evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.wire.attestation import Evidence
from simulation import NOON
from snp_forgery import DAY, Service, ask, make_chip, make_crl, make_evidence, make_service

MILAN = make_service()
GENOA = make_service("Genoa")
CHIP = make_chip(MILAN)
WITH_LISTS = make_service(authority=ask(usage=frozenset({"key_cert_sign", "crl_sign"})))
STALE = {"start": NOON - 2 * DAY, "end": NOON - timedelta(seconds=1)}
NOT_YET = {"start": NOON + timedelta(seconds=1), "end": NOON + DAY}


def _revocation(evidence: Evidence, service: Service = MILAN) -> object:
    return authenticate(evidence, at=NOON, roots=service.roots, checks=Checks()).vendor["revocation"]


def _refused(evidence: Evidence, *, service: Service = MILAN, code: str = "not_authentic") -> str:
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, roots=service.roots, checks=Checks())
    assert refused.value.code == code
    return refused.value.step


def test_list_in_force_is_said_to_be_current() -> None:
    """A policy that requires a list is satisfied by this alone."""
    assert _revocation(make_evidence(CHIP)) == "current"


def test_absent_list_is_said_to_be_absent() -> None:
    """Whether one is required is the policy's."""
    assert _revocation(make_evidence(CHIP, root_crl=None)) == "absent"


@pytest.mark.parametrize("turned", [STALE, NOT_YET], ids=["past its next update", "not yet in force"])
def test_list_out_of_force_is_not_used(turned: dict[str, object]) -> None:
    """It cannot show that nothing is revoked, and is no forgery either."""
    assert _revocation(make_evidence(CHIP, root_crl=make_crl(MILAN.root, **turned))) == "stale"


def test_list_in_force_counts_beside_one_that_is_not() -> None:
    """Caches keep old files."""
    evidence = make_evidence(CHIP, root_crl=make_crl(MILAN.root, **STALE), z_crl=make_crl(MILAN.root))
    assert _revocation(evidence) == "current"

    evidence = make_evidence(CHIP, a_crl=make_crl(MILAN.root, **STALE))
    assert _revocation(evidence) == "current"


@pytest.mark.parametrize("turned", [{}, STALE, NOT_YET], ids=["in force", "stale", "not yet in force"])
def test_revoked_authority_is_refused(turned: dict[str, object]) -> None:
    """Nothing that is revoked becomes good again because the list has grown old."""
    crl = make_crl(MILAN.root, MILAN.authority, **turned)

    step = _refused(make_evidence(CHIP, root_crl=crl))

    assert step == f"root.crl: serial number {MILAN.authority.certificate.serial_number}"


def test_revoked_root_is_refused() -> None:
    """A root that disowns itself is believed."""
    assert _refused(make_evidence(CHIP, root_crl=make_crl(MILAN.root, MILAN.root))).startswith("root.crl: serial")


def test_second_list_is_looked_at_as_well() -> None:
    """A clean list must not hide another."""
    assert _refused(make_evidence(CHIP, z_crl=make_crl(MILAN.root, MILAN.authority))).startswith("z.crl: serial")


def test_revoked_vcek_is_refused() -> None:
    """AMD's authorities sign no lists today; one that may is believed."""
    chip = make_chip(WITH_LISTS)
    crl = make_crl(WITH_LISTS.authority, chip.key)

    assert _refused(make_evidence(chip, ask_crl=crl), service=WITH_LISTS).startswith("ask.crl: serial number")


def test_list_of_the_authority_does_not_stand_in_for_the_roots() -> None:
    """An authority that was revoked would say of itself what it likes."""
    evidence = make_evidence(make_chip(WITH_LISTS), root_crl=None, ask_crl=make_crl(WITH_LISTS.authority))

    assert _revocation(evidence, WITH_LISTS) == "stale"


def test_list_of_an_issuer_that_may_sign_none_is_refused() -> None:
    """Its certificate says what its key is for."""
    assert _refused(make_evidence(CHIP, ask_crl=make_crl(MILAN.authority))) == "ask.crl: issuer"


def test_list_of_another_line_is_refused() -> None:
    """It is genuine, and says nothing about this chain."""
    assert _refused(make_evidence(CHIP, root_crl=make_crl(GENOA.root))) == "root.crl: issuer"


def test_list_that_another_signed_under_the_issuers_name_is_refused() -> None:
    """A host that wants a certificate back would write its own list."""
    forged = make_crl(MILAN.root, signer=MILAN.authority)

    assert _refused(make_evidence(CHIP, root_crl=forged)) == "root.crl: signature"


@pytest.mark.parametrize(
    "turned", [{"digest": hashes.SHA256()}, {"scheme": padding.PKCS1v15()}], ids=["SHA-256", "PKCS #1 v1.5"]
)
def test_list_signed_in_another_way_is_refused(turned: dict[str, object]) -> None:
    """AMD signs in one way."""
    assert _refused(make_evidence(CHIP, root_crl=make_crl(MILAN.root, **turned))) == "root.crl: signature"


def test_list_of_a_part_of_the_certificates_is_refused() -> None:
    """A list that covers something else shows nothing about this chain."""
    partial = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    crl = make_crl(MILAN.root, extension=partial)

    assert _refused(make_evidence(CHIP, root_crl=crl)) == "root.crl: critical extensions"


@pytest.mark.parametrize("content", [b"no list", make_crl(MILAN.root) + b"\0", CHIP.key.der])
def test_file_that_is_no_list_is_unreadable(content: bytes) -> None:
    """What nobody can read may be a revocation."""
    assert _refused(make_evidence(CHIP, root_crl=content), code="unreadable") == "root.crl"
