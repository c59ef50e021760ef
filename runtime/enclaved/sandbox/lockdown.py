"""The steps by which a zygote and its workers give up what they must not have.

A level is the list of steps that were taken, in their order, and every step
raises when it fails: a process that is less confined than its level says does not
run. The only level here is `process`, which limits what a function may use and
keeps it from nothing else.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Final, NamedTuple

from enclaved.sandbox import kernel
from enclaved.sandbox.isolation import IsolationLevel

__all__ = ["LEVEL", "WORKER_STEPS", "ZYGOTE_STEPS", "Confinement", "address_space"]

_DESCRIPTORS: Final = 64
_ZYGOTE_DESCRIPTORS: Final = 1024  # one for each of its workers, and what travels with a message
# The kernel counts all processes and threads of the user here, ours and others': so this
# bounds what a fork bomb does to the machine, and is no limit of one function.
_PROCESSES: Final = 4096


class Confinement(NamedTuple):
    """What the steps need to know.

    Attributes:
        parent: the process that this one must not outlive.
        address_space: the most address space of one worker, in bytes.
        cpu_s: the most processor time of one worker, in seconds.
    """

    parent: int
    address_space: int
    cpu_s: int


def _die_with_parent(confinement: Confinement) -> None:
    kernel.die_with_parent(confinement.parent)


def _gain_nothing(_: Confinement) -> None:
    kernel.forbid_new_privileges()


def _stay_unreadable(_: Confinement) -> None:
    kernel.forbid_dumps()
    _limit(resource.RLIMIT_CORE, 0)


def _write_no_file(_: Confinement) -> None:
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)


def _hold_few_descriptors(_: Confinement) -> None:
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)


def _keep_descriptors_bounded(_: Confinement) -> None:
    _limit(resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS)


def _use_bounded_memory(confinement: Confinement) -> None:
    _limit(resource.RLIMIT_AS, confinement.address_space)


def _use_bounded_processor(confinement: Confinement) -> None:
    _limit(resource.RLIMIT_CPU, confinement.cpu_s)  # backs up the enclave's own clock


def _start_few_processes(_: Confinement) -> None:
    _limit(resource.RLIMIT_NPROC, _PROCESSES)


Step = Callable[[Confinement], None]

LEVEL: Final = IsolationLevel.PROCESS
"""The level that the steps below amount to."""

ZYGOTE_STEPS: Final[tuple[Step, ...]] = (
    _gain_nothing,
    _stay_unreadable,
    _write_no_file,
    _keep_descriptors_bounded,
)
"""Taken once, after the preloaded libraries and before the first worker; workers inherit them."""

WORKER_STEPS: Final[tuple[Step, ...]] = (
    _die_with_parent,
    _hold_few_descriptors,
    _start_few_processes,
    _use_bounded_processor,
    _use_bounded_memory,
)
"""Taken by each worker, before any code of the function."""


def address_space() -> int:
    """Return the bytes of address space that this process has now (proc_pid_statm(5))."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)  # a host may allow less than we do, and nobody can raise that
    resource.setrlimit(which, (most, most))
