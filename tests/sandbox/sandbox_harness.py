"""A sandbox under test, and what the kernel says about its processes."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from enclaved.sandbox.engine import Engine, Function
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Execution

HONEST = b"an honest input"


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
        """Return the process ids of the zygotes."""
        return children(self.launcher.pid)


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
    """A named pipe on which a function tells its test that it has come to a certain place."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # a writer of our own: no end between two signs

    async def wait(self) -> int:
        """Wait for a function that runs `SIGN`; return its process id."""
        await anyio.wait_readable(self._descriptor)
        return int(os.read(self._descriptor, 16))

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)


GIVE_SIGN = """
import os, time
def give_sign(path):
    with open(path, "wb", buffering=0) as pipe:
        pipe.write(b"%d" % os.getpid())
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
