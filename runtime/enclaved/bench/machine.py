"""What figures depend on beside the code: the machine, and what runs on it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl import backend

from enclaved import __version__

__all__ = ["Machine", "this_machine"]

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that a figure is worth nothing without.

    Attributes:
        cpu: the processor's name.
        cores: how many of them this process may use.
        load_1min: how many tasks wanted to run, on average over the last minute, as this one began.
        system: the operating system and its version.
        python: the interpreter and its version.
        libraries: versions of the libraries that do the work.
        enclaved: the version of enclaved.
    """

    cpu: str
    cores: int
    load_1min: float
    system: str
    python: str
    libraries: str
    enclaved: str

    def to_json(self) -> dict[str, str | int | float]:
        """Return the facts by their names."""
        return {name: getattr(self, name) for name in self.__slots__}


def this_machine() -> Machine:
    """Return the facts of this machine, now."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        load_1min=round(os.getloadavg()[0], 2),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=f"cryptography {cryptography.__version__}, {backend.openssl_version_text()}",
        enclaved=__version__,
    )


def _cpu() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
