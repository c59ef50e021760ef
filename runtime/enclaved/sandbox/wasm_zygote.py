"""The zygote of a WebAssembly function: compiles its module, locks down, and forks warm workers.

Compiling writes code and then makes it executable, which nothing may do after the
lock-down; so it happens once, here, and every worker inherits the result.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from enclaved.sandbox.address_space import writable_space
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.callbacks import seal_callbacks
from enclaved.sandbox.wasm_module import Program
from enclaved.sandbox.wasm_runner import serve
from enclaved.sandbox.zygote import Serve, keep_workers

__all__ = ["main"]

_SLACK_BYTES: Final = 32 << 20  # what a worker's interpreter needs beside the module's memory


def main(parent: int) -> None:
    """Fork workers that run one WebAssembly function, until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
    """
    keep_workers(parent, prepare=_compile)
    os._exit(0)  # an interpreter that ends in order would free callbacks, which are sealed


def _compile(assignment: Assignment) -> Serve:
    """Check and compile the module; return how a worker runs it."""
    code = Path(assignment.folder, assignment.entrypoint).read_bytes()
    program = Program(code, where=assignment.entrypoint, memory_bytes=assignment.memory_bytes)
    seal_callbacks()
    _bound_data(assignment.memory_bytes)
    return lambda channel: serve(channel, program, assignment)


def _bound_data(memory_bytes: int) -> None:
    """Bound the memory that can be written (getrlimit(2), RLIMIT_DATA).

    The module's whole address range is reserved, so a bound on address space alone
    would say nothing about how much of it becomes memory.
    """
    most = writable_space() + memory_bytes + _SLACK_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
