"""A running sandbox for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.limits import PoolSize
from enclaved.sandbox.wasm_engine import WasmEngine
from sandbox_harness import WARM, Sandbox, Sign, open_sandbox


@pytest.fixture
def pool_size() -> PoolSize:
    """Two spares, four processes."""
    return PoolSize(spares=2, processes=4, waiting=8)


@pytest.fixture
async def sandbox(tmp_path: Path, pool_size: PoolSize) -> AsyncIterator[Sandbox]:
    """A sandbox for Python functions, of the best level that this machine gives, closed after the test."""
    async with open_sandbox(tmp_path, size=pool_size) as opened:
        yield opened


@pytest.fixture
async def loose_sandbox(tmp_path: Path, pool_size: PoolSize) -> AsyncIterator[Sandbox]:
    """A sandbox whose functions can do what they like, for what the enclave's side has to withstand by itself."""
    async with open_sandbox(tmp_path, size=pool_size, layers=frozenset({Layer.LIMITS})) as opened:
        yield opened


@pytest.fixture
async def wasm_sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox for WebAssembly functions, two warm processes each, that is closed after the test."""
    async with open_sandbox(tmp_path, size=WARM, engine=WasmEngine) as opened:
        yield opened


@pytest.fixture
def sign(tmp_path: Path) -> Iterator[Sign]:
    """A pipe in a function's folder, for the function to give a sign by."""
    opened = Sign(tmp_path / "probe" / "sign")
    yield opened
    opened.close()
