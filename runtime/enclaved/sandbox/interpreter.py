"""How a fresh interpreter of ours is started: its arguments and its environment.

Isolated mode ignores every ``PYTHON…`` variable, the current folder and the
user's own packages: nothing but this installation decides what is imported.
"""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["ENVIRONMENT", "command"]

ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MALLOC_ARENA_MAX": "1",  # each further one reserves 64 MiB of the address space that a function is allowed
    "OMP_NUM_THREADS": "1",  # a zygote with threads of its own cannot be forked safely
}
"""The whole environment that a launcher, a zygote and a function see."""

_PACKAGES: Final = __file__.removesuffix("/enclaved/sandbox/interpreter.py")

# After the standard library, before site-packages: a checkout wins over an installed
# copy, and nothing in site-packages can shadow the standard library.
_START: Final = (
    "import sys; sys.path.insert(3, sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main(int(sys.argv[3]))"
)


def command(module: str, *, parent: int) -> list[str]:
    """Return the arguments that start `module`'s ``main`` in an interpreter of its own.

    Args:
        module: the module's full name.
        parent: the process that the new one must not outlive.
    """
    # -B: no compilation is written. -u: what Python or C printed before a crash has left the process.
    return [sys.executable, "-I", "-B", "-u", "-X", "utf8", "-c", _START, _PACKAGES, module, str(parent)]
