"""Verdicts as people read them: the words first, then each check with what was found and wanted."""

from __future__ import annotations

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from enclaved.verifier.verdict import Verdict
from enclaved.wire.receipt import ReceiptClaims

__all__ = ["print_receipt", "print_verdict", "verdict_word"]

_WIDE = 72


def verdict_word(verdict: Verdict) -> Text:
    """Return a verdict in one line, SIMULATED first where it is."""
    text = Text()
    if verdict.claims is not None and verdict.claims.simulated:
        text.append("SIMULATED ", style="bold black on yellow")
        text.append(" ")
    if not verdict.authentic:
        text.append("NOT AUTHENTIC", style="bold red")
    elif verdict.accepted is None:
        text.append("authentic", style="bold green")
        text.append("; no policy applied")
    elif verdict.accepted:
        text.append("ACCEPTED", style="bold green")
    else:
        text.append("authentic, but REFUSED by the policy", style="bold red")
    text.append(
        f"  {verdict.format or 'unknown format'}, verified as of {verdict.at or 'no time'} ({verdict.mode.value})"
    )
    return text


def print_verdict(console: Console, verdict: Verdict, *, title: str) -> None:
    """Print a verdict with all of its checks."""
    table = Table("", "check", "found", "wanted", box=None, pad_edge=False)
    for check in verdict.checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        table.add_row(mark, escape(check.check), _short(check.found), _short(check.wanted))
    parts: list[Text | Table] = [verdict_word(verdict), table]
    if verdict.error is not None:
        parts.append(Text(f"{verdict.error.code}: {verdict.error.message}", style="red"))
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style="dim"))


def print_receipt(console: Console, claims: ReceiptClaims) -> None:
    """Print what a receipt states."""
    table = Table.grid(padding=(0, 2))
    table.add_row("function", f"{escape(claims.function)}  {escape(claims.function_digest)}")
    table.add_row("outcome", f"{escape(claims.outcome)} in {claims.duration_us / 1000:.1f} ms")
    table.add_row("ran on", f"{escape(claims.runtime_id)}, engine {escape(claims.engine)}, {escape(claims.isolation)}")
    table.add_row("invocation", claims.invocation_id.hex())
    table.add_row("key bundle", claims.bundle_digest.hex())
    console.print(Panel(table, title="receipt", title_align="left", border_style="dim"))


def _short(text: str) -> str:
    return escape(text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…")
