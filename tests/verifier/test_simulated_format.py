"""Simulated evidence: authentic or not, one thing turned at a time."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from enclaved.errors import Error, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.certificate import fingerprint_text
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.wire.attestation import Evidence
from enclaved.wire.cbor import decode_cbor, encode_cbor
from forgery import Recipe, authority, certify, make_evidence, payload
from hypothesis import given
from hypothesis import strategies as st
from simulation import MEASUREMENT, NOON, make_device

ROOT = certify(authority("root", path_length=0))
DEVICE = certify(Recipe(name="device"), ROOT)
GOOD = make_evidence(DEVICE, ROOT)


def _authenticate(evidence: Evidence) -> Claims:
    return authenticate(evidence, at=NOON, checks=Checks())


def _refused(evidence: Evidence, *, code: str = "not_authentic") -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, checks=checks)
    assert refused.value.code == code
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def test_what_the_device_makes_is_authentic() -> None:
    """Attester and verifier are written apart; here they meet."""
    device = make_device(debug=True)
    claims = _authenticate(device.attest(bytes(range(64))))

    assert claims.format == "simulated"
    assert claims.bound_data == bytes(range(64))
    assert claims.measurement == MEASUREMENT
    assert claims.debug is True
    assert claims.evidence_time == NOON
    assert claims.vendor["root"] == fingerprint_text(device.root)


def test_simulated_evidence_is_never_confidential() -> None:
    """Whatever it says, it is software on some host."""
    claims = _authenticate(GOOD)

    assert claims.simulated
    assert not claims.confidential


def test_report_that_another_device_signed_is_refused() -> None:
    """Only the certified key speaks for the device."""
    other = certify(Recipe(name="device"), ROOT)

    assert _refused(msgspec.structs.replace(GOOD, report=make_evidence(other, ROOT).report)) == "signature"


def test_device_under_another_root_is_refused() -> None:
    """Swapping the root that a policy names in beside a foreign device must fail."""
    other = certify(authority("root", path_length=0))

    assert _refused(make_evidence(DEVICE, other)) == "chain: signature of device"


def test_expired_device_is_refused() -> None:
    """The path is judged as of the given time."""
    device = certify(Recipe(name="device", end=NOON - timedelta(seconds=1)), ROOT)

    assert _refused(make_evidence(device, ROOT)) == "chain: validity of device"


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(name="device", curve=ec.SECP256R1()),
        Recipe(name="device", may_sign=False),
        Recipe(name="device", has_usage=False),
        Recipe(name="device", has_constraints=False),
        Recipe(name="device", is_authority=True),
    ],
    ids=["P-256", "may not sign", "no usage", "no constraints", "an authority"],
)
def test_key_that_is_no_device_key_is_refused(recipe: Recipe) -> None:
    """A certificate for another purpose is not a device's."""
    device = certify(recipe, ROOT)

    assert _refused(make_evidence(device, ROOT)) == "device key"


@pytest.mark.parametrize("name", ["device.der", "root.der"])
def test_missing_certificate_is_unreadable(name: str) -> None:
    """A path with a hole is no path."""
    endorsements = {key: value for key, value in GOOD.endorsements.items() if key != name}

    assert _refused(msgspec.structs.replace(GOOD, endorsements=endorsements), code="unreadable") == name


@pytest.mark.parametrize("name", ["device.der", "root.der"])
@pytest.mark.parametrize(
    "turn", [lambda der: der[:-1], lambda der: der + b"\0", lambda _: b"no DER"], ids=["cut", "longer", "none"]
)
def test_certificate_that_does_not_parse_is_unreadable(name: str, turn: object) -> None:
    """Cut, with a byte too many, or no certificate at all."""
    assert callable(turn)
    endorsements = GOOD.endorsements | {name: turn(GOOD.endorsements[name])}

    assert _refused(msgspec.structs.replace(GOOD, endorsements=endorsements), code="unreadable") == name


@pytest.mark.parametrize(
    "turned",
    [
        {"bound_data": bytes(63)},
        {"bound_data": bytes(65)},
        {"bound_data": ...},
        {"measurement": bytes(32)},
        {"measurement": "text"},
        {"debug": 0},
        {"host_time": True},
        {"host_time": -1},
        {"host_time": 1 << 63},
        {"unknown": 1},
    ],
    ids=str,
)
def test_report_of_another_shape_is_unreadable(turned: dict[str, object]) -> None:
    """Every field is there once, of its type and size; nothing is padded or passed over."""
    assert _refused(make_evidence(DEVICE, ROOT, payload(**turned)), code="unreadable") == "report"


@pytest.mark.parametrize("version", [2, ...], ids=["2", "none"])
def test_report_of_another_version_is_unsupported(version: object) -> None:
    """Fields may mean something else there."""
    assert _refused(make_evidence(DEVICE, ROOT, payload(version=version)), code="unsupported") == "version"


@pytest.mark.parametrize(
    "report",
    [b"\xf6", b"\x80", encode_cbor([b"", b""]), encode_cbor([b"\xf6", b""]), b"\x9f\xff"],
    ids=["null", "no pair", "empty", "no map", "indefinite"],
)
def test_bytes_that_are_no_report_are_unreadable(report: bytes) -> None:
    """No other shape of CBOR is guessed at."""
    assert _refused(msgspec.structs.replace(GOOD, report=report), code="unreadable") == "report"


def test_no_flipped_bit_yields_other_claims() -> None:
    """Whatever byte of the report is flipped, it is refused or says the same."""
    wanted = _authenticate(GOOD).to_json()

    for position in range(len(GOOD.report)):
        report = bytearray(GOOD.report)
        report[position] ^= 0x01
        try:
            claims = _authenticate(msgspec.structs.replace(GOOD, report=bytes(report)))
        except EvidenceError:
            continue
        assert claims.to_json() == wanted


def test_cut_report_is_unreadable() -> None:
    """At every length short of the whole."""
    for length in range(1, len(GOOD.report)):
        _refused(msgspec.structs.replace(GOOD, report=GOOD.report[:length]), code="unreadable")


@given(report=st.binary(min_size=1, max_size=200), device=st.binary(min_size=1, max_size=200))
def test_no_input_escapes_as_another_exception(report: bytes, device: bytes) -> None:
    """Whatever arrives, only errors of ours leave."""
    for evidence in (
        msgspec.structs.replace(GOOD, report=report),
        msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {"device.der": device}),
    ):
        with pytest.raises(Error):
            _authenticate(evidence)


def test_signature_covers_the_payload() -> None:
    """A payload moved under another report's signature is refused."""
    other = decode_cbor(make_evidence(DEVICE, ROOT, payload(debug=True)).report, what="report", max_size=4096)
    good = decode_cbor(GOOD.report, what="report", max_size=4096)
    assert isinstance(other, list)
    assert isinstance(good, list)

    assert _refused(msgspec.structs.replace(GOOD, report=encode_cbor([other[0], good[1]]))) == "signature"
