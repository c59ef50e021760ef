"""The steps by which a zygote and its workers give up what they must not have.

Each step belongs to a layer and raises when it fails: a process that is less
confined than its level says does not run. What the steps have achieved is tried
out in `proof.py` before the first input is taken.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Final, NamedTuple

from enclaved.sandbox import kernel, landlock, seccomp
from enclaved.sandbox.bpf import Program, assemble
from enclaved.sandbox.filters import worker_filter, zygote_filter
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.readable import DEVICES
from enclaved.sandbox.syscalls import this_machine

__all__ = ["DESCRIPTORS", "Confinement", "assemble_filters", "become", "confine_worker", "confine_zygote"]

DESCRIPTORS: Final = 64
"""How many descriptors a worker may have open."""

_ZYGOTE_DESCRIPTORS: Final = 1024  # one for each of its workers, and what travels with a message
# The kernel counts the processes and threads of a user. With a user of its own this bounds
# what one function has; without, it counts the host's too, and so must leave them room.
_THREADS_OF_ITS_OWN: Final = 512
_THREADS_OF_ALL: Final = 4096


class Confinement(NamedTuple):
    """What the steps need to know.

    Attributes:
        layers: which of them are taken.
        parent: the process that a worker must not outlive.
        address_space: the most address space of one worker, in bytes.
        cpu_s: the most processor time of one worker, in seconds.
        readable: the paths that exist for a worker.
        zygote_filter: the calls that the zygote and its workers may make.
        worker_filter: the calls that a worker may make.
    """

    layers: frozenset[Layer]
    parent: int
    address_space: int
    cpu_s: int
    readable: tuple[str, ...]
    zygote_filter: Program
    worker_filter: Program


def assemble_filters() -> tuple[Program, Program]:
    """Return the programs of a zygote and of a worker, for the machine that this process runs on."""
    machine = this_machine()
    return (
        assemble(zygote_filter(machine), architecture=machine.architecture),
        assemble(worker_filter(machine), architecture=machine.architecture),
    )


def become(user: int) -> None:
    """Become a user and group that nobody else is; capabilities go with the old one."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def confine_zygote(confinement: Confinement) -> None:
    """Lock a zygote down, once its libraries are loaded; its workers inherit it."""
    _take(_ZYGOTE_STEPS, confinement)


def confine_worker(confinement: Confinement) -> None:
    """Lock a worker down further, before any code of the function."""
    kernel.die_with_parent(confinement.parent)
    _take(_WORKER_STEPS, confinement)


def _gain_nothing(_: Confinement) -> None:
    kernel.forbid_new_privileges()
    kernel.drop_capabilities()


def _stay_unreadable(_: Confinement) -> None:
    kernel.forbid_dumps()
    _limit(resource.RLIMIT_CORE, 0)


def _write_no_file(_: Confinement) -> None:
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    _limit(resource.RLIMIT_MSGQUEUE, 0)
    _limit(resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS)  # bounded, and still one for each worker


def _read_only_its_own(confinement: Confinement) -> None:
    landlock.read_only(confinement.readable, devices=DEVICES)


def _fork_and_no_more(confinement: Confinement) -> None:
    seccomp.load(confinement.zygote_filter)


def _use_little(confinement: Confinement) -> None:
    _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
    has_own_user = Layer.OWN_USER in confinement.layers
    _limit(resource.RLIMIT_NPROC, _THREADS_OF_ITS_OWN if has_own_user else _THREADS_OF_ALL)
    _limit(resource.RLIMIT_CPU, confinement.cpu_s)  # backs up the enclave's own clock
    _limit(resource.RLIMIT_AS, confinement.address_space)


def _know_no_other(_: Confinement) -> None:
    landlock.forbid_others()


def _compute_and_no_more(confinement: Confinement) -> None:
    seccomp.load(confinement.worker_filter)


Steps = tuple[tuple[Layer, Callable[[Confinement], None]], ...]

# Seccomp comes last: it forbids what the other steps do.
_ZYGOTE_STEPS: Final[Steps] = (
    (Layer.PRIVILEGES, _gain_nothing),
    (Layer.UNREADABLE, _stay_unreadable),
    (Layer.LIMITS, _write_no_file),
    (Layer.LANDLOCK, _read_only_its_own),
    (Layer.SECCOMP, _fork_and_no_more),
)
_WORKER_STEPS: Final[Steps] = (
    (Layer.LIMITS, _use_little),
    (Layer.LANDLOCK, _know_no_other),
    (Layer.SECCOMP, _compute_and_no_more),
)


def _take(steps: Steps, confinement: Confinement) -> None:
    for layer, step in steps:
        if layer in confinement.layers:
            step(confinement)


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)  # a host may allow less than we do, and nobody can raise that
    resource.setrlimit(which, (most, most))
