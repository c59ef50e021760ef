"""Real brokers for tests, each on a free loopback port and ended by its own handle.

Import it as `from brokers import ...`: pytest puts this folder on the path.
Every class is an async context manager, and all of them have `url`, `start`,
`stop` and `restart`; a restart keeps the port.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import anyio
import anyio.abc
import enclaved
import pytest
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import Interceptor, route_unchanged
from enclaved.mqtt.broker.script import Script
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import BrokerAddress, parse_broker_url

__all__ = ["Cable", "LoopbackProcess", "LoopbackServer", "MosquittoServer", "Server", "free_port", "require_mosquitto"]

_START_S = 10
_STOP_S = 5
_AGAIN_S = 0.3


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_mosquitto() -> str:
    """Return mosquitto's path, or skip the test and say why."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("mosquitto is not installed")
    return path


class Server:
    """What all brokers here have in common."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def address(self) -> BrokerAddress:
        """The broker's address."""
        return parse_broker_url(self.url)

    async def start(self) -> None:
        """Begin to listen; return when it does."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End, and return when it has."""
        raise NotImplementedError

    async def restart(self) -> None:
        """End and begin again on the same port."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()


class _TaskServer(Server):
    """A server in this process and loop, in a task of its own.

    So it can be stopped from anywhere, inside whatever the test has entered since.
    """

    def __init__(self) -> None:
        super().__init__()
        self._owner = AsyncExitStack()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._leave = anyio.Event()
        self._left = anyio.Event()

    async def start(self) -> None:
        """Begin to listen."""
        assert self._tasks is not None
        await self._tasks.start(self._run)

    async def stop(self) -> None:
        """End."""
        self._leave.set()
        await self._left.wait()

    async def serve(self) -> AbstractAsyncContextManager[object]:
        """Return what listens while it is entered."""
        raise NotImplementedError

    async def _run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        self._leave, self._left = anyio.Event(), anyio.Event()
        try:
            async with await self.serve():
                task_status.started()
                await self._leave.wait()
        finally:
            self._left.set()

    async def __aenter__(self) -> Self:
        self._tasks = await self._owner.enter_async_context(anyio.create_task_group())
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._owner.aclose()


class LoopbackServer(_TaskServer):
    """The development broker; a restart forgets sessions and retained messages."""

    def __init__(
        self,
        *,
        record: BinaryIO | None = None,
        interceptor: Interceptor = route_unchanged,
        limits: BrokerLimits | None = None,
    ) -> None:
        super().__init__()
        self._record, self._interceptor, self._limits = record, interceptor, limits
        self.broker: LoopbackBroker | None = None

    async def serve(self) -> AbstractAsyncContextManager[object]:
        """Return the broker."""
        self.broker = LoopbackBroker(
            port=self.port, record=self._record, interceptor=self._interceptor, limits=self._limits
        )
        return self.broker


class _ProcessServer(Server):
    """A broker in a process of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.process: anyio.abc.Process | None = None

    async def stop(self) -> None:
        """Ask it to end by SIGTERM; after a while, insist."""
        process, self.process = self.process, None
        if process is None:
            return
        async with process:
            with anyio.move_on_after(_STOP_S):
                while process.returncode is None:
                    process.terminate()  # again and again: mosquitto forgets one that comes while it starts
                    with anyio.move_on_after(_AGAIN_S):
                        await process.wait()
            if process.returncode is None:
                process.kill()

    async def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
        await self.stop()


