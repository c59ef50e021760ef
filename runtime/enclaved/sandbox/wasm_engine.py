"""The wasm engine: WebAssembly modules in warm processes, a fresh instance for each invocation.

The module is checked and compiled by its zygote, before the lock-down, and never in
the process that holds the keys. A worker serves one invocation at a time and drops its
instance, memory and all, before it takes the next input.
"""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from typing import Final

from anyio.abc import TaskGroup

from enclaved.clock import Clock, RandomBytes, system_random
from enclaved.errors import ConfigurationError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.engine import Function
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import Layer, level_of
from enclaved.sandbox.limits import LOAD_TIME_S, PoolSize
from enclaved.sandbox.process_engine import ProcessEngine
from enclaved.sandbox.warm_worker import USES, WarmWorker

__all__ = ["WasmEngine"]

_GRACE_S: Final = 0.25  # a worker ends an invocation at its deadline itself, and then is still good
_MAX_MEMORY_MIB: Final = 4096  # what 32-bit addresses reach


class WasmEngine(ProcessEngine):
    """Runs WebAssembly functions; as many at once as there are processors.

    Args:
        launcher: starts the zygotes; its `listen` runs in a task of the caller's.
        tasks: the parent of the engine's own tasks.
        clock: measures how long functions run.
        size: how many processes each function may have.
        demanded: the least isolation level that will do.
        layers: for tests: exactly these layers below WebAssembly.
        random: makes user ids.

    Raises:
        ConfigurationError: the demanded level cannot be reached here.
    """

    def __init__(
        self,
        *,
        launcher: LauncherLink,
        tasks: TaskGroup,
        clock: Clock,
        size: PoolSize,
        demanded: IsolationLevel | None = None,
        layers: frozenset[Layer] | None = None,
        random: RandomBytes = system_random,
    ) -> None:
        processes = min(size.processes, max(size.spares, os.cpu_count() or 1))
        warm = PoolSize(spares=processes, processes=processes, waiting=size.waiting)
        super().__init__(
            launcher=launcher,
            tasks=tasks,
            clock=clock,
            size=warm,
            demanded=demanded,
            layers=layers,
            random=random,
            without=IsolationLevel.MEMORY_SAFE,
            worker=WarmWorker,
            grace_s=_GRACE_S,
        )

    @property
    def name(self) -> str:
        """Return the engine's name, as manifests and receipts write it."""
        return "wasm"

    @property
    def isolation(self) -> IsolationLevel:
        """Return the level of the sandbox below WebAssembly, where there is one.

        Without one, WebAssembly itself still keeps a function from everything but its own memory.
        """
        return level_of(self.layers or ()) or IsolationLevel.MEMORY_SAFE

    def _assign(self, function: Function, *, layers: frozenset[Layer], user: int) -> Assignment:
        limits = function.limits
        where = f"function {function.name}"
        if find_spec("wasmtime") is None:  # it is looked for, and imported only by zygotes
            raise ConfigurationError(
                f"{where}: engine", "wasmtime is not installed", remedy="pip install 'enclaved[runtime]'."
            )
        if limits.memory_mib > _MAX_MEMORY_MIB:
            raise ConfigurationError(
                f"{where}: limits.memory_mib",
                f"{limits.memory_mib} is more than a WebAssembly memory can have",
                remedy=f"Choose at most {_MAX_MEMORY_MIB}.",
            )
        if function.preload:
            raise ConfigurationError(
                f"{where}: preload", "WebAssembly loads no libraries", remedy="Remove it: a module brings its own."
            )
        return Assignment(
            engine=self.name,
            name=function.name,
            folder=str(function.folder.resolve()),
            entrypoint=function.entrypoint,
            preload=(),
            memory_bytes=limits.memory_mib * 1024 * 1024,
            cpu_s=math.ceil(USES * limits.time_ms / 1000 + LOAD_TIME_S),  # of a worker's whole life
            time_ms=limits.time_ms,
            output_bytes=limits.output_bytes,
            layers=layers,
            user=user,
        )
