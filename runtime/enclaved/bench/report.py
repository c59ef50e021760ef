"""What a benchmark found: rows of figures, with the facts of the machine.

Whoever reads it is a person, a script or a later change: so each figure's key
names its unit, and each row says what was timed and how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.bench.machine import Machine
from enclaved.bench.measure import Timings

__all__ = ["PERCENTILES", "Report", "Row"]

PERCENTILES = (50, 90, 99)
_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was timed.

    Attributes:
        labels: what it was, by column.
        timings: how long its runs took.
    """

    labels: Mapping[str, str | int]
    timings: Timings

    def to_json(self) -> dict[str, str | int | float]:
        """Return the row as a document lists it; times in milliseconds, to the microsecond."""
        figures = {f"p{share}_ms": round(self.timings.percentile(share) * _MS, 3) for share in PERCENTILES}
        return {**self.labels, "runs": len(self.timings.seconds), **figures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one mode of the benchmark found.

    Attributes:
        mode: the mode's name, such as ``"evidence"``.
        machine: where.
        rows: what.
        left_out: what could not be timed, each with the reason.
    """

    mode: str
    machine: Machine
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the report as one document."""
        return {
            "mode": self.mode,
            "machine": self.machine.to_json(),
            "rows": [row.to_json() for row in self.rows],
            "left_out": list(self.left_out),
        }
