"""What a function can read besides its own folder: an interpreter and its libraries.

At level `full` nothing else exists for it; at every level Landlock allows nothing
else. All of it is part of the installation, and none of it is anyone's data.
"""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["DEVICES", "installation"]

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom")

_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_ZONES: Final = "/usr/share/zoneinfo"
_PACKAGE: Final = __file__.removesuffix("/sandbox/readable.py")


def installation() -> tuple[str, ...]:
    """Return the absolute paths of the interpreter, its packages and its libraries."""
    interpreter = (sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix))
    ours = (f"{_PACKAGE}/__init__.py", f"{_PACKAGE}/clock.py", f"{_PACKAGE}/errors.py", f"{_PACKAGE}/sandbox")
    return tuple(dict.fromkeys((*interpreter, *_LIBRARIES, _ZONES, *ours)))
