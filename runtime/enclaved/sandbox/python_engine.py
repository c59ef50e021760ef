"""The python engine: functions in processes forked from strict zygotes.

Loading, running and limits are the work of `Pool` and `Invoker`; this is the table
of the functions that are started, all of them behind the same layers: those of the
best level that the launcher could build here.
"""

from __future__ import annotations

import math
import os
import re
from typing import Final

from anyio.abc import TaskGroup

from enclaved.clock import Clock, RandomBytes, system_random
from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.demand import choose_level, explain, remedy
from enclaved.sandbox.engine import Function, FunctionUnknownError
from enclaved.sandbox.invocation import Invoker
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import LEVELS, Layer, level_of
from enclaved.sandbox.limits import LOAD_TIME_S, PoolSize
from enclaved.sandbox.outcome import Execution
from enclaved.sandbox.pool import Pool
from enclaved.sandbox.users import changes_users, new_user

__all__ = ["PythonEngine"]

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_ENTRYPOINT: Final = re.compile(rf"{_MODULE.pattern}:[A-Za-z_]\w*", re.ASCII)


class PythonEngine:
    """Runs Python functions, one process for each invocation.

    Args:
        launcher: starts the zygotes; its `listen` runs in a task of the caller's.
        tasks: the parent of the engine's own tasks.
        clock: measures how long functions run.
        size: how many processes each function may have.
        demanded: the least isolation level that will do.
        layers: for tests: exactly these layers, whatever they amount to. An engine with
            less than a level's layers has no level, so no bundle can name its functions.
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
        if layers is None:
            level = choose_level(launcher.findings, demanded=demanded)
            layers = LEVELS[level] if level is not None else None
        self._layers = layers
        self._random = random
        self._users: dict[str, int] = {}
        self._launcher = launcher
        self._tasks = tasks
        self._clock = clock
        self._size = size
        self._pools: dict[str, Pool] = {}
        self._invokers: dict[str, Invoker] = {}

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
        level = level_of(self._layers or ())
        if level is None:
            raise SandboxError("its layers amount to no isolation level")
        return level

    async def start(self, function: Function) -> None:
        """Start a function's zygote and its first spares.

        Raises:
            ConfigurationError: the function cannot be run as it is described.
            SandboxError: its zygote does not start.
        """
        _check(function)
        if function.name in self._pools:
            raise ConfigurationError(
                f"function {function.name}", "it is started already", remedy="Stop it first, or name it otherwise."
            )
        if self._layers is None:
            raise ConfigurationError(
                f"function {function.name}",
                f"no Python function runs without a sandbox: {explain(self._launcher.findings)}",
                remedy=remedy(IsolationLevel.RESTRICTED),
            )
        assignment = self._assign(function, self._layers)
        pool = Pool(
            function.name, assignment.encode(), launcher=self._launcher, size=self._size, layers=assignment.layers
        )
        self._pools[function.name] = pool
        self._users[function.name] = assignment.user
        try:
            await self._tasks.start(pool.keep, name=f"function {function.name}")
        except BaseException:
            del self._pools[function.name], self._users[function.name]
            raise
        self._invokers[function.name] = Invoker(function, assignment=assignment, pool=pool, clock=self._clock)

    async def run(self, name: str, payload: bytes, *, timeout_s: float) -> Execution:
        """Run one invocation to its end.

        Args:
            name: the function's name.
            payload: the input.
            timeout_s: how long it may wait for its start; then only its own time limit counts.

        Raises:
            FunctionUnknownError: no function of that name is started.
            OverloadedError: no process was free in time.
            ProtocolError: the payload is larger than the function takes.
            SandboxError: the sandbox failed; whether the function ran is not known.
        """
        invoker = self._invokers.get(name)
        if invoker is None:
            raise FunctionUnknownError(f"function {name} is not started")
        return await invoker.invoke(payload, timeout_s=timeout_s)

    async def stop(self, name: str) -> None:
        """Stop a function and wait until no process of it is left.

        Raises:
            FunctionUnknownError: no function of that name is started.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise FunctionUnknownError(f"function {name} is not started")
        self._invokers.pop(name, None)
        await pool.stop()
        self._pools.pop(name, None)
        self._users.pop(name, None)

    async def aclose(self) -> None:
        """Stop every function."""
        for name in list(self._pools):
            await self.stop(name)

    def _assign(self, function: Function, layers: frozenset[Layer]) -> Assignment:
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
            layers=layers,
            user=new_user(self._users.values(), random=self._random) if changes_users() else 0,
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
