"""Runtimes as processes are slow to start: a module shares one, and so the loop that it was started in."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("hostile_scene")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, one loop for a module."""
    return "asyncio"
