"""A benchmark's report as people read it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from enclaved.bench.report import Report

__all__ = ["print_bench"]


def print_bench(console: Console, report: Report) -> None:
    """Print the figures as a table, the machine below, then what was left out."""
    rows = [row.to_json() for row in report.rows]
    if rows:
        table = Table(title=f"bench {report.mode}", title_justify="left", box=None, pad_edge=False)
        for name in rows[0]:
            table.add_column(_heading(name), justify="left" if isinstance(rows[0][name], str) else "right")
        for row in rows:
            table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else escape(str(cell)) for cell in row.values()))
        console.print(table)
    for name, fact in report.machine.to_json().items():
        console.print(f"[dim]{name.replace('_', ' '):10}[/] {escape(str(fact))}")
    for each in report.left_out:
        console.print(f"[yellow]left out[/] {escape(each)}")


def _heading(key: str) -> str:
    name, _, unit = key.rpartition("_")
    return f"{name} ({unit})" if name else key
