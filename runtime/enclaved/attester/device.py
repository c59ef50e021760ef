"""A device: what signs 64 bytes of ours beside a measurement of the code that asks.

Opening a device may read files and make keys; attesting afterwards only talks to
the device, so an enclave can give up everything else in between. Whoever can open
the device can obtain evidence over a key of his own: only the enclave's user may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from enclaved.clock import Clock
from enclaved.errors import DeviceError
from enclaved.wire.attestation import Evidence

__all__ = ["BINDING_SIZE", "TPM_DEVICE", "Device", "DeviceKind", "DeviceOptions", "check_binding"]

BINDING_SIZE = 64
TPM_DEVICE = Path("/dev/tpmrm0")


class Device(Protocol):
    """An open attestation device."""

    @property
    def name(self) -> str:
        """The device's name in options and configuration, such as ``"simulated"``."""
        ...

    @property
    def format(self) -> str:
        """The format of its evidence, such as ``"sev-snp"``."""
        ...

    def attest(self, binding: bytes) -> Evidence:
        """Return evidence that carries a binding; blocks, some devices for tens of milliseconds.

        Args:
            binding: 64 bytes, exactly; nothing is padded or cut.

        Returns:
            The report, and the endorsements that the device has at hand.

        Raises:
            DeviceError: the device is gone, busy, or its answer is not evidence over these bytes.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What a device may need to open.

    Attributes:
        state: the runtime's private state folder.
        clock: the host's clock; what it says goes into simulated evidence as a claim.
        runtime_digest: the digest of the runtime's own code, in place of a launch measurement
            where no hardware takes one.
        tpm: the TPM: the kernel's device, or the Unix socket of a software TPM.
    """

    state: Path
    clock: Clock
    runtime_digest: str
    tpm: Path = TPM_DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """One row of the table of devices.

    Attributes:
        name: the device's name.
        hardware: may ``auto`` choose it; never so for a simulation.
        looked_for: what has to be there, in words for an error.
        is_present: is it there.
        open: opens it; raises `DeviceError`.
        at_path: may a path follow its name, such as a software TPM's socket.
    """

    name: str
    hardware: bool
    looked_for: str
    is_present: Callable[[], bool]
    open: Callable[[DeviceOptions], Device]
    at_path: bool = False


def check_binding(binding: bytes) -> None:
    """Check that a binding has its 64 bytes, before a device sees it.

    Raises:
        DeviceError: it has not.
    """
    if len(binding) != BINDING_SIZE:
        raise DeviceError(f"a binding has {BINDING_SIZE} bytes, not {len(binding)}: nothing is padded or cut")
