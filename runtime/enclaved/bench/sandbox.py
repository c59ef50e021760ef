"""What a sandbox costs: a zygote's cold start, and an invocation that finds a spare waiting.

Times depend on the machine and on what else it does, so compare layers within one
run: `measure` is called for one set after the other, over and over, by whoever shows
the figures.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from enclaved.clock import Clock
from enclaved.sandbox.engine import Engine, Function
from enclaved.sandbox.limits import Limits

__all__ = ["SandboxFigures", "measure"]

_NAME: Final = "measured"
_PATIENCE_S: Final = 30.0
_REFILL_S: Final = 0.02  # long enough for the next spare: what is measured is not the wait for one


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFigures:
    """What one engine's sandbox costs, in milliseconds.

    Attributes:
        cold_start_ms: from asking for a zygote until it has proved its layers.
        p50_ms: half of the invocations took at most this long.
        p99_ms: of a hundred, all but one.
    """

    cold_start_ms: float
    p50_ms: float
    p99_ms: float


async def measure(engine: Engine, folder: Path, *, payload: bytes, times: int, clock: Clock) -> SandboxFigures:
    """Start a function, invoke it again and again with a spare waiting, and stop it.

    Args:
        engine: what runs it.
        folder: the function's folder, with ``handler.py`` and its ``handle``.
        payload: its input.
        times: how many invocations are measured, at least 2.
        clock: what the times are taken by.

    Raises:
        SandboxError: the sandbox failed.
    """
    function = Function(name=_NAME, folder=folder, entrypoint="handler:handle", limits=Limits())
    began = clock.monotonic()
    await engine.start(function)
    cold_start = clock.monotonic() - began
    taken: list[float] = []
    for _ in range(times):
        await anyio.sleep(_REFILL_S)
        began = clock.monotonic()
        await engine.run(_NAME, payload, timeout_s=_PATIENCE_S)
        taken.append(clock.monotonic() - began)
    await engine.stop(_NAME)
    return SandboxFigures(
        cold_start_ms=cold_start * 1000,
        p50_ms=statistics.median(taken) * 1000,
        p99_ms=statistics.quantiles(taken, n=100, method="inclusive")[98] * 1000,
    )
