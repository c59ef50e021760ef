"""Callbacks from C into Python that a library has made, put where nobody can change them.

ctypes builds each as a few bytes of code, in pages that it leaves writable and
executable (libffi, closures). After the lock-down no such page can be made, and so
none may be left over from before it.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
from typing import Any, Final

from enclaved.sandbox import kernel

__all__ = ["seal_callbacks"]

_FUNCTION_POINTER: Final = ctypes.CFUNCTYPE(None).__mro__[1]
_READ_AND_EXECUTE: Final = mmap.PROT_READ | mmap.PROT_EXEC


def seal_callbacks() -> None:
    """Make the code of every callback unwritable; from here on none can be made, and none freed.

    A pointer to a function of a library points to code that is as it should be already.

    Raises:
        OSError: the kernel refuses.
    """
    pointers: list[Any] = [each for each in gc.get_objects() if isinstance(each, _FUNCTION_POINTER)]
    addresses = [ctypes.cast(each, ctypes.c_void_p).value for each in pointers]
    for page in {address // mmap.PAGESIZE * mmap.PAGESIZE for address in addresses if address}:
        kernel.call("mprotect", page, mmap.PAGESIZE, _READ_AND_EXECUTE)
