"""How an invocation ended, judged from what its worker said and how it died."""

from __future__ import annotations

import signal

from enclaved.sandbox.answer import Answer, Status
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.control import Ending
from enclaved.sandbox.outcome import Outcome

__all__ = ["from_answer", "from_ending"]


def from_answer(answer: Answer) -> tuple[Outcome, bytes]:
    """Judge a whole answer; the worker is believed about its own failure only."""
    match answer.status:
        case Status.OK:
            return Outcome.OK, answer.body
        case Status.FAILED:
            return Outcome.FUNCTION_FAILED, answer.body
        case Status.MEMORY:
            return Outcome.MEMORY_LIMIT, answer.body or b"used more memory than it may"
        case Status.TIME:
            return Outcome.TIME_LIMIT, answer.body
        case Status.TOO_LARGE:
            return Outcome.OUTPUT_TOO_LARGE, answer.body


def from_ending(ending: Ending, assignment: Assignment) -> tuple[Outcome, bytes]:
    """Judge a worker that gave no answer by how it died.

    SIGKILL has three senders: the kernel when processor time is used up, the kernel
    when memory is, and the function itself. What the process had used tells them apart.
    """
    if not ending.signal:
        return Outcome.FUNCTION_FAILED, f"exited with status {ending.exit_status}".encode()
    if ending.signal == signal.SIGKILL:
        if ending.cpu_ms >= assignment.cpu_s * 1000:
            return Outcome.TIME_LIMIT, f"used {assignment.cpu_s} s of processor time".encode()
        if ending.peak_bytes >= assignment.memory_bytes // 2:
            return Outcome.MEMORY_LIMIT, b"killed by the kernel for the memory that it used"
    return Outcome.FUNCTION_FAILED, f"ended by {_signal_name(ending.signal)}".encode()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
