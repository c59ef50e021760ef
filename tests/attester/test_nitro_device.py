"""The Nitro security module as a device: what is asked, and what is made of the answers."""

from __future__ import annotations

import errno
from pathlib import Path

import cbor2
import pytest
from enclaved.attester import nitro
from enclaved.attester.device import DeviceOptions
from enclaved.attester.devices import open_device
from enclaved.attester.nitro import NitroDevice, exchange_with
from enclaved.errors import DeviceError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from nitro_forgery import make_evidence, make_module
from nsm_fake import FakeNsm
from simulation import DIGEST, NOON, FixedClock

MODULE = make_module()
BINDING = bytes(range(64))


def _sign(user_data: bytes) -> bytes:
    return make_evidence(MODULE, user_data=user_data).report


def _device(nsm: FakeNsm) -> NitroDevice:
    return NitroDevice(exchange_with(7, nsm.ioctl))


def test_document_carries_the_binding_and_is_authentic() -> None:
    """The whole way: request, document, certificates, our verifier."""
    evidence = _device(FakeNsm(_sign)).attest(BINDING)
    claims = authenticate(evidence, at=NOON, roots=MODULE.roots, checks=Checks())

    assert claims.bound_data == BINDING


def test_released_roots_refuse_the_fake() -> None:
    """It signs for real, and AWS did not certify it."""
    evidence = _device(FakeNsm(_sign)).attest(BINDING)

    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, checks=Checks())
    assert refused.value.step == "chain: root"


def test_request_is_as_the_module_reads_it() -> None:
    """One map of one name; the ioctl's number encodes direction, size of the message and magic."""
    nsm = FakeNsm(_sign)
    _device(nsm).attest(BINDING)

    assert nsm.requests == [{"Attestation": {"user_data": BINDING, "nonce": None, "public_key": None}}]
    assert nsm.codes == [0xC0200A00]


@pytest.mark.parametrize(
    "answer",
    [
        cbor2.dumps({"Error": "InputTooLarge"}),
        cbor2.dumps("InvalidOperation"),
        cbor2.dumps({"Attestation": {}}),
        cbor2.dumps({"Attestation": {"document": "text"}}),
        cbor2.dumps({"Attestation": {"document": b"d"}, "More": 1}),
        cbor2.dumps({"Attestation": {"document": b"d", "more": 1}}),
        cbor2.dumps({"DescribePCR": {"lock": False, "data": b""}}),
        b"\xff",
        b"",
    ],
)
def test_answer_that_is_no_document_is_an_error(answer: bytes) -> None:
    """Whatever the module says, the enclave gets evidence or an error of the device."""
    with pytest.raises(DeviceError, match="/dev/nsm"):
        _device(FakeNsm(_sign, answer=answer)).attest(BINDING)


def test_error_names_the_modules_word() -> None:
    """So that a person can look it up."""
    with pytest.raises(DeviceError, match="InputTooLarge"):
        _device(FakeNsm(_sign, answer=cbor2.dumps({"Error": "InputTooLarge"}))).attest(BINDING)


def test_length_beyond_the_room_is_not_read() -> None:
    """Sizes before contents."""
    with pytest.raises(DeviceError, match="room"):
        _device(FakeNsm(_sign, length=0x3001)).attest(BINDING)


def test_failing_call_is_an_error_of_the_device() -> None:
    """The module is gone, or the caller may not talk to it."""
    with pytest.raises(DeviceError, match="does not answer"):
        _device(FakeNsm(_sign, error=OSError(errno.EIO, "Input/output error"))).attest(BINDING)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_binding_of_another_size_is_never_sent(size: int) -> None:
    """Nothing is padded or cut."""
    nsm = FakeNsm(_sign)
    with pytest.raises(DeviceError, match="64 bytes"):
        _device(nsm).attest(bytes(size))

    assert nsm.requests == []


def test_request_beyond_the_modules_size_is_not_sent() -> None:
    """The driver would refuse it without a word on why."""
    nsm = FakeNsm(_sign)
    with pytest.raises(OSError, match="more than the module takes"):
        exchange_with(7, nsm.ioctl)(bytes(0x1001))

    assert nsm.requests == []


def test_machine_without_a_module_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name, it is not silently another device."""
    monkeypatch.setattr(nitro, "NSM_DEVICE", tmp_path / "nsm")
    options = DeviceOptions(state=tmp_path, clock=FixedClock(), runtime_digest=DIGEST)

    with pytest.raises(DeviceError, match="cannot be opened"):
        open_device("nitro", options)
