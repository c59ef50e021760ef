"""Which isolation levels this machine gives, found out by building them.

A kernel version or a setting promises; a zygote that has locked itself down and
proved it has kept the promise. So each level is tried, the best first, with the
very processes that functions will run in, until one is reached.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Final, Protocol

from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.control import MAX_MESSAGE, Kind, Message, send
from enclaved.sandbox.findings import Finding
from enclaved.sandbox.layers import LEVELS, Layer
from enclaved.sandbox.users import OWN_USERS, changes_users

__all__ = ["Spawn", "find_levels"]

_PATIENCE_S: Final = 20.0  # a cold disk under load; a level that takes longer is of no use
_ERROR_BYTES: Final = 1024
_FOLDER: Final = os.path.dirname(__file__)


class Spawn(Protocol):
    """Starts a zygote."""

    def __call__(self, assignment: Assignment, control: int, *, errors: int) -> int:
        """Start a zygote and return its process id."""
        ...


def find_levels(spawn: Spawn) -> tuple[Finding, ...]:
    """Try the levels, the best first, until one is reached."""
    findings: list[Finding] = []
    for level, layers in LEVELS.items():
        findings.append(Finding(level, _try(layers, spawn)))
        if not findings[-1].problem:
            break
    return tuple(findings)


def _try(layers: frozenset[Layer], spawn: Spawn) -> str:
    """Start a zygote with these layers and end it; return what was wrong, or nothing."""
    assignment = Assignment(
        engine="python",
        name="probe",
        folder=_FOLDER,
        entrypoint="",
        preload=(),
        memory_bytes=64 * 1024 * 1024,
        cpu_s=60,
        time_ms=1,
        output_bytes=0,
        layers=layers,
        user=OWN_USERS.start if changes_users() else 0,
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with ours, open(reading, "rb", buffering=0) as errors:
        try:
            with theirs:
                pid = spawn(assignment, theirs.fileno(), errors=writing)
        except (OSError, ValueError) as error:
            return str(error)
        finally:
            os.close(writing)
        try:
            problem = _hear(ours, assignment)
            return _last_words(errors.fileno()) if problem is None else problem
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _hear(control: socket.socket, assignment: Assignment) -> str | None:
    """Introduce a zygote to its work; return what it says is wrong, "" for nothing, None if it cannot tell."""
    try:
        send(control, Message(Kind.START, body=assignment.encode()))
        control.settimeout(_PATIENCE_S)
        packet = control.recv(MAX_MESSAGE)
    except TimeoutError:
        return f"it is not ready after {_PATIENCE_S:.0f} s"
    except OSError:
        return None
    if not packet:
        return None
    message = Message.decode(packet)
    return "" if message.kind is Kind.READY else message.body.decode(errors="replace")


def _last_words(errors: int) -> str:
    """Return the last line that a process has written before it died."""
    os.set_blocking(errors, False)
    try:
        lines = os.read(errors, _ERROR_BYTES).decode(errors="replace").splitlines()
    except BlockingIOError:
        lines = []
    return lines[-1] if lines else "its zygote died without a word"
