"""An engine whose functions run in processes that a zygote forks.

Loading, running and limits are the work of `Pool` and `Invoker`; this is the table of
the functions that are started. What an engine runs, and in which kind of worker, is
its own file's to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from anyio.abc import TaskGroup

from enclaved.clock import Clock
from enclaved.errors import ConfigurationError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.engine import Function, FunctionUnknownError
from enclaved.sandbox.invocation import Invoker
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import LOAD_TIME_S, PoolSize
from enclaved.sandbox.outcome import Execution
from enclaved.sandbox.pool import Pool
from enclaved.sandbox.worker import Worker

__all__ = ["ProcessEngine"]


class ProcessEngine(ABC):
    """Runs functions in processes of their own.

    Args:
        launcher: starts the zygotes; its `listen` runs in a task of the caller's.
        tasks: the parent of the engine's own tasks.
        clock: measures how long functions run.
        size: how many processes each function may have.
        worker: what kind they are.
        grace_s: how much later than at its deadline a worker is killed that should have ended the invocation itself.
    """

    def __init__(
        self,
        *,
        launcher: LauncherLink,
        tasks: TaskGroup,
        clock: Clock,
        size: PoolSize,
        worker: type[Worker] = Worker,
        grace_s: float = 0.0,
    ) -> None:
        self._launcher = launcher
        self._tasks = tasks
        self._clock = clock
        self._size = size
        self._worker = worker
        self._grace_s = grace_s
        self._pools: dict[str, Pool] = {}
        self._invokers: dict[str, Invoker] = {}

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the engine's name, as manifests and receipts write it."""

    @property
    @abstractmethod
    def isolation(self) -> IsolationLevel:
        """Return the level that every zygote has to report before it is used."""

    @property
    def parallel(self) -> int:
        """Return how many invocations of one function it runs at once."""
        return self._size.processes

    async def start(self, function: Function) -> None:
        """Start a function's zygote and its first spares.

        Raises:
            ConfigurationError: the function cannot be run as it is described.
            SandboxError: its zygote does not start.
        """
        assignment = self._assign(function)
        if function.name in self._pools:
            raise ConfigurationError(
                f"function {function.name}", "it is started already", remedy="Stop it first, or name it otherwise."
            )
        pool = Pool(
            function.name,
            assignment.encode(),
            launcher=self._launcher,
            size=self._size,
            level=self.isolation,
            kind=self._worker,
        )
        self._pools[function.name] = pool
        try:
            await self._tasks.start(pool.keep, name=f"function {function.name}")
        except BaseException:
            del self._pools[function.name]
            raise
        self._invokers[function.name] = Invoker(
            function, assignment=assignment, pool=pool, clock=self._clock, grace_s=self._grace_s
        )

    async def check(self, name: str) -> None:
        """See whether a started function's code can be loaded, without giving it an input.

        Raises:
            ConfigurationError: it cannot; the error says why, in words of the function's own.
            FunctionUnknownError: no function of that name is started.
            SandboxError: no process was ready in time, or the sandbox failed.
        """
        invoker = self._invokers.get(name)
        if invoker is None:
            raise FunctionUnknownError(f"function {name} is not started")
        problem = await invoker.why_not_loaded(timeout_s=2 * LOAD_TIME_S)
        if problem is not None:
            raise ConfigurationError(f"function {name}", f"it cannot be loaded: {problem}", remedy="Mend its code.")

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

    async def aclose(self) -> None:
        """Stop every function."""
        for name in list(self._pools):
            await self.stop(name)

    @abstractmethod
    def _assign(self, function: Function) -> Assignment:
        """Check a function, and return what its processes are told about it.

        Raises:
            ConfigurationError: it cannot be run as it is described.
        """
