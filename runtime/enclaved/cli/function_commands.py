"""``enclaved function …``: making, checking, trying and naming functions."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from rich.markup import escape
from rich.table import Table

from enclaved.cli.exit_codes import ExitCode
from enclaved.cli.function_check import Finding, inspect_function
from enclaved.cli.function_template import TemplateEngine, write_template
from enclaved.cli.local_sandbox import local_sandbox
from enclaved.cli.options import FunctionsFolder, Json
from enclaved.cli.payload import Data, File, Source, read_payload
from enclaved.cli.report import errors_console, finish, output_console, print_json, reporting
from enclaved.enclave.folder_digest import read_folder
from enclaved.enclave.manifest import MANIFEST_NAME
from enclaved.enclave.registry import RegisteredFunction, load_function
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.sandbox.isolation import IsolationLevel, describe
from enclaved.sandbox.outcome import Execution, Outcome

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make, check, try and name functions.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The function's folder.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function's name, which its folder gets.")],
    functions: FunctionsFolder = Path("functions"),
    engine: Annotated[TemplateEngine, typer.Option("--engine", help="What it runs on.")] = TemplateEngine.PYTHON,
) -> None:
    """Make a function that runs at once, for you to change.

    Examples:
      enclaved function new my-function --functions functions/
      enclaved function new my-filter --engine wasm
    """
    with reporting(False):
        folder = write_template(name, into=functions, engine=engine)
        code = "handler.py" if engine is TemplateEngine.PYTHON else "function.c, the module built from it"
        errors_console.print(f"[green]made[/] {folder}: {MANIFEST_NAME}, {code} and a sample")
        errors_console.print(f"  try: enclaved function run {name} --functions {functions} --data 'two words'")


@app.command()
def check(folder: Folder, json: Json = False) -> None:
    """Check a function: manifest, limits, files, entrypoint or module; and try it on its sample, in its sandbox.

    Exit code 0 where it is right, 1 where the sample gives another output, 2 where it cannot work.

    Examples:
      enclaved function check functions/redact
    """
    with reporting(json, failure=lambda error: {"error": error, "findings": []}):
        function = load_function(folder)
        findings = inspect_function(function)
        tried = None
        if not any(finding.is_error for finding in findings):
            tried = anyio.run(_try, function)
            if tried is not None:
                findings.insert(0, tried)
        code = _verdict(findings, tried)
        if json:
            print_json(_row(function) | {"findings": [finding.to_json() for finding in findings]})
        else:
            _print_check(function, findings)
    finish(code)


@app.command("run")
def run_function(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function's name.")],
    source: Source = None,
    data: Data = None,
    file: File = None,
    functions: FunctionsFolder = Path("functions"),
    json: Json = False,
) -> None:
    """Run a function here, in the same sandbox as in an enclave, without broker, keys or evidence.

    The output alone goes to standard output; what the function printed, and how it failed, to standard error.

    Examples:
      enclaved function run redact --file functions/redact/sample.txt
      echo "call me on 555-0100" | enclaved function run redact -
    """
    with reporting(json):
        payload = read_payload(source, data, file)
        function = load_function(functions / name)
        execution, level = anyio.run(_run, function, payload)
        if json:
            print_json(_execution(function, execution, level))
        else:
            _print_execution(execution, level)
    finish(ExitCode.OK if execution.outcome is Outcome.OK else ExitCode.FAILED)


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


async def _try(function: RegisteredFunction) -> Finding | None:
    """Start a function in its sandbox, and run its sample where it has one; return what was wrong."""
    sample, files = function.manifest.sample, function.snapshot.files
    async with local_sandbox(function) as sandbox:
        if sample is None:
            return None
        execution = await sandbox.run(files[sample.input])
    if execution.outcome is not Outcome.OK:
        words = execution.output.decode("utf-8", "replace").strip()
        return _of_sample(f"ends with {execution.outcome}: {words}", sample.input)
    if sample.output is not None and execution.output != files[sample.output]:
        return _of_sample(f"gives an output other than {sample.output}", sample.input)
    return None


def _of_sample(problem: str, where: str) -> Finding:
    return Finding(where=where, problem=problem, remedy="Mend the function, or its sample.", is_error=True)


def _verdict(findings: list[Finding], tried: Finding | None) -> ExitCode:
    if tried is not None:
        return ExitCode.FAILED
    return ExitCode.USAGE if any(finding.is_error for finding in findings) else ExitCode.OK


def _print_check(function: RegisteredFunction, findings: list[Finding]) -> None:
    manifest = function.manifest
    for finding in findings:
        word = "[bold red]error[/]" if finding.is_error else "[yellow]warning[/]"
        errors_console.print(f"{word} {escape(f'{finding.where}: {finding.problem}. {finding.remedy}')}")
    if any(finding.is_error for finding in findings):
        return
    output_console.print(f"[green]ok[/] {manifest.name} {manifest.version}  {function.digest}")
    callers = "anybody" if manifest.callers is None else f"{len(manifest.callers)} keys"
    output_console.print(
        f"  may be called by {callers}; {manifest.limits.time_ms} ms, {manifest.limits.memory_mib} MiB"
    )


async def _run(function: RegisteredFunction, payload: bytes) -> tuple[Execution, IsolationLevel]:
    async with local_sandbox(function) as sandbox:
        try:
            return await sandbox.run(payload), sandbox.isolation
        except ProtocolError as error:
            raise ConfigurationError("input", error.reason, remedy="Raise limits.input_bytes, or send less.") from error


def _execution(function: RegisteredFunction, execution: Execution, level: IsolationLevel) -> dict[str, Any]:
    return {
        "name": function.manifest.name,
        "digest": function.digest,
        "isolation": level.value,
        "outcome": execution.outcome.value,
        "output_base64": base64.b64encode(execution.output).decode(),
        "log_base64": base64.b64encode(execution.log).decode(),
        "duration_ms": round(execution.duration_ms, 3),
    }


def _print_execution(execution: Execution, level: IsolationLevel) -> None:
    if execution.log:
        errors_console.print("[dim]the function printed:[/]")
        errors_console.print(execution.log.decode("utf-8", "replace"), markup=False)
    if execution.outcome is Outcome.OK:
        sys.stdout.buffer.write(execution.output)
        sys.stdout.flush()
    else:
        errors_console.print(f"[bold red]failed[/] {execution.outcome}: the function's own words follow")
        errors_console.print(execution.output.decode("utf-8", "replace"), markup=False)
    errors_console.print(f"[dim]{execution.duration_ms:.1f} ms, {level}: {describe(level)}[/]")
