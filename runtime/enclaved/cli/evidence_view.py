"""Evidence as people read it: what vouches for what, as a tree, then claims and checks."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from enclaved.cli.verdict_view import print_verdict
from enclaved.verifier.claims import Claims
from enclaved.verifier.formats import find_format
from enclaved.verifier.verdict import Verdict

__all__ = ["print_evidence"]

_WIDE = 96


def print_evidence(console: Console, verdict: Verdict) -> None:
    """Print the chain of trust of evidence, its claims and every check."""
    if verdict.claims is not None:
        console.print(_chain(verdict.claims, verdict))
        console.print(_claims(verdict.claims))
    print_verdict(console, verdict, title="checks")


def _chain(claims: Claims, verdict: Verdict) -> Tree:
    """Draw what was verified, outermost first: each step of stage one hangs below the one that it rests on."""
    mark = "[bold black on yellow] SIMULATED [/] " if claims.simulated else ""
    tree = Tree(f"{mark}[bold]{escape(find_format(claims.format).title)}[/]: who vouches for what")
    branch = tree
    for check in verdict.checks:
        sign = "[green]✓[/]" if check.ok else "[red]✗[/]"
        branch = branch.add(f"{sign} {escape(check.check)}  [dim]{escape(check.found[:_WIDE])}[/]")
    return tree


def _claims(claims: Claims) -> Table:
    table = Table("claim", "value", box=None, pad_edge=False)
    for name, value in claims.to_json().items():
        table.add_row(escape(name), escape(str(value))[:_WIDE])
    return table
