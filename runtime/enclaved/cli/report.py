"""How a command speaks: a document for machines, or words for people; and how it ends.

With ``--json`` standard output holds one JSON document and nothing else, also when
the command fails. Words about errors go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console

from enclaved.cli.exit_codes import ExitCode, error_code, exit_code_of
from enclaved.errors import Error

__all__ = ["errors_console", "finish", "output_console", "print_json", "reporting"]

output_console = Console(highlight=False, soft_wrap=True)
errors_console = Console(stderr=True, highlight=False, soft_wrap=True)

FailureDocument = Callable[[dict[str, str]], dict[str, Any]]


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def finish(code: ExitCode) -> NoReturn:
    """End the command with an exit code."""
    raise typer.Exit(int(code))


@contextmanager
def reporting(as_json: bool, *, failure: FailureDocument = lambda error: {"error": error}) -> Iterator[None]:
    """Turn our errors into what the command prints and its exit code.

    Args:
        as_json: was ``--json`` given.
        failure: makes the document of a failed command; by default one that holds only the error.
    """
    try:
        yield
    except* Error as group:
        error = _first(group)
        if as_json:
            print_json(failure({"code": error_code(error), "message": str(error)}))
        else:
            errors_console.print(f"[bold red]error[/] {_plain(str(error))}", markup=True)
        code = exit_code_of(error)
    else:
        return
    finish(code)


def _first(group: BaseExceptionGroup[Error]) -> Error:
    """Return the first of the errors that left a group of tasks: the others follow from it."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _plain(text: str) -> str:
    """Keep text that a stranger may have a part in from being read as colours or terminal commands."""
    printable = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable.replace("[", "\\[")
