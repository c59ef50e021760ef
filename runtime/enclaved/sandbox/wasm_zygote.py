"""The zygote of a WebAssembly function: compiles its module, locks down, and forks warm workers.

Compiling writes code and then makes it executable, which nothing may do after the
lock-down; so it happens once, here, and every worker inherits the result.
"""

from __future__ import annotations

import mmap
import resource
from pathlib import Path
from typing import Final

from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.isolation import wasm_level
from enclaved.sandbox.lockdown import LEVEL
from enclaved.sandbox.wasm_module import Program
from enclaved.sandbox.wasm_runner import serve
from enclaved.sandbox.zygote import Serve, keep_workers

__all__ = ["main"]

_MOST: Final = 1 << 47  # more than a process can map
_SLACK_BYTES: Final = 32 << 20  # what a worker's interpreter needs beside the module's memory


def main(parent: int) -> None:
    """Fork workers that run one WebAssembly function, until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
    """
    keep_workers(parent, prepare=_compile, level=wasm_level(LEVEL))


def _compile(assignment: Assignment) -> Serve:
    """Check and compile the module; return how a worker runs it."""
    code = Path(assignment.folder, assignment.entrypoint).read_bytes()
    program = Program(code, where=assignment.entrypoint, memory_bytes=assignment.memory_bytes)
    _bound_data(assignment.memory_bytes)
    return lambda channel: serve(channel, program, assignment)


def _bound_data(memory_bytes: int) -> None:
    """Bound the memory that can be written (getrlimit(2), RLIMIT_DATA).

    The module's whole address range is reserved, so a bound on address space alone
    would say nothing about how much of it becomes memory.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _data(hard) + memory_bytes + _SLACK_BYTES
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _data(hard: int) -> int:
    """Return how much memory that can be written this process has, found out by trying: a sandbox has no /proc."""
    low, high = 0, _MOST if hard == resource.RLIM_INFINITY else hard
    while high - low > mmap.PAGESIZE:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_DATA, (middle, hard))
        try:
            mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
            high = middle
        except (OSError, MemoryError):
            low = middle
    return high
