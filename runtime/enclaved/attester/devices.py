"""The table of attestation devices, and how one is chosen.

``auto`` takes the first hardware device that is there. It never falls back to
the simulation: whoever wants that asks for it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from enclaved.attester.azure_vtpm import AZURE_VTPM
from enclaved.attester.device import Device, DeviceKind, DeviceOptions
from enclaved.attester.nitro import NITRO
from enclaved.attester.simulated import SIMULATED
from enclaved.attester.tpm import TPM
from enclaved.attester.tsm import TSM
from enclaved.errors import ConfigurationError, DeviceError

__all__ = ["AUTO", "DEVICES", "open_device"]

AUTO = "auto"

DEVICES: tuple[DeviceKind, ...] = (TSM, NITRO, AZURE_VTPM, TPM, SIMULATED)
"""All devices; ``auto`` tries those that are hardware in this order: what keeps the host out before what does not."""


def open_device(name: str, options: DeviceOptions, *, devices: Sequence[DeviceKind] = DEVICES) -> Device:
    """Open a device by its name, or the first hardware device that is there.

    Args:
        name: a device's name, or ``"auto"``; a TPM's may be followed by where it is, as in
            ``"tpm:/run/swtpm.sock"``.
        options: what devices may need.
        devices: the table.

    Returns:
        The open device.

    Raises:
        ConfigurationError: there is no device of that name, or it is in no other place.
        DeviceError: it is not there, or cannot be opened.
    """
    if name == AUTO:
        return _first_hardware(devices).open(options)
    name, colon, path = name.partition(":")
    kind = _named(name, devices)
    if not colon:
        return kind.open(options)
    if not kind.at_path or not path:
        raise ConfigurationError("device", f"{name} is followed by {path!r}", remedy="Only a TPM's path may follow")
    return kind.open(replace(options, tpm=Path(path)))


def _first_hardware(devices: Sequence[DeviceKind]) -> DeviceKind:
    hardware = [kind for kind in devices if kind.hardware]
    for kind in hardware:
        if kind.is_present():
            return kind
    looked_for = ", ".join(kind.looked_for for kind in hardware) or "no device: this build knows no hardware"
    raise DeviceError(
        f"no attestation device is here; looked for {looked_for}. "
        "Evidence can be simulated, if that is asked for by name: device = 'simulated'"
    )


def _named(name: str, devices: Sequence[DeviceKind]) -> DeviceKind:
    for kind in devices:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in devices)
    raise ConfigurationError("device", f"there is no device {name!r}", remedy=f"Write auto, or one of {known}")
