"""The options that several commands share, each declared once.

A command that is marked `with_settings` gets those of them that it names, and
`--config`; what they, the configuration file and the defaults make together reaches
it as one value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from enclaved.cli.report import reporting
from enclaved.cli.settings import load_settings

__all__ = ["ACCESS", "FunctionsFolder", "Json", "Timeout", "with_settings"]

FunctionsFolder = Annotated[Path, typer.Option("--functions", metavar="DIR", help="Functions' folder [./functions].")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=3600.0, help="How long to wait.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else there.")]

_File = Path | None
_Text = str | None
_SHARED: dict[str, Any] = {
    "broker": Annotated[_Text, typer.Option("--broker", metavar="URL", help="Broker [mqtt://127.0.0.1:1883].")],
    "namespace": Annotated[_Text, typer.Option("--namespace", help="Namespace of the runtimes [demo].")],
    "state": Annotated[_File, typer.Option("--state", metavar="DIR", help="State folder [./.enclaved].")],
    "functions": Annotated[_File, typer.Option("--functions", metavar="DIR", help="Functions' folder [./functions].")],
    "policy": Annotated[_File, typer.Option("--policy", metavar="FILE", help="Your policy document.")],
    "key": Annotated[_File, typer.Option("--key", metavar="FILE", help="Your private key, from `enclaved keygen`.")],
    "runtime_id": Annotated[_Text, typer.Option("--runtime", metavar="ID", help="The runtime, by its name [any].")],
    "link": Annotated[_Text, typer.Option("--link", metavar="ADDRESS", help="unix:PATH or vsock:CID:PORT.")],
    "device": Annotated[
        _Text, typer.Option("--device", help="Attestation device: auto (hardware only) or a name [simulated].")
    ],
    "transport": Annotated[
        _Text, typer.Option("--transport", help="How to speak MQTT: auto, direct or aiomqtt [auto].")
    ],
    "username": Annotated[_Text, typer.Option("--username", help="User name for the broker.")],
    "password_file": Annotated[_File, typer.Option("--password-file", metavar="FILE", help="File with its password.")],
    "cafile": Annotated[_File, typer.Option("--cafile", metavar="FILE", help="Roots to trust for the broker, PEM.")],
    "cert": Annotated[_File, typer.Option("--cert", metavar="FILE", help="Your certificate for the broker, PEM.")],
    "certkey": Annotated[_File, typer.Option("--certkey", metavar="FILE", help="Its private key, PEM.")],
}
_CONFIG = Annotated[
    _File, typer.Option("--config", metavar="FILE", help="Configuration [./enclaved.toml where it is there].")
]

ACCESS = ("broker", "namespace", "transport", "username", "password_file", "cafile", "cert", "certkey")
"""What every command that speaks to a broker takes."""

Command = Callable[..., None]


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command shared options.

    Args:
        names: the options that it takes, by their names in `Settings`.

    Returns:
        A decorator for a command whose first parameter is ``settings``.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [each for each in inspect.signature(command).parameters.values() if each.name != "settings"]
        types = {each.name: hints[each.name] for each in own} | {name: _SHARED[name] for name in names}
        types["config"] = _CONFIG
        defaults = {each.name: each.default for each in own}

        @functools.wraps(command)
        def with_them(**given: Any) -> None:  # noqa: ANN401 - each command has options of its own
            options = {name: given.pop(name) for name in names}
            with reporting(given.get("json", False)):
                command(load_settings(given.pop("config"), **options), **given)

        with_them.__annotations__ = types
        with_them.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # the parameters that typer sees
            [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=annotation
                )
                for name, annotation in types.items()
            ]
        )
        return with_them

    return decorate
