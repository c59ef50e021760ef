"""Running functions: which engine, under which name, and what a fault of the sandbox means.

Functions of two epochs can run side by side, so engines know each by its name and
digest. A function that is still in use keeps its processes when an epoch ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import anyio

from enclaved.clock import system_random
from enclaved.enclave.load import FunctionLoad
from enclaved.enclave.private_folder import make_folder, remove_folder
from enclaved.enclave.registry import RegisteredFunction, Registry
from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.engine import Engine, Function, FunctionUnknownError, OverloadedError
from enclaved.sandbox.limits import Limits, PoolSize
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.wire.bundle import FunctionEntry

__all__ = ["Dispatcher"]

_LANE_SLOTS = 64  # a backlog belongs in the broker; what is handed in takes memory here
_RESERVE_SLOTS = 16  # beyond those: so that what cannot start in time is still read, and refused early
_FAULT = b"the sandbox failed; whether the function ran is not known"


class Dispatcher:
    """The functions that are ready to run, over all epochs that still answer."""

    def __init__(self, engines: Mapping[str, Engine], *, pool: PoolSize, folder: Path) -> None:
        """Begin with no function.

        Args:
            engines: by name.
            pool: how many processes each function has.
            folder: private; functions are copied here as they were measured.
        """
        self._engines = engines
        self._pool = pool
        self._folder = folder
        self._started: dict[tuple[str, str], tuple[str, Path]] = {}
        self.loads: dict[tuple[str, str], FunctionLoad] = {}

    @property
    def slots(self) -> int:
        """How many invocations of one function the gateway may hand in at once.

        Never more than may run or wait: one that can start in time is not refused for want of room.
        """
        return min(_LANE_SLOTS + _RESERVE_SLOTS, self._pool.processes + self._pool.waiting)

    async def start(self, registry: Registry, *, must_load: bool = False) -> tuple[FunctionEntry, ...]:
        """Make the functions of an epoch ready.

        Args:
            registry: the functions; those that already run are left as they are.
            must_load: is one that is new, and whose code does not load, a reason to start none.

        Returns:
            How the bundle names them, with the isolation that their engine reaches.

        Raises:
            ConfigurationError: one names an engine that is not there, or cannot be run as described.
            SandboxError: a sandbox cannot be built.
        """
        begun: list[tuple[str, str]] = []
        try:
            for function in registry.functions.values():
                key = (function.manifest.name, function.digest)
                if key not in self._started:
                    await self._start(function, key)
                    begun.append(key)
                    if must_load:
                        await self._engine(function).check(_engine_name(*key))
        except BaseException:
            for key in begun:  # all or nothing: what runs now goes on undisturbed
                await self._stop(key)
            raise
        return tuple(
            function.entry(isolation=self._engine(function).isolation.value) for function in registry.functions.values()
        )

    def surplus(self, registries: Iterable[Registry]) -> list[tuple[str, str]]:
        """Return the functions that no epoch has any more and that nobody waits for: those can be stopped."""
        wanted = {(name, each.digest) for registry in registries for name, each in registry.functions.items()}
        return [key for key in self._started if key not in wanted and self.loads[key].is_idle]

    async def keep_only(self, registries: Iterable[Registry]) -> None:
        """Stop the functions that no epoch has any more, except those that still have something to do."""
        for key in self.surplus(registries):
            await self._stop(key)

    async def run(self, function: RegisteredFunction, payload: bytes, *, timeout_s: float) -> Execution:
        """Run one invocation.

        Args:
            function: what to run.
            payload: its input.
            timeout_s: how long it may wait for its start.

        Returns:
            How it ended. A fault of the sandbox is tried once more, since execution is at
            least once; a second one is the invocation's failure.

        Raises:
            OverloadedError: it could not be started in time.
            FunctionUnknownError: it was stopped, and so not started.
        """
        engine = self._engine(function)
        name = _engine_name(function.manifest.name, function.digest)
        start_by = anyio.current_time() + timeout_s
        try:
            return await engine.run(name, payload, timeout_s=timeout_s)
        except (OverloadedError, FunctionUnknownError):
            raise
        except SandboxError:
            with suppress(SandboxError):  # the first try may have run: not starting is no refusal any more
                return await engine.run(name, payload, timeout_s=start_by - anyio.current_time())
        return Execution(outcome=Outcome.FUNCTION_FAILED, output=_FAULT, duration_ms=0.0)

    async def aclose(self) -> None:
        """Stop everything."""
        for engine in self._engines.values():
            await engine.aclose()

    async def _start(self, function: RegisteredFunction, key: tuple[str, str]) -> None:
        manifest = function.manifest
        # Open to others: a sandbox may run it under another user.
        parent = make_folder(self._folder, manifest.name, mode=0o755, random=system_random)
        copy = parent / manifest.name
        function.snapshot.write_to(copy)
        engine = self._engine(function)
        await engine.start(
            Function(
                name=_engine_name(*key),
                folder=copy,
                entrypoint=manifest.entrypoint,
                preload=manifest.preload,
                limits=Limits(
                    time_ms=manifest.limits.time_ms,
                    memory_mib=manifest.limits.memory_mib,
                    input_bytes=manifest.limits.input_bytes,
                    output_bytes=manifest.limits.output_bytes,
                ),
            )
        )
        self._started[key] = manifest.engine, parent
        self.loads[key] = FunctionLoad(parallel=engine.parallel, waiting=self._pool.waiting)

    async def _stop(self, key: tuple[str, str]) -> None:
        engine, folder = self._started.pop(key)
        del self.loads[key]
        await self._engines[engine].stop(_engine_name(*key))
        remove_folder(folder)

    def _engine(self, function: RegisteredFunction) -> Engine:
        engine = self._engines.get(function.manifest.engine)
        if engine is None:
            raise ConfigurationError(
                f"{function.manifest.name}: engine",
                f"{function.manifest.engine} is not available here",
                remedy="Install enclaved[runtime].",
            )
        return engine


def _engine_name(name: str, digest: str) -> str:
    return f"{name}@{digest}"
