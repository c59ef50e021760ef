"""``enclaved up``: a whole runtime on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from enclaved.caller.observation import observe
from enclaved.cli.options import ACCESS, Json, with_settings
from enclaved.cli.own_policy import drafted_policy, write_own_policy
from enclaved.cli.runtime import LocalRuntime, RuntimeOptions, local_runtime
from enclaved.cli.settings import Settings
from enclaved.cli.state import StateFolder, locked_state
from enclaved.cli.up_voice import UpVoice
from enclaved.clock import SystemClock
from enclaved.mqtt.transport import parse_broker_url
from enclaved.mqtt.transports import open_transport

__all__ = ["up"]

_LOOK_S = 10.0


@with_settings(*ACCESS, "functions", "state", "policy", "device", "runtime_id", "link")
def up(settings: Settings, json: Json = False) -> None:
    """Run a runtime on this machine until Ctrl-C: enclave, gateway and, where none is named, a development broker.

    Evidence is SIMULATED unless --device names hardware, and is said to be. A policy that is
    pinned to this runtime is written beside the state folder, for `enclaved invoke --policy`.

    Examples:
      enclaved up --functions functions/
      enclaved up --broker mqtts://broker.example:8883 --cafile ca.pem --device auto
    """
    with locked_state(settings.state) as folder:
        anyio.run(_up, settings, folder, UpVoice(as_json=json))


async def _up(settings: Settings, state: StateFolder, voice: UpVoice) -> None:
    options = RuntimeOptions(functions=settings.functions, settings=settings, embedded_broker=settings.broker is None)
    async with anyio.create_task_group() as tasks:
        stop = _Stop(tasks.cancel_scope)
        await tasks.start(stop.listen, name="signals")
        async with local_runtime(options, state=state, observer=voice.tell) as runtime:
            policy = settings.policy or await _write_policy(settings, runtime, state)
            voice.ready(runtime, policy)
            await stop.wait()
        tasks.cancel_scope.cancel()


async def _write_policy(settings: Settings, runtime: LocalRuntime, state: StateFolder) -> Path:
    connection = replace(settings.connection(), address=parse_broker_url(runtime.broker))
    transport = open_transport(settings.transport)
    async with observe(connection, transport=transport, namespace=settings.namespace) as observation:
        encoded = await observation.announced(runtime.runtime_id, timeout_s=_LOOK_S)
    return write_own_policy(drafted_policy(encoded, at=SystemClock().now()), state=state.path)


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
