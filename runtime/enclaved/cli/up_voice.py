"""What `enclaved up` says: lines of JSON for machines, or words for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.markup import escape

from enclaved.cli.child import ChildEvent
from enclaved.cli.report import errors_console, output_console
from enclaved.cli.runtime import LocalRuntime
from enclaved.sandbox.isolation import IsolationLevel, describe

__all__ = ["UpVoice"]

_SIMULATED = "simulated"


class UpVoice:
    """Speaks while a runtime is up."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def ready(self, runtime: LocalRuntime, policy: Path) -> None:
        """Say that the runtime serves, how to reach it and what it is worth."""
        if self._as_json:
            self._line(
                "ready",
                broker=runtime.broker,
                namespace=runtime.namespace,
                runtime_id=runtime.runtime_id,
                policy=str(policy),
                device=runtime.device,
                functions=list(runtime.functions),
            )
            return
        show = output_console.print
        show(f"[bold green]ready[/]  runtime {runtime.runtime_id} in namespace {runtime.namespace}")
        show(f"  broker  {runtime.broker}" + ("  (development broker: in memory)" if runtime.embedded_broker else ""))
        show(f"  policy  {policy}")
        if runtime.device == _SIMULATED:
            show("[bold yellow]  SIMULATED[/] evidence: it proves nothing about this machine")
        for function in runtime.functions:
            level = IsolationLevel(function["isolation"])
            show(f"  function [bold]{function['name']}[/]  {function['digest']}  {describe(level)}")
        show(f"try: enclaved invoke {runtime.functions[0]['name']} --data hello --policy {policy} {_where(runtime)}")
        show("Ctrl-C ends it.")

    def tell(self, event: ChildEvent) -> None:
        """Say what a process of the runtime said, where it is of interest."""
        if self._as_json:
            if event.event not in {"ready", "serving"}:
                self._line(event.event, child=event.child, **event.fields)
            return
        match event.event:
            case "exited":
                errors_console.print(f"[yellow]{event.child} ended; it is started again[/]")
            case "moved":
                fields = event.fields
                errors_console.print(f"[yellow]port {fields['wanted']} is busy: the broker takes {fields['port']}[/]")
            case "reloaded":
                served = ", ".join(f"{each['name']} {each['digest']}" for each in event.fields["functions"])
                errors_console.print("[green]reloaded[/]", escape(served))
            case "reload_failed":
                reason = escape(str(event.fields["reason"]))
                errors_console.print(f"[yellow]not reloaded, what was served goes on:[/] {reason}")
            case "not_written":
                errors_console.print("[yellow]the policy was not written:[/]", escape(str(event.fields["reason"])))
            case _:
                pass

    @staticmethod
    def _line(event: str, **fields: object) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()


def _where(runtime: LocalRuntime) -> str:
    return f"--broker {runtime.broker} --namespace {runtime.namespace}"
