"""Ending with the parent process: a supervisor that is killed leaves no gateway behind (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from enclaved.errors import ConfigurationError

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1
_INIT = 1


def die_with_parent(parent: int | None = None) -> bool:
    """Have the kernel send SIGTERM to this process when its parent dies.

    Args:
        parent: the parent's process id, where it told us; then even a parent that died
            before this call is noticed.

    Returns:
        Whether the parent still lives. The signal cannot come from a parent that died
        before it was asked for, so the caller ends by itself when not.

    Raises:
        ConfigurationError: this system cannot do that.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigurationError("die-with-parent", "needs Linux", remedy="Leave the option out")
    expected = os.getppid() if parent is None else parent
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise ConfigurationError("die-with-parent", f"is refused: {reason}", remedy="Leave the option out")
    now = os.getppid()
    return now == expected and (parent is not None or now != _INIT)
