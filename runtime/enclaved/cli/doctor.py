"""``enclaved doctor``: what this machine can give, which isolation follows, and what to do for more."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
from rich.markup import escape

from enclaved.cli.exit_codes import ExitCode
from enclaved.cli.function_template import TemplateEngine, write_template
from enclaved.cli.local_sandbox import local_sandbox
from enclaved.cli.machine import Fact, machine_facts
from enclaved.cli.options import ACCESS, Json, with_settings
from enclaved.cli.report import finish, output_console, print_json, reporting
from enclaved.cli.settings import Settings
from enclaved.enclave.registry import load_function
from enclaved.errors import Error, TransportError
from enclaved.mqtt.transport import FirstConnection
from enclaved.mqtt.transports import open_transport
from enclaved.sandbox.isolation import IsolationLevel, describe
from enclaved.sandbox.outcome import Outcome

__all__ = ["doctor"]

_BROKER_S = 5.0
_MARKS = {True: "[green]yes[/]", False: "[bold red]no[/] ", None: "[yellow]-[/]  "}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """What became of a function that was started on one engine.

    Attributes:
        name: the engine's name.
        isolation: the level that the function's sandbox had, or None where it did not run.
        problem: why it did not run.
    """

    name: str
    isolation: IsolationLevel | None
    problem: str = ""


@with_settings(*ACCESS)
def doctor(settings: Settings, json: Json = False) -> None:
    """Say what this machine gives: sandboxes, attestation devices, the broker; and what to do for more.

    The isolation level is that of a function which is started for it, on each engine. Exit code 0
    where functions can run, 1 where none can.

    Examples:
      enclaved doctor
      enclaved doctor --broker mqtts://broker.example:8883 --cafile ca.pem --json
    """
    with reporting(json):
        facts = [*machine_facts(), anyio.run(_broker, settings)]
        with tempfile.TemporaryDirectory(prefix="enclaved-doctor-") as folder:
            engines = [anyio.run(_try, Path(folder), engine) for engine in TemplateEngine]
        if json:
            document = {
                "facts": [fact.to_json() for fact in facts],
                "engines": [asdict(engine) for engine in engines],
            }
            print_json(document)
        else:
            _print(facts, engines)
    finish(ExitCode.OK if any(engine.isolation for engine in engines) else ExitCode.FAILED)


async def _try(folder: Path, engine: TemplateEngine) -> _Engine:
    """Start a function, run it once, and return the level that its sandbox had."""
    level, problem = None, ""
    try:
        function = load_function(write_template(f"try-{engine}", into=folder, engine=engine))
        async with local_sandbox(function) as sandbox:
            execution = await sandbox.run(b"two words")
            if execution.outcome is Outcome.OK:
                level = sandbox.isolation
            else:
                problem = f"one ended with {execution.outcome}"
    except* Error as errors:
        problem = str(_first(errors))
    return _Engine(name=engine, isolation=level, problem=problem)


def _first(group: BaseExceptionGroup[Error]) -> Error:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


async def _broker(settings: Settings) -> Fact:
    url = settings.broker_url
    problem = ""
    transport = open_transport(settings.transport)
    try:
        with anyio.fail_after(_BROKER_S):
            async with transport.publish(settings.connection(), first=FirstConnection.MUST_SUCCEED):
                pass
    except* TransportError as errors:
        problem = str(_first(errors))
    except* TimeoutError:
        problem = f"silent for {_BROKER_S:g} s"
    if not problem:
        return Fact(name="broker", found=f"{url} answers", ok=True)
    remedy = "Name yours with --broker; `enclaved up` starts a development broker where none is named."
    return Fact(name="broker", found=f"{url}: {problem}", ok=None if settings.broker is None else False, remedy=remedy)


def _print(facts: list[Fact], engines: list[_Engine]) -> None:
    show = output_console.print
    for fact in facts:
        show(f"{_MARKS[fact.ok]} [bold]{fact.name}[/]: {escape(fact.found)}")
    show()
    for engine in engines:
        if engine.isolation is None:
            show(f"[bold red]{engine.name}[/] functions do not run: {escape(engine.problem)}")
        else:
            words = describe(engine.isolation)
            colour = "bold yellow" if engine.isolation is IsolationLevel.MEMORY_SAFE else "green"
            show(f"[{colour}]{engine.name}[/] functions run at level [bold]{engine.isolation}[/]: {words}")
    remedies = [fact for fact in facts if fact.remedy]
    if remedies:
        show("\nfor more:")
    for fact in remedies:
        show(f"  {fact.name}: {escape(fact.remedy)}")
