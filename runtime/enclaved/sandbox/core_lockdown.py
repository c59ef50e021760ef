"""What the enclave's core gives up before it makes a key.

From here on it can start threads, read and write files, and speak to Unix and vsock
sockets. It cannot start a process or become another program, reach a network, trace
or read a process, or make memory executable: whoever takes it over through a bug has
no more than that. Whether it could be read itself was settled before, when it gave up
being dumpable (see `enclaved.enclave.hardening`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from enclaved.errors import SandboxError
from enclaved.sandbox import kernel, seccomp
from enclaved.sandbox.bpf import assemble
from enclaved.sandbox.filters import core_filter
from enclaved.sandbox.syscalls import this_machine

__all__ = ["lock_down_core"]

_NOWHERE = "/enclaved/does-not-exist"


def lock_down_core(*, launcher: int) -> None:
    """Give up, in all threads and for good, what a process with keys does not need; prove it by trying.

    Args:
        launcher: the only other process that may still be sent a signal.

    Raises:
        SandboxError: the kernel refuses, or something can still be done.
    """
    machine = this_machine()
    program = assemble(core_filter(machine, may_kill=[launcher]), architecture=machine.architecture)
    try:
        kernel.forbid_new_privileges()
        seccomp.load(program)
    except OSError as error:
        raise SandboxError(f"the enclave's core cannot be locked down: {error}") from error
    _require_refusal("fork", _fork)
    _require_refusal("execute a program", lambda: os.execv(_NOWHERE, [_NOWHERE]))  # noqa: S606 - it is to fail
    _require_refusal("reach a network", lambda: socket.socket(socket.AF_INET).close())
    _require_refusal("make files in memory", lambda: os.close(os.memfd_create("")))


def _fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _require_refusal(what: str, attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except PermissionError:
        return
    except OSError as error:
        raise SandboxError(f"the enclave's core can still try to {what}: {error}") from error
    raise SandboxError(f"the enclave's core can still {what}")
