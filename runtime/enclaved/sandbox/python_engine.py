"""The python engine: each invocation in a process of its own, forked from a strict zygote.

Its isolation is `process`: see `isolation.py`.
"""

from __future__ import annotations

import math
import os
import re
from typing import Final

from enclaved.errors import ConfigurationError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.engine import Function
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.limits import LOAD_TIME_S
from enclaved.sandbox.process_engine import ProcessEngine

__all__ = ["PythonEngine"]

_LEVEL: Final = IsolationLevel.PROCESS
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
        """Return the level that every zygote has to report before it is used."""
        return _LEVEL

    def _assign(self, function: Function) -> Assignment:
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
