"""The mode ``evidence``: time for one verification, with its collateral at hand.

Stage one alone is timed, as `enclaved evidence verify` runs it: from bytes in
memory to claims. *Warm* is a caller that has met this vendor's issuers before;
*cold* is the first meeting, with every certificate's signature to be verified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from enclaved.attester.simulated import SimulatedDevice
from enclaved.attester.simulated_root import make_root
from enclaved.bench.genuine import GenuineCase, read_cases
from enclaved.bench.machine import this_machine
from enclaved.bench.measure import Plan, measure
from enclaved.bench.report import Report, Row
from enclaved.clock import Clock
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.certificate_path import forget_links
from enclaved.verifier.checks import Checks
from enclaved.verifier.formats import FORMATS

__all__ = ["EvidenceOptions", "bench_evidence"]

_BINDING_SIZE, _MEASUREMENT_SIZE = 64, 48
_TEMPERATURES: dict[str, Callable[[], object]] = {"warm": lambda: None, "cold": forget_links}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceOptions:
    """What to time.

    Attributes:
        formats: the formats.
        folder: a folder of genuine evidence; None where there is none.
        plan: how long to measure each.
    """

    formats: Sequence[str]
    folder: Path | None
    plan: Plan


def bench_evidence(options: EvidenceOptions, *, clock: Clock) -> Report:
    """Time the verification of evidence.

    Args:
        options: what to time.
        clock: tells the time.

    Returns:
        Two rows for each format that there is evidence of, and what was left out.

    Raises:
        ConfigurationError: the folder holds no genuine evidence.
        EvidenceError: a case's files cannot be read.
    """
    machine = this_machine()
    rows: list[Row] = []
    left_out: list[str] = []
    cases = [*_simulated(options.formats, clock), *_genuine(options)]
    for name in options.formats:
        verifying = []
        for case in (case for case in cases if case.evidence.format == name):
            try:
                _verify(case)
            except EvidenceError as error:
                left_out.append(f"{case.id}: {error}")
            else:
                verifying.append(case)
        if verifying:
            rows += [_row(name, temperature, verifying, options.plan, clock) for temperature in _TEMPERATURES]
        else:
            left_out.append(f"{name}: no evidence at hand")
    return Report(mode="evidence", machine=machine, rows=tuple(rows), left_out=tuple(left_out))


def _row(name: str, temperature: str, cases: Sequence[GenuineCase], plan: Plan, clock: Clock) -> Row:
    steps = [partial(_verify, case) for case in cases]
    labels: dict[str, str | int] = {"format": name, "chain": temperature, "cases": len(cases)}
    return Row(labels=labels, timings=measure(steps, plan=plan, clock=clock, prepare=_TEMPERATURES[temperature]))


def _verify(case: GenuineCase) -> None:
    authenticate(case.evidence, at=case.at, checks=Checks())


def _genuine(options: EvidenceOptions) -> list[GenuineCase]:
    return [] if options.folder is None else list(read_cases(options.folder, formats=options.formats))


def _simulated(formats: Sequence[str], clock: Clock) -> list[GenuineCase]:
    """Make simulated evidence, where it is asked for: it needs nobody's machine."""
    simulated = [name for name in formats if FORMATS[name].simulated]
    now = clock.now()
    device = SimulatedDevice(make_root(host_time=now), clock=clock, measurement=bytes(_MEASUREMENT_SIZE))
    return [GenuineCase(id=name, evidence=device.attest(bytes(_BINDING_SIZE)), at=now) for name in simulated]