class LoopbackProcess(_ProcessServer):
    """`python -m enclaved.mqtt.loopback` as a process."""

    def __init__(
        self,
        *,
        record: Path | None = None,
        unix: Path | None = None,
        adversary: Script | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._options = [f"--record={record}"] if record else []
        self._options += [f"--unix={unix}"] if unix else []
        self._options += [f"--adversary={adversary}", f"--seed={seed}"] if adversary else []

    async def start(self) -> None:
        """Start it, and wait for the line that says it listens."""
        runtime = str(Path(enclaved.__file__).parent.parent)
        path = os.pathsep.join([runtime, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "enclaved.mqtt.loopback", f"--port={self.port}", *self._options]
        self.process = await anyio.open_process(command, stderr=None, env={**os.environ, "PYTHONPATH": path})
        assert self.process.stdout is not None
        with anyio.fail_after(_START_S):
            line = await _line_with(self.process.stdout, b"ready")
        self.port = int(json.loads(line)["port"])


class MosquittoServer(_ProcessServer):
    """mosquitto, configured as we tell people to (without its disk settings' delays).

    Args:
        folder: where its configuration and its database go.
        extra: more lines for the main listener.
        password: lets in only `user` with this password.
        acl: an access control list.
    """

    def __init__(self, folder: Path, *, extra: str = "", password: str | None = None, acl: str | None = None) -> None:
        super().__init__()
        self._program = require_mosquitto()
        self._folder = folder
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root" if os.getuid() == 0 else "",  # it would drop root and then not read its own folder
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "persistence true",
            f"persistence_location {folder}/",
            "log_dest stderr",
            "log_type information",
            "log_type error",
            "connection_messages false",
            f"allow_anonymous {'false' if password else 'true'}",
        ]
        if password is not None:
            lines.append(f"password_file {self._write_password(password)}")
        if acl is not None:
            lines.append(f"acl_file {self._write('acl', acl)}")
        self._configuration = self._write("mosquitto.conf", "\n".join([*lines, extra, ""]))

    async def start(self) -> None:
        """Start it, and wait for the line that says it listens."""
        command = [self._program, "-c", str(self._configuration)]
        self.process = await anyio.open_process(command, stdout=subprocess.DEVNULL)
        assert self.process.stderr is not None
        with anyio.fail_after(_START_S):
            await _line_with(self.process.stderr, b" running")

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def _write_password(self, password: str) -> Path:
        path = self._write("passwords", f"user:{password}\n")
        subprocess.run([self._password_program(), "-U", str(path)], check=True)
        return path

    def _password_program(self) -> str:
        path = shutil.which("mosquitto_passwd")
        if path is None:
            pytest.skip("mosquitto_passwd is not installed")
        return path


class Cable(_TaskServer):
    """A TCP cable to another server that a test can cut, so that both ends lose their connection."""

    def __init__(self, target: Server) -> None:
        super().__init__()
        self._target = target
        self._connections: set[anyio.CancelScope] = set()

    @asynccontextmanager
    async def _forwarding(self) -> AsyncIterator[None]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._forward)
            yield
            tasks.cancel_scope.cancel()

    async def serve(self) -> AbstractAsyncContextManager[object]:
        """Return what forwards."""
        return self._forwarding()

    def cut(self) -> None:
        """Cut every connection; new ones are forwarded again."""
        for scope in list(self._connections):
            scope.cancel()

    async def _forward(self, near: anyio.abc.SocketStream) -> None:
        with anyio.CancelScope() as scope:
            self._connections.add(scope)
            try:
                async with (
                    near,
                    await anyio.connect_tcp("127.0.0.1", self._target.port) as far,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(_pump, near, far, scope)
                    tasks.start_soon(_pump, far, near, scope)
            except OSError:
                pass  # the target is down; our side closes too
            finally:
                self._connections.discard(scope)


async def _pump(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream, scope: anyio.CancelScope) -> None:
    try:
        async for data in source:
            await sink.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    scope.cancel()


async def _line_with(stream: anyio.abc.ByteReceiveStream, wanted: bytes) -> bytes:
    """Read lines until one contains `wanted`, and return that one."""
    text = b""
    while True:
        try:
            text += await stream.receive()
        except anyio.EndOfStream:
            raise RuntimeError(f"the broker ended: {text.decode(errors='replace')}") from None
        *lines, text = text.split(b"\n")
        for line in lines:
            if wanted in line:
                return line
