"""``enclaved bench …``: what enclaved costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enclaved.bench.evidence import EvidenceOptions, bench_evidence
from enclaved.bench.measure import Plan
from enclaved.cli.bench_view import print_bench
from enclaved.cli.options import Json
from enclaved.cli.report import output_console, print_json, reporting
from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError
from enclaved.verifier.formats import FORMATS

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure what enclaved costs on this machine.")

Runs = Annotated[int, typer.Option("--runs", min=1, max=100_000, help="How often each is timed.")]


@app.callback()
def _bench() -> None:
    """Keep the mode's name part of the command while there is only one mode."""


@app.command("evidence")
def evidence_command(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", envvar="ENCLAVED_VECTORS", metavar="DIR", help="Genuine evidence, with its manifest."),
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help=f"A format [all]: {', '.join(FORMATS)}.")
    ] = None,
    runs: Runs = 200,
    json: Json = False,
) -> None:
    """Time one verification of evidence per format, with its collateral at hand.

    Simulated evidence is made on the spot; that of other formats comes from --folder. Warm: the
    vendor's issuers were met before. Cold: every certificate's signature is verified.

    Examples:
      enclaved bench evidence
      enclaved bench evidence --folder vectors/ --format sev-snp --json
    """
    with reporting(json):
        unknown = [name for name in formats or () if name not in FORMATS]
        if unknown:
            problem = f"there is no format {unknown[0]!r}"
            raise ConfigurationError("--format", problem, remedy=f"Write one of {', '.join(FORMATS)}.")
        options = EvidenceOptions(formats=formats or tuple(FORMATS), folder=folder, plan=Plan(runs=runs))
        report = bench_evidence(options, clock=SystemClock())
        if json:
            print_json(report.to_json())
        else:
            print_bench(output_console, report)
