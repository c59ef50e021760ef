"""The enclave process, from start to end.

The order is the point. The launcher, which alone may start processes, is started
first; then comes the device; then the process gives up forking, executing, tracing
and the network. Keys are made last, by a process that can do none of that.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import anyio
from anyio.abc import TaskGroup, TaskStatus

from enclaved.attester.device import DeviceOptions
from enclaved.attester.devices import open_device
from enclaved.clock import SystemClock, system_random
from enclaved.enclave.dispatcher import Dispatcher
from enclaved.enclave.epoch import Identity
from enclaved.enclave.hardening import harden
from enclaved.enclave.listener import listen_socket, serve_links
from enclaved.enclave.options import EnclaveOptions
from enclaved.enclave.private_folder import private_folder
from enclaved.enclave.reloading import FolderWatch, keep_reloading
from enclaved.enclave.runtime_digest import runtime_digest
from enclaved.enclave.server import EnclaveServer, ServerOptions
from enclaved.sandbox.core_lockdown import lock_down_core
from enclaved.sandbox.engines import ENGINES, open_engine
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import PoolSize

__all__ = ["run_enclave"]

_CLOSE_S = 3.0


async def run_enclave(options: EnclaveOptions) -> None:
    """Run an enclave until SIGTERM or SIGINT.

    Prints one line of JSON, ``{"event": "ready", …}``, once it listens, and one for each reload.

    Args:
        options: what it is started with.

    Raises:
        ConfigurationError: an option, a manifest or a function is wrong.
        DeviceError: there is no attestation device.
        SandboxError: a sandbox cannot be built, or its launcher died.
    """
    harden(parent=options.parent)
    with private_folder(random=system_random) as folder:
        launcher = LauncherLink.spawn()
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(_stop_on_signal, tasks.cancel_scope, name="signals")
                await tasks.start(launcher.listen, name="launcher")
                await _serve(options, tasks=tasks, launcher=launcher, folder=folder)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                await launcher.aclose()


async def _serve(options: EnclaveOptions, *, tasks: TaskGroup, launcher: LauncherLink, folder: Path) -> None:
    clock = SystemClock()
    digest = runtime_digest()
    device = open_device(options.device, DeviceOptions(state=options.state, clock=clock, runtime_digest=digest))
    size = PoolSize()
    engines = {name: open_engine(name, launcher=launcher, tasks=tasks, clock=clock, size=size) for name in ENGINES}
    dispatcher = Dispatcher(engines, pool=size, folder=folder)
    lock_down_core(launcher=launcher.pid)
    server = EnclaveServer(
        ServerOptions(functions=options.functions, lifetime=options.lifetime),
        identity=Identity.of_this_boot(
            namespace=options.namespace,
            runtime_id=options.runtime_id,
            runtime_digest=digest,
            random=system_random,
        ),
        device=device,
        dispatcher=dispatcher,
        clock=clock,
        random=system_random,
    )
    try:
        watch = FolderWatch(options.functions) if options.reload else None  # before they are read for the first time
        await server.start_epoch()
        listener = listen_socket(options.link)
        tasks.start_soon(server.serve, tasks, name="epochs")
        if watch is not None:
            tasks.start_soon(keep_reloading, server, watch, _print_event, name="reload")
        _print_ready(options, device.name, server)
        await serve_links(listener, server.make_link)
    finally:
        server.close_links()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
            await dispatcher.aclose()


def _print_ready(options: EnclaveOptions, device: str, server: EnclaveServer) -> None:
    _print_event(
        {
            "event": "ready",
            "runtime_id": options.runtime_id,
            "namespace": options.namespace,
            "device": device,
            "functions": server.served(),
        }
    )


def _print_event(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


async def _stop_on_signal(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return
