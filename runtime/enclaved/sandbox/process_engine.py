"""An engine whose functions run in processes that a zygote forks.

Loading, running and limits are the work of `Pool` and `Invoker`; this is the table of
the functions that are started, all of them behind the same layers: those of the best
level that the launcher could build here. What an engine runs, in which kind of worker,
and whether it does so where no level is reached, is its own file's to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from anyio.abc import TaskGroup

from enclaved.clock import Clock, RandomBytes, system_random
from enclaved.errors import ConfigurationError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.demand import choose_level, explain, remedy
from enclaved.sandbox.engine import Function, FunctionUnknownError
from enclaved.sandbox.invocation import Invoker
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import BELOW_WASM, LEVELS, Layer
from enclaved.sandbox.limits import LOAD_TIME_S, PoolSize
from enclaved.sandbox.outcome import Execution
from enclaved.sandbox.pool import Pool
from enclaved.sandbox.users import changes_users, new_user
from enclaved.sandbox.worker import Worker

__all__ = ["ProcessEngine"]


class ProcessEngine(ABC):
    """Runs functions in processes of their own.

    Args:
        launcher: starts the zygotes; its `listen` runs in a task of the caller's.
        tasks: the parent of the engine's own tasks.
        clock: measures how long functions run.
        size: how many processes each function may have.
        demanded: the least isolation level that will do.
        layers: for tests: exactly these layers, whatever they amount to. An engine with
            less than a level's layers has no level of a sandbox, and names none.
        random: makes user ids.
        without: the level of its functions where no sandbox can be built; None if none runs there.
        worker: what kind of process they are.
        grace_s: how much later than at its deadline a worker is killed that should have ended the invocation itself.

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
        without: IsolationLevel | None = None,
        worker: type[Worker] = Worker,
        grace_s: float = 0.0,
    ) -> None:
        if layers is None:
            level = choose_level(launcher.findings, demanded=demanded, without=without)
            layers = LEVELS.get(level, BELOW_WASM) if level is not None else None
        self._layers = layers
        self._random = random
        self._users: dict[str, int] = {}
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
        """Return the level whose layers every zygote has to prove before it is used.

        Raises:
            SandboxError: none is reached, so nothing runs.
        """

    @property
    def layers(self) -> frozenset[Layer] | None:
        """Return the layers around its functions, or None where it may run none."""
        return self._layers

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
        if function.name in self._pools:
            raise ConfigurationError(
                f"function {function.name}", "it is started already", remedy="Stop it first, or name it otherwise."
            )
        if self._layers is None:
            raise ConfigurationError(
                f"function {function.name}",
                f"no {self.name} function runs without a sandbox: {explain(self._launcher.findings)}",
                remedy=remedy(IsolationLevel.RESTRICTED),
            )
        user = new_user(self._users.values(), random=self._random) if changes_users() else 0
        assignment = self._assign(function, layers=self._layers, user=user)
        pool = Pool(
            function.name,
            assignment.encode(),
            launcher=self._launcher,
            size=self._size,
            layers=assignment.layers,
            kind=self._worker,
        )
        self._pools[function.name] = pool
        self._users[function.name] = user
        try:
            await self._tasks.start(pool.keep, name=f"function {function.name}")
        except BaseException:
            del self._pools[function.name], self._users[function.name]
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
        self._users.pop(name, None)

    async def aclose(self) -> None:
        """Stop every function."""
        for name in list(self._pools):
            await self.stop(name)

    @abstractmethod
    def _assign(self, function: Function, *, layers: frozenset[Layer], user: int) -> Assignment:
        """Check a function, and return what its processes are told about it.

        Args:
            function: the function.
            layers: what keeps its processes in.
            user: the user that they become, or 0.

        Raises:
            ConfigurationError: it cannot be run as it is described.
        """
