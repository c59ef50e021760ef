"""The product as its users start it: `enclaved up` and other commands, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import enclaved

__all__ = ["FUNCTIONS", "Finished", "Up", "descendants", "is_running", "run", "up", "wait_until_gone", "write_function"]

FUNCTIONS = Path(__file__).parents[1] / "functions"
_PACKAGES = str(Path(enclaved.__file__).parents[1])
ENVIRONMENT = {**os.environ, "PYTHONPATH": _PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"}
_COMMAND = (sys.executable, "-B", "-m", "enclaved")


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: bytes
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its output, as the one JSON document that it has to be."""
        value: dict[str, Any] = json.loads(self.out)
        return value


async def run(
    *arguments: str, cwd: Path, stdin: bytes = b"", timeout_s: float = 40, temporary: Path | None = None
) -> Finished:
    """Run a command to its end, with a temporary folder of its own where one is given."""
    environment = _environment(temporary)
    with anyio.fail_after(timeout_s):
        done = await anyio.run_process([*_COMMAND, *arguments], input=stdin, check=False, cwd=cwd, env=environment)
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr.decode())


@dataclass
class Up:
    """`enclaved up`, while it runs."""

    process: anyio.abc.Process
    folder: Path
    ready: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)
    said_all: anyio.Event = field(default_factory=anyio.Event)

    @property
    def broker(self) -> str:
        """The broker's URL."""
        return str(self.ready["broker"])

    @property
    def runtime_id(self) -> str:
        """The runtime's name."""
        return str(self.ready["runtime_id"])

    @property
    def policy(self) -> Path:
        """The policy that it wrote for itself."""
        return Path(self.ready["policy"])

    @property
    def access(self) -> tuple[str, ...]:
        """The options by which a command reaches it."""
        return (f"--broker={self.broker}", f"--namespace={self.ready['namespace']}")

    async def invoke(self, name: str, *arguments: str, stdin: bytes = b"", timeout_s: float = 40) -> Finished:
        """Run `enclaved invoke --json` against it, with its own policy."""
        given = [name, *arguments, f"--policy={self.policy}", *self.access, f"--runtime={self.runtime_id}", "--json"]
        return await run("invoke", *given, cwd=self.folder, stdin=stdin, timeout_s=timeout_s)

    @property
    def counters(self) -> dict[str, int]:
        """What its gateway had counted when it stopped."""
        stopped = [line for line in self.lines if line["event"] == "stopped"]
        counters: dict[str, int] = stopped[-1]["counters"]
        return counters

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal, and return the seconds until it has ended."""
        start = anyio.current_time()
        self.process.send_signal(how)
        with anyio.fail_after(10):
            await self.process.wait()
        seconds = anyio.current_time() - start
        with anyio.fail_after(10):
            await self.said_all.wait()
        return seconds


@asynccontextmanager
async def up(
    folder: Path, *arguments: str, functions: Path = FUNCTIONS, temporary: Path | None = None
) -> AsyncIterator[Up]:
    """Run `enclaved up --json` in a folder of its own; its broker takes a free port where none is named.

    What it writes to standard error, the host's log, is kept. Where a temporary folder is given, it gets
    no other.
    """
    process = await anyio.open_process(
        [*_COMMAND, "up", f"--functions={functions}", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=_environment(temporary),
        start_new_session=True,
    )
    async with process, anyio.create_task_group() as tasks:
        running = Up(process=process, folder=folder, ready={})
        said = anyio.Event()
        tasks.start_soon(_read_all, running, said)
        try:
            with anyio.fail_after(45):
                await said.wait()
            assert running.ready, running.log.decode()
            yield running
        finally:
            if process.returncode is None:
                with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                    process.terminate()
                    await process.wait()
            tasks.cancel_scope.cancel()


def _environment(temporary: Path | None) -> dict[str, str]:
    return ENVIRONMENT if temporary is None else {**ENVIRONMENT, "TMPDIR": str(temporary)}


async def _read_all(running: Up, said: anyio.Event) -> None:
    async with anyio.create_task_group() as reading:
        reading.start_soon(_read_lines, running, said)
        reading.start_soon(_read_log, running)
    running.said_all.set()


async def _read_lines(running: Up, said: anyio.Event) -> None:
    assert running.process.stdout is not None
    buffer = b""
    async for chunk in running.process.stdout:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            running.lines.append(json.loads(line))
            if running.lines[-1]["event"] == "ready":
                running.ready = running.lines[-1]
                said.set()
    said.set()


async def _read_log(running: Up) -> None:
    assert running.process.stderr is not None
    async for chunk in running.process.stderr:
        running.log += chunk


def descendants(pid: int) -> set[int]:
    """Return all processes below a process, now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(stat[1]), []).append(int(entry.name))
    found: set[int] = set()
    left = [pid]
    while left:
        for child in children.get(left.pop(), []):
            found.add(child)
            left.append(child)
    return found


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def wait_until_gone(pids: set[int], *, within_s: float) -> None:
    """Wait until none of these processes runs any more; the kernel has no word for it that one could wait on."""
    with anyio.fail_after(within_s):
        while any(is_running(pid) for pid in pids):  # noqa: ASYNC110 - processes of others send no event
            await anyio.sleep(0.05)


def write_function(folder: Path, name: str, code: str, *, manifest: str = "") -> Path:
    """Write a function, its handler from code and its manifest from defaults and more lines."""
    target = folder / name
    target.mkdir(parents=True)
    head = f'name = "{name}"\nversion = "1"\nengine = "python"\nentrypoint = "handler:handle"\n'
    callers = "" if "callers" in manifest else 'callers = "any"\n'
    (target / "function.toml").write_text(head + callers + manifest)
    (target / "handler.py").write_text(code)
    return target
