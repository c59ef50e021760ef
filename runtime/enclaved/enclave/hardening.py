"""What the process that holds the keys gives up before it makes one.

No core file and no debugger of the same user may read its memory; what it creates
is its own user's alone; it ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from enclaved.errors import SandboxError

__all__ = ["harden"]

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def harden(*, parent: int | None) -> None:
    """Give up what keys must not be exposed to.

    Args:
        parent: the process whose end ends this one; None for one that stands alone.

    Raises:
        SandboxError: the kernel refused.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if parent is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before the kernel was told
            raise SandboxError("the process that started the enclave is gone")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise SandboxError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")
