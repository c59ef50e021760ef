"""A whole runtime on this machine: broker, enclave and gateway, started in order and ended in time.

`up` and `demo` start the same one. Enclave and gateway are processes of their own;
the development broker, where nobody names another, lives in this one.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from enclaved.cli.child import Child, ChildEvent
from enclaved.cli.settings import DEFAULT_BROKER, Settings
from enclaved.cli.state import StateFolder
from enclaved.clock import system_random
from enclaved.errors import SandboxError
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import FirstConnection, parse_broker_url
from enclaved.mqtt.transports import open_transport

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
        reload: serve the functions anew when their folder changes.
    """

    functions: Path
    settings: Settings
    embedded_broker: bool
    reload: bool = False


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
        SandboxError: a process ended before it was ready, or is not ready in time; it said why on standard error.
        ConfigurationError: the broker cannot listen.
        TransportError: the named broker cannot be reached.
    """
    settings = options.settings
    runtime_id = settings.runtime_id or state.runtime_id(random=system_random)
    async with _broker(options, observer) as broker:
        with tempfile.TemporaryDirectory(prefix="enclaved-link-") as folder:  # private, and short enough for a socket
            link = settings.link or f"unix:{folder}/link"
            enclave_command = _enclave_command(options, state, runtime_id, link)
            enclave = Child("enclave", enclave_command, ready="ready", observer=observer)
            gateway_command = _gateway_command(settings, broker, link)
            gateway = Child("gateway", gateway_command, ready="serving", observer=observer)
            async with anyio.create_task_group() as tasks:
                try:
                    with _within(_READY_S):
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
                finally:
                    await _stop(gateway, enclave)
                    tasks.cancel_scope.cancel()


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise SandboxError(f"enclave and gateway are not ready after {seconds:g} s") from error


async def _stop(gateway: Child, enclave: Child) -> None:
    """End the gateway first, so that it can answer and acknowledge what is under way."""
    with anyio.CancelScope(shield=True):
        await gateway.stop(within_s=_GATEWAY_STOP_S)
        await enclave.stop(within_s=_ENCLAVE_STOP_S)


@asynccontextmanager
async def _broker(options: RuntimeOptions, observer: Callable[[ChildEvent], None]) -> AsyncIterator[str]:
    """Yield the broker's URL: the one that is named, or that of a development broker that runs meanwhile."""
    if not options.embedded_broker:
        await _check_reachable(options.settings)  # the gateway would try for ever
        yield options.settings.broker_url
        return
    wanted = parse_broker_url(DEFAULT_BROKER).port
    port = wanted if _is_free(wanted) else 0
    async with LoopbackBroker(port=port) as broker:
        if broker.port != wanted:
            observer(ChildEvent(child="broker", event="moved", fields={"wanted": wanted, "port": broker.port}))
        yield f"mqtt://127.0.0.1:{broker.port}"


async def _check_reachable(settings: Settings) -> None:
    transport = open_transport(settings.transport)
    async with transport.publish(settings.connection(), first=FirstConnection.MUST_SUCCEED):
        pass


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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
        *(["--reload"] if options.reload else []),
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
