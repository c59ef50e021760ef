"""The table of all engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from anyio.abc import TaskGroup

from enclaved.clock import Clock
from enclaved.errors import ConfigurationError
from enclaved.sandbox.engine import Engine
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import PoolSize
from enclaved.sandbox.python_engine import PythonEngine
from enclaved.sandbox.wasm_engine import WasmEngine

__all__ = ["ENGINES", "EngineFactory", "open_engine"]


class EngineFactory(Protocol):
    """Makes an engine."""

    def __call__(
        self,
        *,
        launcher: LauncherLink,
        tasks: TaskGroup,
        clock: Clock,
        size: PoolSize,
        demanded: IsolationLevel | None = None,
    ) -> Engine:
        """Make an engine; its functions' processes come from `launcher`, its tasks belong to `tasks`."""
        ...


ENGINES: Final[Mapping[str, EngineFactory]] = {"python": PythonEngine, "wasm": WasmEngine}
"""Every engine by the name that manifests use."""


def open_engine(
    name: str,
    *,
    launcher: LauncherLink,
    tasks: TaskGroup,
    clock: Clock,
    size: PoolSize | None = None,
    demanded: IsolationLevel | None = None,
) -> Engine:
    """Make the engine of that name, once the launcher listens; close it before `tasks` end.

    Args:
        name: the engine's name, as a manifest writes it.
        launcher: starts the functions' processes.
        tasks: the parent of the engine's tasks.
        clock: measures how long functions run.
        size: how many processes each function may have.
        demanded: the least isolation level that will do; without one, the best that can be had.

    Raises:
        ConfigurationError: there is no engine of that name, or it does not reach the level.
    """
    factory = ENGINES.get(name)
    if factory is None:
        raise ConfigurationError("engine", f"there is none named {name!r}", remedy=f"Use {' or '.join(ENGINES)}.")
    return factory(launcher=launcher, tasks=tasks, clock=clock, size=size or PoolSize(), demanded=demanded)
