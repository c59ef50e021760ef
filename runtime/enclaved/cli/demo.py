"""``enclaved demo``: the whole path on this machine, once through every example function.

It starts the same processes as `up` and calls them through the public SDK, with the
policy that such a runtime writes for itself. The functions are copied into the demo's
state folder, where the alarms of the event function are sealed to a key made just now.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import anyio
from rich.markup import escape
from rich.table import Table

from enclaved.caller.caller import Caller
from enclaved.caller.event import Event
from enclaved.caller.observation import observe
from enclaved.caller.outcome import NoAnswer, Result
from enclaved.caller.receipt_check import receipt_claims_json
from enclaved.caller.recipient import Recipient
from enclaved.cli.demo_functions import DemoFunction, copy_examples
from enclaved.cli.exit_codes import ExitCode
from enclaved.cli.invoke import verdict_of
from enclaved.cli.options import Json, with_settings
from enclaved.cli.own_policy import drafted_policy
from enclaved.cli.report import errors_console, finish, output_console, print_json
from enclaved.cli.runtime import LocalRuntime, RuntimeOptions, local_runtime
from enclaved.cli.settings import Settings
from enclaved.cli.state import StateFolder, locked_state
from enclaved.cli.verdict_view import print_verdict
from enclaved.clock import SystemClock, system_random
from enclaved.mqtt.transport import parse_broker_url
from enclaved.mqtt.transports import open_transport
from enclaved.sandbox.isolation import IsolationLevel, describe
from enclaved.verifier.policy import Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.wire.hpke import PrivateKey

__all__ = ["demo"]

_TIMEOUT_S = 30.0
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """One example's verified outcome: the caller's result, and the recipient's event where there is one."""

    function: DemoFunction
    result: Result
    event: Event | None

    @property
    def output(self) -> bytes:
        return self.result.output if self.event is None else self.event.output


@with_settings("state")
def demo(settings: Settings, json: Json = False) -> None:
    """Run every example function once, end to end, on this machine, and show what was verified.

    The evidence is SIMULATED: it shows how verification works, and proves nothing about this machine.

    Examples:
      enclaved demo
      enclaved demo --json
    """
    with locked_state(settings.state / "demo") as state:
        runtime, done = anyio.run(_demo, settings, state)
    rows = [_row(each) for each in done]
    if json:
        print_json({"broker": runtime.broker, "runtime_id": runtime.runtime_id, "functions": rows})
    else:
        _print(done)
    finish(ExitCode.OK if all(row["as_expected"] for row in rows) else ExitCode.FAILED)


async def _demo(settings: Settings, state: StateFolder) -> tuple[LocalRuntime, list[_Done]]:
    folder = state.path / "functions"
    functions, key = copy_examples(folder, random=system_random)
    options = RuntimeOptions(functions=folder, settings=settings, embedded_broker=True)
    with errors_console.status("starting broker, enclave and gateway"):
        async with local_runtime(options, state=state, observer=lambda event: None) as runtime:
            policy = await _own_policy(settings, runtime)
            async with Caller.connect(runtime.broker, namespace=runtime.namespace, policy=policy) as caller:
                done = [await _call(caller, each, runtime=runtime, policy=policy, key=key) for each in functions]
    return runtime, done


async def _own_policy(settings: Settings, runtime: LocalRuntime) -> Policy:
    connection = replace(settings.connection(), address=parse_broker_url(runtime.broker))
    transport = open_transport(settings.transport)
    async with observe(connection, transport=transport, namespace=runtime.namespace) as observation:
        encoded = await observation.announced(runtime.runtime_id, timeout_s=_TIMEOUT_S)
    return parse_policy(drafted_policy(encoded, at=SystemClock().now()).encode(), where="the demo's own policy")


async def _call(
    caller: Caller, function: DemoFunction, *, runtime: LocalRuntime, policy: Policy, key: PrivateKey
) -> _Done:
    async def invoke() -> Result:
        return await caller.invoke(
            function.name,
            function.payload,
            timeout=_TIMEOUT_S,
            content_type=function.content_type,
            topic=function.trigger,
        )

    if function.output_topic is None:
        return _Done(function=function, result=await invoke(), event=None)
    async with Recipient.connect(runtime.broker, topic=function.output_topic, key=key, policy=policy) as outputs:
        result = await invoke()
        with anyio.move_on_after(_TIMEOUT_S):
            async for event in outputs:
                if event.invocation_id == result.invocation_id:
                    return _Done(function=function, result=result, event=event)
    raise NoAnswer("answer", timeout_s=_TIMEOUT_S, invocation_id=result.invocation_id, attempts=1)


def _row(done: _Done) -> dict[str, Any]:
    result, claims = done.result, done.result.attestation.claims
    return {
        "name": done.function.name,
        "input_bytes": len(done.function.payload),
        "sealed_bytes": result.passage.sealed_bytes,
        "output_base64": base64.b64encode(done.output).decode(),
        "as_expected": done.output == done.function.expected,
        "digest": result.receipt.function_digest,
        "isolation": result.receipt.isolation,
        "claims": claims.to_json(),
        "receipt": receipt_claims_json(result.receipt),
        "round_trip_ms": round(result.round_trip_ms, 3),
    }


def _print(done: list[_Done]) -> None:
    print_verdict(output_console, verdict_of(done[0].result), title="the first of the verdicts")
    table = Table("function", "in", "sealed", "output", "", "ms", box=None, pad_edge=False)
    for each in done:
        shown = _shown(each.output)
        mark = "[green]✓ as expected[/]" if each.output == each.function.expected else "[red]✗ not as expected[/]"
        table.add_row(
            each.function.name,
            str(len(each.function.payload)),
            str(each.result.passage.sealed_bytes),
            escape(shown),
            mark,
            f"{each.result.round_trip_ms:.1f}",
        )
    output_console.print(table)
    level = IsolationLevel(done[0].result.receipt.isolation)
    output_console.print(
        f"Each output above was verified: evidence, receipt, digest. Functions were {describe(level)}."
    )
    if done[0].result.attestation.claims.simulated:
        output_console.print("[bold black on yellow] SIMULATED [/] evidence: it proves nothing about this machine.")


def _shown(output: bytes) -> str:
    """Return the beginning of an output that is text, and what a terminal can show of any other: its size."""
    line = output.decode("utf-8", "replace").split("\n", 1)[0]
    if not line.isprintable():
        return f"{len(output)} bytes, not text"
    cut = line[:_SHOWN]
    return cut if len(output) - len(cut.encode()) <= 1 else f"{cut}…"
