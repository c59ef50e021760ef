"""The benchmark's frame: what is counted, and what figures mean. No test asserts a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from enclaved.bench.machine import this_machine
from enclaved.bench.measure import Plan, Timings, measure
from enclaved.bench.report import Report, Row
from simulation import NOON


@dataclass
class SteppedClock:
    """A clock that moves when a step is run, and not otherwise."""

    seconds: float = 0.0
    ran: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        """Return noon."""
        return NOON

    def monotonic(self) -> float:
        """Return the seconds that steps took."""
        return self.seconds

    def step(self, name: str, takes: float) -> None:
        """Take time."""
        self.ran.append(name)
        self.seconds += takes


def test_only_the_step_is_timed_and_the_first_runs_are_not_counted() -> None:
    """What prepares a step may take as long as it likes."""
    clock = SteppedClock()
    timings = measure(
        [lambda: clock.step("a", 1.0), lambda: clock.step("b", 2.0)],
        plan=Plan(runs=3, uncounted=1, longest_s=1000.0),
        clock=clock,
        prepare=lambda: clock.step("prepare", 10.0),
    )

    assert timings.seconds == (1.0, 2.0, 1.0)
    assert clock.ran == ["prepare", "a", "prepare", "a", "prepare", "b", "prepare", "a"]


def test_a_slow_step_ends_by_its_time_and_is_counted_once() -> None:
    """A figure of one run is marked by the number of runs."""
    clock = SteppedClock()
    timings = measure([lambda: clock.step("a", 9.0)], plan=Plan(runs=99, uncounted=0, longest_s=8.0), clock=clock)

    assert timings.seconds == (9.0,)


@pytest.mark.parametrize(("share", "wanted"), [(0, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (90, 4.0), (100, 4.0)])
def test_a_percentile_is_a_time_that_was_measured(share: float, wanted: float) -> None:
    """So many of a hundred runs were not slower."""
    assert Timings((4.0, 1.0, 3.0, 2.0)).percentile(share) == wanted


def test_no_runs_have_no_figures() -> None:
    """An empty measurement is a mistake, and not a zero."""
    with pytest.raises(ValueError, match="no run"):
        Timings(())


def test_a_report_names_its_units() -> None:
    """Each figure's key says what it is in; the machine is part of the document."""
    row = Row(labels={"format": "simulated"}, timings=Timings((0.0012345,)))
    document = Report(mode="evidence", machine=this_machine(), rows=(row,)).to_json()

    assert document["rows"] == [{"format": "simulated", "runs": 1, "p50_ms": 1.234, "p90_ms": 1.234, "p99_ms": 1.234}]
    assert {"cpu", "cores", "load_1min", "python", "libraries"} <= document["machine"].keys()
