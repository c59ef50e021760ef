"""``enclaved function …``: making, checking and naming functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from enclaved.cli.function_template import write_template
from enclaved.cli.options import FunctionsFolder, Json
from enclaved.cli.report import errors_console, output_console, print_json, reporting
from enclaved.enclave.folder_digest import read_folder
from enclaved.enclave.manifest import MANIFEST_NAME
from enclaved.enclave.registry import RegisteredFunction, load_function
from enclaved.errors import ConfigurationError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make, check and name functions.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The function's folder.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function's name, which its folder gets.")],
    functions: FunctionsFolder = Path("functions"),
) -> None:
    """Make a function that runs at once, for you to change.

    Examples:
      enclaved function new my-function --functions functions/
    """
    with reporting(False):
        folder = write_template(name, into=functions)
        errors_console.print(f"[green]made[/] {folder}: {MANIFEST_NAME}, handler.py and a sample")


@app.command()
def check(folder: Folder, json: Json = False) -> None:
    """Check a function: its manifest, its files, its entrypoint.

    Examples:
      enclaved function check functions/redact
    """
    with reporting(json):
        function = load_function(folder)
        if json:
            print_json(_row(function))
            return
        manifest = function.manifest
        output_console.print(f"[green]ok[/] {manifest.name} {manifest.version}  {function.digest}")
        callers = "anybody" if manifest.callers is None else f"{len(manifest.callers)} keys"
        output_console.print(
            f"  may be called by {callers}; {manifest.limits.time_ms} ms, {manifest.limits.memory_mib} MiB"
        )


@app.command()
def digest(folder: Folder, json: Json = False) -> None:
    """Print a folder's digest, as policies pin it; anybody can recompute it with find, sort and sha256sum.

    Examples:
      enclaved function digest functions/redact
    """
    with reporting(json):
        value = read_folder(folder).digest
        if json:
            print_json({"folder": str(folder), "digest": value})
        else:
            output_console.print(value)


@app.command("list")
def list_functions(functions: FunctionsFolder = Path("functions"), json: Json = False) -> None:
    """List the functions of a folder.

    Examples:
      enclaved function list --functions functions/
    """
    with reporting(json):
        folder = functions
        try:
            paths = sorted(path for path in folder.iterdir() if (path / MANIFEST_NAME).is_file())
        except OSError as error:
            raise ConfigurationError(
                str(folder), f"cannot be read ({error.strerror})", remedy="Name a folder with --functions."
            ) from error
        rows = [_row(load_function(path)) for path in paths]
        if json:
            print_json({"functions": rows})
            return
        table = Table("name", "version", "engine", "digest", "description", box=None)
        for row in rows:
            table.add_row(*(str(row[key]) for key in ("name", "version", "engine", "digest", "description")))
        output_console.print(table)


def _row(function: RegisteredFunction) -> dict[str, object]:
    manifest = function.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "description": manifest.description,
        "engine": manifest.engine,
        "digest": function.digest,
        "callers": "any" if manifest.callers is None else list(manifest.callers),
        "triggers": list(manifest.triggers),
        "event": manifest.output is not None,
    }
