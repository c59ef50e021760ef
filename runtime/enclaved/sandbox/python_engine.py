"""The python engine: each invocation in a process of its own, forked from a strict zygote.

Its layers are those of the best level that the launcher could build here; below
`restricted` no Python function runs.
"""

from __future__ import annotations

import math
import os
import re
from typing import Final

from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.engine import Function
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.layers import Layer, level_of
from enclaved.sandbox.limits import LOAD_TIME_S
from enclaved.sandbox.process_engine import ProcessEngine

__all__ = ["PythonEngine"]

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_ENTRYPOINT: Final = re.compile(rf"{_MODULE.pattern}:[A-Za-z_]\w*", re.ASCII)


class PythonEngine(ProcessEngine):
    """Runs Python functions, one process for each invocation."""

    @property
    def name(self) -> str:
        """Return the engine's name, as manifests and receipts write it."""
        return "python"

    @property
    def isolation(self) -> IsolationLevel:
        """Return the level that every zygote has to prove before it is used.

        Raises:
            SandboxError: none is reached, so nothing runs.
        """
        level = level_of(self.layers or ())
        if level is None:
            raise SandboxError("its layers amount to no isolation level")
        return level

    def _assign(self, function: Function, *, layers: frozenset[Layer], user: int) -> Assignment:
        _check(function)
        limits = function.limits
        busy_s = limits.time_ms / 1000 + LOAD_TIME_S
        return Assignment(
            engine=self.name,
            name=function.name,
            folder=str(function.folder.resolve()),
            entrypoint=function.entrypoint,
            preload=function.preload,
            memory_bytes=limits.memory_mib * 1024 * 1024,
            cpu_s=math.ceil(busy_s) * (os.cpu_count() or 1),
            time_ms=limits.time_ms,
            output_bytes=limits.output_bytes,
            layers=layers,
            user=user,
        )


def _check(function: Function) -> None:
    where = f"function {function.name}"
    if not _ENTRYPOINT.fullmatch(function.entrypoint):
        raise ConfigurationError(
            f"{where}: entrypoint",
            f"{function.entrypoint!r} is none",
            remedy="Write module:callable, as handler:handle.",
        )
    for library in function.preload:
        if not _MODULE.fullmatch(library):
            raise ConfigurationError(
                f"{where}: preload", f"{library!r} is no import name", remedy="Write it as after the word import."
            )
    if not function.folder.is_dir():
        raise ConfigurationError(f"{where}: folder", f"{function.folder} is none", remedy="Name its folder.")
