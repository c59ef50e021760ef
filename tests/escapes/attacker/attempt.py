"""What all attacks share: the targets, system calls by number, and how success is told."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


class HeldError(Exception):
    """The attack came to nothing, without an error of the kernel's."""


def call(number, *arguments):
    """Make a system call by its x86-64 number."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def first_that_works(attempt, things):
    """Return the first thing that an attempt succeeds with, and what it returned."""
    problems = []
    for thing in things:
        try:
            return thing, attempt(thing)
        except OSError as error:
            problems.append(str(error))
    raise HeldError("; ".join(sorted(set(problems))))


def other_processes(targets):
    """Return ids that may be of other processes: a bystander's, the enclave's, the parent's, and all small ones.

    The bystander comes first: where an attack succeeds, because layers are off, it is the one that is hit.
    """
    ids = dict.fromkeys((targets["victim"], targets["enclave"], os.getppid(), *range(1, 60)))
    return [pid for pid in ids if pid not in (0, os.getpid())]
