"""``enclaved up``: a whole runtime on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import anyio
import typer
from anyio.abc import TaskStatus

from enclaved.caller.observation import observe
from enclaved.cli.child import ChildEvent
from enclaved.cli.options import ACCESS, Json, with_settings
from enclaved.cli.own_policy import drafted_policy, write_own_policy
from enclaved.cli.runtime import LocalRuntime, RuntimeOptions, local_runtime
from enclaved.cli.settings import Settings
from enclaved.cli.state import StateFolder, locked_state
from enclaved.cli.up_voice import UpVoice
from enclaved.clock import SystemClock
from enclaved.errors import Error
from enclaved.mqtt.transport import parse_broker_url
from enclaved.mqtt.transports import open_transport
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import decode_bundle

__all__ = ["up"]

_LOOK_S = 10.0


@with_settings(*ACCESS, "functions", "state", "policy", "device", "runtime_id", "link")
def up(
    settings: Settings,
    reload: Annotated[bool, typer.Option("--reload", help="Serve functions anew when their folder changes.")] = False,
    json: Json = False,
) -> None:
    """Run a runtime on this machine until Ctrl-C: enclave, gateway and, where none is named, a development broker.

    Evidence is SIMULATED unless --device names hardware, and is said to be. A policy that is
    pinned to this runtime is written beside the state folder, for `enclaved invoke --policy`.
    With --reload that policy follows the functions; a change that cannot be served leaves the
    ones before in place, and is said so.

    Examples:
      enclaved up --functions functions/
      enclaved up --broker mqtts://broker.example:8883 --cafile ca.pem --device auto
    """
    with locked_state(settings.state) as folder:
        anyio.run(_up, settings, folder, UpVoice(as_json=json), reload)


async def _up(settings: Settings, state: StateFolder, voice: UpVoice, reload: bool) -> None:
    options = RuntimeOptions(
        functions=settings.functions,
        settings=settings,
        embedded_broker=settings.broker is None,
        reload=reload,
    )
    reloads = _Reloads(voice)
    async with anyio.create_task_group() as tasks:
        stop = _Stop(tasks.cancel_scope)
        await tasks.start(stop.listen, name="signals")
        async with local_runtime(options, state=state, observer=reloads.observe) as runtime:
            policy = settings.policy or await _write_policy(settings, runtime, state)
            voice.ready(runtime, policy)
            tasks.start_soon(reloads.follow, settings, runtime, state, name="reloads")
            await stop.wait()
        tasks.cancel_scope.cancel()


async def _write_policy(
    settings: Settings, runtime: LocalRuntime, state: StateFolder, *, serves: set[str] | None = None
) -> Path:
    """Write the policy that accepts what the runtime announces, once that is what it serves now."""
    connection = replace(settings.connection(), address=parse_broker_url(runtime.broker))
    transport = open_transport(settings.transport)
    async with observe(connection, transport=transport, namespace=settings.namespace) as observation:
        encoded = await observation.announced(
            runtime.runtime_id, timeout_s=_LOOK_S, wanted=lambda each: serves is None or _digests(each) == serves
        )
    return write_own_policy(drafted_policy(encoded, at=SystemClock().now()), state=state.path)


def _digests(encoded: bytes) -> set[str]:
    return {each.digest for each in decode_bundle(decode_attestation(encoded).bundle).functions}


class _Reloads:
    """Keeps the runtime's own policy true to what is served, and says what was reloaded once it is."""

    def __init__(self, voice: UpVoice) -> None:
        self._voice = voice
        self._latest: ChildEvent | None = None
        self._came = anyio.Event()

    def observe(self, event: ChildEvent) -> None:
        """Take what a process of the runtime says; of several reloads the last one counts."""
        if event.child == "enclave" and event.event in {"ready", "reloaded"}:
            self._latest = event
            self._came.set()
        else:
            self._voice.tell(event)

    async def follow(self, settings: Settings, runtime: LocalRuntime, state: StateFolder) -> None:
        """Say what was reloaded, for ever; write the policy first, where it is the runtime's own."""
        served = {each["digest"] for each in runtime.functions}
        while True:
            await self._came.wait()
            self._came = anyio.Event()
            event = self._latest
            if event is None or {each["digest"] for each in event.fields["functions"]} == served:
                continue
            served = {each["digest"] for each in event.fields["functions"]}
            try:
                if settings.policy is None:
                    await _write_policy(settings, runtime, state, serves=served)
            except Error as error:  # another reload may have overtaken this one
                self._voice.tell(ChildEvent(child="policy", event="not_written", fields={"reason": str(error)}))
            self._voice.tell(replace(event, event="reloaded"))


class _Stop:
    """The wish to stop: in good order while the runtime serves, at once while it still starts."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self._wished = anyio.Event()
        self._serving = False

    async def wait(self) -> None:
        """Serve until somebody wishes to stop."""
        self._serving = True
        await self._wished.wait()

    async def listen(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take SIGTERM and SIGINT as the wish; a second one does not wait for good order."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                if self._wished.is_set() or not self._serving:
                    self._scope.cancel()
                self._wished.set()
