"""Choosing an attestation device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from enclaved.attester.device import Device, DeviceKind, DeviceOptions
from enclaved.attester.devices import DEVICES, open_device
from enclaved.errors import ConfigurationError, DeviceError
from enclaved.wire.attestation import Evidence
from simulation import DIGEST, FixedClock, make_device

SIMULATION = tuple(kind for kind in DEVICES if not kind.hardware)


@dataclass(frozen=True)
class FakeHardware:
    """A device that is there, and answers with its name."""

    name: str
    format: str = "fake"

    def attest(self, binding: bytes) -> Evidence:
        """Return the binding as evidence."""
        return Evidence(format=self.format, report=binding, endorsements={})


def _hardware(name: str, *, is_present: bool) -> DeviceKind:
    def open_fake(_: DeviceOptions) -> Device:
        return FakeHardware(name)

    return DeviceKind(
        name=name, hardware=True, looked_for=f"/dev/{name}", is_present=lambda: is_present, open=open_fake
    )


@pytest.fixture
def options(tmp_path: Path) -> DeviceOptions:
    """What the devices need."""
    return DeviceOptions(state=tmp_path, clock=FixedClock(), runtime_digest=DIGEST)


def test_simulation_is_opened_by_name(options: DeviceOptions) -> None:
    """It is asked for, and says what it is."""
    device = open_device("simulated", options)

    assert (device.name, device.format) == ("simulated", "simulated")


def test_auto_never_simulates(options: DeviceOptions) -> None:
    """A machine that lost its device must not go on with evidence that proves nothing."""
    with pytest.raises(DeviceError, match="by name"):
        open_device("auto", options, devices=SIMULATION)

    assert list(options.state.iterdir()) == []


def test_auto_says_what_it_looked_for(options: DeviceOptions) -> None:
    """So that a person knows which device is missing."""
    devices = (*SIMULATION, _hardware("nsm", is_present=False), _hardware("tpmrm0", is_present=False))

    with pytest.raises(DeviceError, match="/dev/nsm, /dev/tpmrm0"):
        open_device("auto", options, devices=devices)


def test_auto_takes_the_first_hardware_that_is_there(options: DeviceOptions) -> None:
    """In the table's order."""
    devices = (
        *SIMULATION,
        _hardware("nsm", is_present=False),
        _hardware("tsm", is_present=True),
        _hardware("tpmrm0", is_present=True),
    )

    assert open_device("auto", options, devices=devices).name == "tsm"


def test_unknown_name_is_a_mistake(options: DeviceOptions) -> None:
    """No other device stands in for it."""
    with pytest.raises(ConfigurationError) as wrong:
        open_device("simulation", options)

    assert "simulated" in wrong.value.remedy


def test_path_may_follow_a_tpms_name(options: DeviceOptions) -> None:
    """Software TPMs listen on sockets anywhere."""
    with pytest.raises(DeviceError, match=r"absent\.sock"):
        open_device("tpm:absent.sock", options)


@pytest.mark.parametrize("name", ["simulated:", "simulated:path", "nitro:/dev/nsm", "tpm:", "auto:path"])
def test_path_after_any_other_name_is_a_mistake(name: str, options: DeviceOptions) -> None:
    """It would be passed over."""
    with pytest.raises(ConfigurationError):
        open_device(name, options)


def test_what_keeps_the_host_out_comes_first() -> None:
    """A TPM is taken where there is nothing better, and a simulation never."""
    assert [kind.name for kind in DEVICES if kind.hardware] == ["tsm", "nitro", "azure-vtpm", "tpm"]


def test_this_machines_devices_are_looked_for_without_an_error() -> None:
    """Whatever it has."""
    for kind in DEVICES:
        assert kind.is_present() in (True, False)
        assert kind.looked_for


def test_devices_format_is_its_evidences() -> None:
    """The enclave announces the format before it attests."""
    device = make_device()

    assert device.attest(bytes(64)).format == device.format
