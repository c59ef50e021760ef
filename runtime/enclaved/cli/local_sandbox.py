"""One function in its sandbox on this machine, as the enclave would run it; no broker, no key, no seal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from enclaved.clock import SystemClock, system_random
from enclaved.enclave.dispatcher import Dispatcher
from enclaved.enclave.private_folder import private_folder
from enclaved.enclave.registry import RegisteredFunction, Registry
from enclaved.sandbox.engines import open_engine
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import LOAD_TIME_S, PoolSize
from enclaved.sandbox.outcome import Execution

__all__ = ["LocalSandbox", "local_sandbox"]

_CLOSE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSandbox:
    """A function that is ready to run.

    Attributes:
        function: the function.
        dispatcher: runs it.
        isolation: the level that its sandbox has here.
    """

    function: RegisteredFunction
    dispatcher: Dispatcher
    isolation: IsolationLevel

    async def run(self, payload: bytes) -> Execution:
        """Run it once.

        Raises:
            ProtocolError: the input is longer than the function takes.
            SandboxError: no process was ready in time.
        """
        return await self.dispatcher.run(self.function, payload, timeout_s=2 * LOAD_TIME_S)


@asynccontextmanager
async def local_sandbox(function: RegisteredFunction) -> AsyncIterator[LocalSandbox]:
    """Start a function, and stop it at the end.

    Args:
        function: as it was loaded from its folder.

    Yields:
        The function, ready to run.

    Raises:
        ConfigurationError: it cannot be run as it is written.
        SandboxError: its sandbox cannot be built.
    """
    size = PoolSize(spares=1, processes=1, waiting=1)
    name = function.manifest.engine
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen, name="launcher")
        try:
            engine = open_engine(name, launcher=launcher, tasks=tasks, clock=SystemClock(), size=size)
            with private_folder(random=system_random) as folder:
                dispatcher = Dispatcher({name: engine}, pool=size, folder=folder)
                (entry,) = await dispatcher.start(Registry.of([function]))
                level = IsolationLevel(entry.isolation)
                yield LocalSandbox(function=function, dispatcher=dispatcher, isolation=level)
                await dispatcher.aclose()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                await launcher.aclose()
            tasks.cancel_scope.cancel()
