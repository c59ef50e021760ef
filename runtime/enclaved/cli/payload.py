"""A function's input, as a person gives it: text, a file, or standard input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enclaved.cli.files import read_file, read_stdin
from enclaved.errors import ConfigurationError
from enclaved.wire.limits import MAX_PAYLOAD

__all__ = ["Data", "File", "Source", "read_payload"]

Source = Annotated[str | None, typer.Argument(metavar="-", help="- reads the input from standard input.")]
Data = Annotated[str | None, typer.Option("--data", metavar="TEXT", help="The input, as text.")]
File = Annotated[Path | None, typer.Option("--file", metavar="PATH", help="The input, from a file.")]


def read_payload(source: str | None, data: str | None, file: Path | None) -> bytes:
    """Return the input that was given in one of the three ways.

    Args:
        source: ``-`` for standard input.
        data: the input itself, as text.
        file: the file that holds it.

    Raises:
        ConfigurationError: it was not given once, cannot be read, or is too long.
    """
    given = [each for each in (source, data, file) if each is not None]
    if len(given) != 1 or source not in (None, "-"):
        raise ConfigurationError("input", "not given once", remedy="Give one of --data TEXT, --file PATH, or -.")
    if file is not None:
        return read_file(file, most=MAX_PAYLOAD)
    return data.encode() if data is not None else read_stdin(most=MAX_PAYLOAD)
