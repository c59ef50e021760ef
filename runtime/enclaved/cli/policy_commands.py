"""``enclaved policy …``: drafting and checking the policy that decides what data is sealed to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from enclaved.cli.fetching import fetch
from enclaved.cli.options import ACCESS, Json, Timeout, with_settings
from enclaved.cli.own_policy import drafted_policy
from enclaved.cli.report import errors_console, output_console, print_json, reporting
from enclaved.cli.settings import Settings
from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError
from enclaved.verifier.policy_document import parse_policy, read_policy
from enclaved.verifier.policy_warnings import policy_warnings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Draft and check policies.")


@app.command("init")
@with_settings(*ACCESS, "runtime_id")
def init_command(
    settings: Settings,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it [stdout].")] = None,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Draft a policy that accepts exactly what a runtime shows now, for you to review.

    The runtime answers a fresh nonce first, and its evidence has to be authentic.

    Examples:
      enclaved policy init --out policy.toml
    """
    fetched = anyio.run(fetch, settings, timeout)
    document = drafted_policy(fetched.encoded, at=SystemClock().now())
    warnings = policy_warnings(parse_policy(document.encode(), where="draft"))
    if out is not None:
        _write_new(out, document)
    if json:
        print_json({"policy": document, "file": None if out is None else str(out), "warnings": list(warnings)})
        return
    if out is None:
        output_console.print(document, markup=False)
    else:
        errors_console.print(f"[green]drafted[/] {out}: review it, digest by digest, before you rely on it")
    _print_warnings(warnings)


@app.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy document.")], json: Json = False
) -> None:
    """Check a policy document, and warn of what it waives.

    Examples:
      enclaved policy check policy.toml
    """
    with reporting(json):
        policy = read_policy(file)
        warnings = policy_warnings(policy)
        if json:
            document = {"file": str(file), "functions": sorted(policy.functions), "formats": sorted(policy.formats)}
            print_json(document | {"warnings": list(warnings)})
            return
        output_console.print(f"[green]ok[/] {file}: {len(policy.functions)} functions, {len(policy.formats)} formats")
        _print_warnings(warnings)


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        errors_console.print("[yellow]warning[/]", warning, markup=True)


def _write_new(path: Path, document: str) -> None:
    try:
        with path.open("x") as file:
            file.write(document)
    except FileExistsError as error:
        raise ConfigurationError(str(path), "is there already", remedy="Name another with --out.") from error
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be written ({error.strerror})", remedy="Name another with --out."
        ) from error
