"""A whole runtime on this machine: broker, enclave and gateway, started in order and ended in time.

`up` and `demo` start the same one. Enclave and gateway are processes of their own;
the development broker, where nobody names another, lives in this one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from enclaved.cli.child import Child, ChildEvent
from enclaved.cli.settings import DEFAULT_BROKER, Settings
from enclaved.cli.state import StateFolder
from enclaved.clock import system_random
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import parse_broker_url

__all__ = ["LocalRuntime", "RuntimeOptions", "local_runtime"]

_READY_S = 60.0
_GATEWAY_STOP_S = 3.0
_ENCLAVE_STOP_S = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """What a local runtime is started with.

    Attributes:
        functions: the folder of functions.
        settings: broker, namespace, access and device.
        embedded_broker: start the development broker instead of using a named one.
    """

    functions: Path
    settings: Settings
    embedded_broker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRuntime:
    """A runtime that serves.

    Attributes:
        broker: the broker's URL.
        namespace: where it serves.
        runtime_id: its name.
        device: the attestation device that it uses.
        embedded_broker: is its broker the development broker in this process.
        functions: what it runs, as its enclave says: name, digest and isolation.
        gateway_pid: the gateway's process.
        enclave_pid: the enclave's process.
    """

    broker: str
    namespace: str
    runtime_id: str
    device: str
    embedded_broker: bool
    functions: tuple[dict[str, str], ...]
    gateway_pid: int | None
    enclave_pid: int | None


@asynccontextmanager
async def local_runtime(
    options: RuntimeOptions, *, state: StateFolder, observer: Callable[[ChildEvent], None]
) -> AsyncIterator[LocalRuntime]:
    """Run a runtime while inside; what dies is started again.

    Args:
        options: what to start.
        state: the locked state folder.
        observer: told what the processes say.

    Yields:
        The runtime, once it serves.

    Raises:
        SandboxError: a process ended before it was ready; it said why on standard error.
        ConfigurationError: the broker cannot listen.
    """
    settings = options.settings
    runtime_id = settings.runtime_id or state.runtime_id(random=system_random)
    async with AsyncExitStack() as stack:
        broker = await _broker(options, stack, observer)
        link_folder = Path(tempfile.mkdtemp(prefix="enclaved-link-"))  # private, and short enough for a socket's path
        stack.callback(shutil.rmtree, link_folder, ignore_errors=True)
        link = settings.link or f"unix:{link_folder / 'link'}"
        enclave = Child("enclave", _enclave_command(options, state, runtime_id, link), observer=observer)
        gateway = Child("gateway", _gateway_command(settings, broker, link), observer=observer)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.push_async_callback(_stop, gateway, enclave, tasks.cancel_scope)
        with anyio.fail_after(_READY_S):
            ready = await tasks.start(enclave.keep, name="enclave")
            await tasks.start(gateway.keep, name="gateway")
        yield LocalRuntime(
            broker=broker,
            namespace=settings.namespace,
            runtime_id=runtime_id,
            device=ready["device"],
            embedded_broker=options.embedded_broker,
            functions=tuple(ready["functions"]),
            gateway_pid=gateway.pid,
            enclave_pid=enclave.pid,
        )


async def _stop(gateway: Child, enclave: Child, scope: anyio.CancelScope) -> None:
    """End the gateway first, so that it can answer and acknowledge what is under way."""
    with anyio.CancelScope(shield=True):
        await gateway.stop(within_s=_GATEWAY_STOP_S)
        await enclave.stop(within_s=_ENCLAVE_STOP_S)
    scope.cancel()


async def _broker(options: RuntimeOptions, stack: AsyncExitStack, observer: Callable[[ChildEvent], None]) -> str:
    if not options.embedded_broker:
        return options.settings.broker_url
    wanted = parse_broker_url(DEFAULT_BROKER).port
    try:
        broker = await stack.enter_async_context(LoopbackBroker(port=wanted))
    except OSError:
        broker = await stack.enter_async_context(LoopbackBroker(port=0))
        observer(ChildEvent(child="broker", event="moved", fields={"wanted": wanted, "port": broker.port}))
    return f"mqtt://127.0.0.1:{broker.port}"


def _enclave_command(options: RuntimeOptions, state: StateFolder, runtime_id: str, link: str) -> Sequence[str]:
    settings = options.settings
    return [
        *_python("enclaved.enclave"),
        f"--namespace={settings.namespace}",
        f"--runtime-id={runtime_id}",
        f"--functions={options.functions.absolute()}",
        f"--link={link}",
        f"--device={settings.device}",
        f"--state={state.path.absolute()}",
        f"--lifetime={settings.lifetime_s}",
        f"--overlap={settings.overlap_s}",
        f"--parent={os.getpid()}",
    ]


def _gateway_command(settings: Settings, broker: str, link: str) -> Sequence[str]:
    files = {
        "username": settings.username,
        "password-file": settings.password_file,
        "cafile": settings.cafile,
        "cert": settings.cert,
        "certkey": settings.certkey,
    }
    return [
        *_python("enclaved.gateway"),
        f"--broker={broker}",
        f"--link={link}",
        f"--transport={settings.transport}",
        "--json",
        f"--die-with-parent={os.getpid()}",
        *(f"--{name}={value}" for name, value in files.items() if value is not None),
    ]


def _python(module: str) -> Sequence[str]:
    """Return how to start a module of ours as a process: nothing from the working folder may shadow it."""
    return (sys.executable, "-P", "-B", "-m", module)
