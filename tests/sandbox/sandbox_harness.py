"""A sandbox under test, and what the kernel says about its processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from enclaved.clock import SystemClock
from enclaved.sandbox.engine import Engine, Function
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.limits import Limits, PoolSize
from enclaved.sandbox.outcome import Execution
from enclaved.sandbox.python_engine import PythonEngine
from enclaved.sandbox.wasm_engine import WasmEngine

HONEST = b"an honest input"

WARM = PoolSize(spares=2, processes=2, waiting=256)
"""Two processes that serve one invocation after another."""


@dataclass(kw_only=True)
class Sandbox:
    """An engine with its launcher, and a folder to write functions into."""

    engine: Engine
    launcher: LauncherLink
    folder: Path
    limits: Limits = field(default_factory=lambda: Limits(time_ms=8_000, memory_mib=128))

    def write(
        self,
        source: str,
        *,
        name: str = "probe",
        preload: tuple[str, ...] = (),
        limits: Limits | None = None,
        entrypoint: str = "handler:handle",
    ) -> Function:
        """Write a function's only module and describe it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "handler.py").write_text(source, encoding="utf-8")
        return Function(name=name, folder=folder, entrypoint=entrypoint, preload=preload, limits=limits or self.limits)

    async def call(
        self,
        source: str,
        payload: bytes = b"",
        *,
        preload: tuple[str, ...] = (),
        limits: Limits | None = None,
    ) -> Execution:
        """Start a function written for this one call, and call it."""
        await self.engine.start(self.write(source, preload=preload, limits=limits))
        return await self.run(payload)

    async def run(self, payload: bytes = b"", *, name: str = "probe") -> Execution:
        """Call a function that was started."""
        return await self.engine.run(name, payload, timeout_s=10)

    def zygotes(self) -> list[int]:
        """Return the process ids of the zygotes, which bubblewrap stands in front of at level `full`."""
        started = children(self.launcher.pid)
        return [zygote for pid in started for zygote in (children(pid) if comm(pid) == "bwrap" else [pid])]


def comm(pid: int) -> str:
    """Return what a process is called, "" for one that is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> list[int]:
    """Return the process ids of all that descend from a process."""
    found = children(pid)
    return found + [grandchild for child in found for grandchild in descendants(child)]


async def is_gone(pid: int) -> bool:
    """Wait until a process is over; False when it is not within five seconds."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        with anyio.move_on_after(5):
            await anyio.wait_readable(pidfd)
            return True
        return False
    finally:
        os.close(pidfd)


def kill(pid: int) -> None:
    """Kill a process as the host could."""
    os.kill(pid, signal.SIGKILL)


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Sign:
    """A full pipe, from which a function takes something to tell its test that it has come to a certain place.

    Taking is all that it can do: it may not write to anything. As it calls itself
    `SIGNALLER` as well, the test finds its process.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        os.mkfifo(path)
        path.chmod(0o644)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._seen: set[int] = set()
        self._fill()

    async def wait(self) -> int:
        """Wait for a function that gives a sign; return its process id."""
        await anyio.wait_writable(self._descriptor)
        self._fill()
        (pid,) = {pid for pid in descendants(os.getpid()) if comm(pid) == SIGNALLER} - self._seen
        self._seen.add(pid)
        return pid

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)

    def _fill(self) -> None:
        try:
            while True:
                os.write(self._descriptor, bytes(4096))
        except BlockingIOError:
            pass


SIGNALLER = "signaller"

GIVE_SIGN = f"""
import ctypes, os, time
def give_sign(path):
    ctypes.CDLL(None).prctl(15, b"{SIGNALLER}")  # PR_SET_NAME
    pipe = os.open(path, os.O_RDONLY)
    os.read(pipe, 65536)
    os.close(pipe)
"""

SLOW = (
    GIVE_SIGN
    + """
def handle(payload):
    print("started", flush=True)
    give_sign(payload.decode())
    time.sleep(60)
"""
)
"""A function whose input is the path of a `Sign`, and that never ends by itself."""


async def ask(sandbox: Sandbox, expression: str) -> object:
    """Evaluate an expression in a worker."""
    source = f"import json, os, resource, sys\ndef handle(payload): return json.dumps({expression}).encode()"
    execution = await sandbox.call(source)
    return json.loads(execution.output)


@asynccontextmanager
async def open_sandbox(
    folder: Path,
    *,
    size: PoolSize,
    layers: frozenset[Layer] | None = None,
    engine: type[PythonEngine | WasmEngine] = PythonEngine,
) -> AsyncIterator[Sandbox]:
    """Open a sandbox of the best level, or of these layers alone."""
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        opened = engine(launcher=launcher, tasks=tasks, clock=SystemClock(), size=size, layers=layers)
        try:
            yield Sandbox(engine=opened, launcher=launcher, folder=folder)
        finally:
            with anyio.CancelScope(shield=True):
                await opened.aclose()
                await launcher.aclose()
