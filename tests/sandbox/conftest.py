"""A running sandbox for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from enclaved.clock import SystemClock
from enclaved.sandbox.engines import open_engine
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import PoolSize
from sandbox_harness import Sandbox, Sign


@pytest.fixture
def pool_size() -> PoolSize:
    """Two spares, four processes."""
    return PoolSize(spares=2, processes=4, waiting=8)


@pytest.fixture
async def sandbox(tmp_path: Path, pool_size: PoolSize) -> AsyncIterator[Sandbox]:
    """A sandbox for Python functions that is closed after the test."""
    async with _sandbox("python", tmp_path, pool_size) as opened:
        yield opened


@pytest.fixture
async def wasm_sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox for WebAssembly functions, two warm processes each, that is closed after the test."""
    async with _sandbox("wasm", tmp_path, PoolSize(spares=2, processes=2, waiting=256)) as opened:
        yield opened


@asynccontextmanager
async def _sandbox(engine_name: str, folder: Path, size: PoolSize) -> AsyncIterator[Sandbox]:
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(launcher.listen)
        engine = open_engine(engine_name, launcher=launcher, tasks=tasks, clock=SystemClock(), size=size)
        yield Sandbox(engine=engine, launcher=launcher, folder=folder)
        await engine.aclose()
        await launcher.aclose()


@pytest.fixture
def sign(tmp_path: Path) -> Iterator[Sign]:
    """A pipe for a function to give a sign on."""
    opened = Sign(tmp_path / "sign")
    yield opened
    opened.close()
