"""What shows that the layers are there: trying what they forbid.

A level is a claim in every receipt. A step that returned without an error proves
less than an attempt that fails, so each zygote tries before it takes an input.
"""

from __future__ import annotations

import mmap
import os
import resource
import socket
from collections.abc import Callable
from typing import Final

from enclaved.errors import SandboxError
from enclaved.sandbox import kernel
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.lockdown import DESCRIPTORS, Confinement
from enclaved.sandbox.namespaces import HOST_NAME, MAPPED_USER

__all__ = ["prove_surroundings", "prove_worker", "prove_zygote"]

_PR_GET_DUMPABLE: Final = 3
_PR_GET_NO_NEW_PRIVS: Final = 39


def prove_surroundings(layers: frozenset[Layer], *, user: int) -> None:
    """Prove the layers that a zygote has from its first moment on, while it still may look around.

    Args:
        layers: those that it should have.
        user: the user that it should have become, 0 for that of a user namespace.

    Raises:
        SandboxError: one is not there.
    """
    if Layer.NAMESPACES in layers:
        _require(Layer.NAMESPACES, os.getpid() == 1, "it is not the first process")
        _require(Layer.NAMESPACES, os.uname().nodename == HOST_NAME, "it has the host's name")
        _require(Layer.NAMESPACES, {name for _, name in socket.if_nameindex()} <= {"lo"}, "it sees a network")
        _require(Layer.NAMESPACES, bool(os.statvfs("/").f_flag & os.ST_RDONLY), "its root can be written")
        for path in ("/proc/self", "/sys/kernel", "/home", "/etc/passwd", "/dev/shm"):  # noqa: S108 - none is there
            _require(Layer.NAMESPACES, not os.path.exists(path), f"{path} is there")
    if Layer.OWN_USER in layers:
        identity = user or MAPPED_USER
        _require(Layer.OWN_USER, os.getresuid() == (identity,) * 3, "its user is another")
        _require(Layer.OWN_USER, os.getresgid() == (identity,) * 3, "its group is another")
        _require(Layer.OWN_USER, user == 0 or os.getgroups() == [], "it is in other groups")


def prove_zygote(confinement: Confinement) -> None:
    """Prove what a zygote that is locked down has given up.

    Raises:
        SandboxError: it has not.
    """
    if Layer.PRIVILEGES in confinement.layers:
        _require(Layer.PRIVILEGES, not any(kernel.capabilities()), "it has capabilities")
        _require(Layer.PRIVILEGES, kernel.prctl(_PR_GET_NO_NEW_PRIVS) == 1, "it can gain privileges")
    if Layer.UNREADABLE in confinement.layers:
        _require(Layer.UNREADABLE, kernel.prctl(_PR_GET_DUMPABLE) == 0, "it can be dumped")


def prove_worker(confinement: Confinement) -> None:
    """Prove what a worker that is locked down cannot do.

    Raises:
        SandboxError: it can.
    """
    if Layer.LIMITS in confinement.layers:
        limits = [resource.getrlimit(which) for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)]
        most = (DESCRIPTORS, confinement.address_space)
        are_set = all(0 <= soft <= high and hard == soft for (soft, hard), high in zip(limits, most, strict=True))
        _require(Layer.LIMITS, are_set, "a limit is not set")
    if Layer.LANDLOCK in confinement.layers:
        _refuses(Layer.LANDLOCK, lambda: os.listdir("/"), "it can list the root folder")
    if Layer.SECCOMP in confinement.layers:
        _refuses(Layer.SECCOMP, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(), "it has a network")
        _refuses(Layer.SECCOMP, lambda: os.close(os.memfd_create("")), "it can make files in memory")
        _refuses(Layer.SECCOMP, lambda: os.kill(os.getpid(), 0), "it can send signals")
        _refuses(Layer.SECCOMP, lambda: mmap.mmap(-1, mmap.PAGESIZE).close(), "it can share memory")
        _refuses(Layer.SECCOMP, _fork, "it can fork")


def _fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _refuses(layer: Layer, attempt: Callable[[], object], otherwise: str) -> None:
    try:
        attempt()
    except PermissionError:
        return
    _require(layer, False, otherwise)  # noqa: FBT003 - the attempt succeeded


def _require(layer: Layer, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise SandboxError(f"the layer {layer} is not in force: {otherwise}")
