"""The launcher: the one process that may start others.

The enclave starts it before it makes any key, and then can start nothing itself.
So whatever a zygote inherits by accident comes from here, where there is neither a
key nor a plaintext. It dies with the enclave, and everything that it started with it.
"""

from __future__ import annotations

import os
from typing import Final

from enclaved.errors import SandboxError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.control import Kind, Message, send
from enclaved.sandbox.findings import encode_findings
from enclaved.sandbox.interpreter import ENVIRONMENT, command
from enclaved.sandbox.keeper import Keeper, take_control_socket
from enclaved.sandbox.kernel import adopt_orphans, die_with_parent, forbid_dumps, kill_strays
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.namespaces import PID_OUTSIDE, enter
from enclaved.sandbox.probe import find_levels
from enclaved.sandbox.readable import installation

__all__ = ["main"]

_PROGRAMS: Final = {"python": "enclaved.sandbox.zygote", "wasm": "enclaved.sandbox.wasm_zygote"}
"""What is started for each engine."""


def main(parent: int) -> None:
    """Find out what this machine can give, then start and bury zygotes until the enclave closes the control socket.

    Args:
        parent: the enclave's process id.
    """
    die_with_parent(parent)
    forbid_dumps()
    adopt_orphans()
    control = take_control_socket()
    findings = find_levels(_spawn)
    kill_strays(())
    send(control, Message(Kind.READY, body=encode_findings(findings)))
    Keeper(control, start=_start, kill_strays=kill_strays).run()


def _start(body: bytes, descriptors: list[int]) -> int:
    """Start a zygote; its one descriptor is its control socket."""
    (control,) = descriptors
    return _spawn(Assignment.decode(body), control, errors=2)


def _spawn(assignment: Assignment, control: int, *, errors: int) -> int:
    """Start a zygote with its control socket as stdin and its errors going to a descriptor."""
    program = _PROGRAMS.get(assignment.engine)
    if program is None:
        raise ValueError(f"there is no engine {assignment.engine!r}")
    try:
        arguments = _arguments(program, assignment)
    except SandboxError as error:
        raise ValueError(str(error)) from error
    # Everything else that is open here closes on exec; 1 is /dev/null already.
    actions = [(os.POSIX_SPAWN_DUP2, control, 0), (os.POSIX_SPAWN_DUP2, errors, 2)]
    return os.posix_spawn(arguments[0], arguments, ENVIRONMENT, file_actions=actions)


def _arguments(program: str, assignment: Assignment) -> list[str]:
    if Layer.NAMESPACES not in assignment.layers:
        return command(program, parent=os.getpid())
    return enter(
        command(program, parent=PID_OUTSIDE), folder=assignment.folder, readable=installation(), user=assignment.user
    )
