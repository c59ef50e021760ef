"""A WebAssembly function has the level of its world, as a Python function does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import follow, unavailable

pytestmark = [pytest.mark.timeout(170)]

MODULE = Path(__file__).parents[2] / "functions" / "word-count" / "word-count.wasm"


@pytest.mark.parametrize(("world", "level"), [("root", "full"), ("user", "full"), ("container", "restricted")])
def test_a_module_runs_at_the_level_of_its_world(world: str, level: str) -> None:
    """As root, as somebody else, and where there are no namespaces."""
    if reason := unavailable(world):
        pytest.skip(reason)

    (order,) = follow(world, [{"attacks": [], "module": MODULE.read_bytes().hex()}])["orders"]

    assert order["level"] == level, order["findings"]
    assert order["results"]["module"]["level"] == level
    assert json.loads(order["results"]["module"]["output"])["words"] == 3
