"""What a sandbox costs is measured over real invocations."""

from __future__ import annotations

from enclaved.bench.sandbox import measure
from enclaved.clock import SystemClock
from sandbox_harness import Sandbox


async def test_a_sandbox_is_measured(sandbox: Sandbox) -> None:
    """A cold start takes longer than an invocation that finds a spare; nothing is left started."""
    function = sandbox.write("def handle(payload): return payload")

    figures = await measure(sandbox.engine, function.folder, payload=bytes(1024), times=5, clock=SystemClock())

    assert 0 < figures.p50_ms <= figures.p99_ms
    assert figures.p50_ms < figures.cold_start_ms
    assert sandbox.zygotes() == []
