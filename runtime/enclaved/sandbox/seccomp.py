"""Loading a filter of system calls into the kernel (seccomp(2)).

A loaded filter cannot be taken off, and every process and thread that starts later
has it too.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

from enclaved.sandbox import kernel
from enclaved.sandbox.bpf import Program

__all__ = ["load"]

_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC
_INSTRUCTION_BYTES: Final = 8


_PROGRAM: Final = struct.Struct("@HP")  # struct sock_fprog: how many instructions, and where


def load(program: Program) -> None:
    """Load a filter into all threads of this process; it must have given up new privileges.

    Raises:
        OSError: the kernel refuses.
    """
    code = ctypes.create_string_buffer(program.for_process(os.getpid()))
    argument = _PROGRAM.pack(len(program.code) // _INSTRUCTION_BYTES, ctypes.addressof(code))
    thread = kernel.call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, argument)
    if thread:
        raise OSError(f"seccomp: thread {thread} has a filter of its own")
