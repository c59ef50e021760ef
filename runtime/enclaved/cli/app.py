"""The command ``enclaved``: every command by its name."""

from __future__ import annotations

import inspect

import typer

from enclaved import __version__
from enclaved.cli import (
    bench_commands,
    evidence_commands,
    function_commands,
    policy_commands,
    receipt_commands,
)
from enclaved.cli.demo import demo
from enclaved.cli.doctor import doctor
from enclaved.cli.invoke import invoke
from enclaved.cli.keygen import keygen
from enclaved.cli.processes import PASS_THROUGH, enclave, gateway
from enclaved.cli.up import up

__all__ = ["main"]

_HELP = """Run functions inside attested enclaves, triggered by sealed MQTT messages, and verify where your data went.

Start with `enclaved demo`; then `enclaved up` in one terminal and `enclaved invoke` in another.
Exit codes: 0 ok or accepted, 1 failed or refused by the enclave, 2 usage, 3 not authentic, 4 refused by
the policy, 5 unreadable, 6 no answer in time, 7 broker or vendor's service unreachable.
"""

_app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode=None, pretty_exceptions_enable=False)


@_app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


_app.command()(demo)
_app.command()(up)
_app.command(context_settings=PASS_THROUGH)(gateway)
_app.command(context_settings=PASS_THROUGH)(enclave)
_app.command()(invoke)
_app.add_typer(function_commands.app, name="function")
_app.add_typer(evidence_commands.app, name="evidence")
_app.add_typer(policy_commands.app, name="policy")
_app.add_typer(receipt_commands.app, name="receipt")
_app.command()(keygen)
_app.add_typer(bench_commands.app, name="bench")
_app.command()(doctor)


def main() -> None:
    """Run the command line."""
    for each in (_app, *(group.typer_instance for group in _app.registered_groups)):
        _keep_examples(each)
    _app(prog_name="enclaved")


def _keep_examples(app: typer.Typer | None) -> None:
    """Keep the lines of each command's examples apart, where help texts are filled into paragraphs."""
    for command in app.registered_commands if app else ():
        text = inspect.getdoc(command.callback) or ""
        command.help = text.replace("Examples:\n", "\b\nExamples:\n")
