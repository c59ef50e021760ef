"""The launcher: the one process that may start others.

The enclave starts it before it makes any key, and then can start nothing itself.
So whatever a zygote inherits by accident comes from here, where there is neither a
key nor a plaintext. It dies with the enclave, and everything that it started with it.
"""

from __future__ import annotations

import os
from typing import Final

from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.control import Kind, Message, send
from enclaved.sandbox.interpreter import ENVIRONMENT, command
from enclaved.sandbox.keeper import Keeper, take_control_socket
from enclaved.sandbox.kernel import die_with_parent, forbid_dumps

__all__ = ["main"]

_PROGRAMS: Final = {"python": "enclaved.sandbox.zygote", "wasm": "enclaved.sandbox.wasm_zygote"}
"""What is started for each engine."""


def main(parent: int) -> None:
    """Start and bury zygotes until the enclave closes the control socket.

    Args:
        parent: the enclave's process id.
    """
    die_with_parent(parent)
    forbid_dumps()
    control = take_control_socket()
    send(control, Message(Kind.READY))
    Keeper(control, start=_start).run()


def _start(body: bytes, descriptors: list[int]) -> int:
    """Start a zygote; its one descriptor is its control socket, passed as stdin."""
    assignment = Assignment.decode(body)
    program = _PROGRAMS.get(assignment.engine)
    if program is None:
        raise ValueError(f"there is no engine {assignment.engine!r}")
    (control,) = descriptors
    arguments = command(program, parent=os.getpid())
    # Everything else that is open here closes on exec; 1 and 2 are /dev/null already.
    return os.posix_spawn(arguments[0], arguments, ENVIRONMENT, file_actions=[(os.POSIX_SPAWN_DUP2, control, 0)])
