"""A process that a runtime consists of: started, watched, started again, and ended in time.

Each says on its standard output, in lines of JSON, what it does, and when others can
come; what it logs goes to the terminal. It lives in a session of its own, so that a
terminal's Ctrl-C reaches only the one who started it and can end all of them in order.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import Process, TaskStatus

from enclaved.errors import SandboxError

__all__ = ["Child", "ChildEvent"]

_FIRST_PAUSE_S = 0.2
_LAST_PAUSE_S = 5.0
_STEADY_S = 10.0  # who lived this long is started again at once
_MAX_LINE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEvent:
    """What a child said, or that it ended.

    Attributes:
        child: its name.
        event: the event's name; ``"exited"`` when it ended by itself.
        fields: what else it said.
    """

    child: str
    event: str
    fields: dict[str, Any]


class Child:
    """One process of a runtime.

    Args:
        name: for people.
        command: starts it.
        ready: the event by which it says that others can come.
        observer: told what it says.

    Attributes:
        name: for people.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, ready: str, observer: Callable[[ChildEvent], None]
    ) -> None:
        self.name = name
        self._command = list(command)
        self._ready = ready
        self._observer = observer
        self._process: Process | None = None
        self._stopping = False
        self._was_ready = False

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return None if self._process is None else self._process.pid

    async def keep(self, *, task_status: TaskStatus[dict[str, Any]] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run it, again and again; reports started, with what came along, once it is ready.

        Raises:
            SandboxError: it ended before it was ever ready.
        """
        pause = _FIRST_PAUSE_S
        while True:
            begun = anyio.current_time()
            returncode = await self._run(task_status)
            if self._stopping:
                return
            if not self._was_ready:
                raise SandboxError(f"{self.name} ended with exit code {returncode} before it was ready")
            self._observer(ChildEvent(child=self.name, event="exited", fields={"returncode": returncode}))
            pause = _FIRST_PAUSE_S if anyio.current_time() - begun > _STEADY_S else min(2 * pause, _LAST_PAUSE_S)
            await anyio.sleep(pause)

    async def stop(self, *, within_s: float) -> None:
        """End it: politely, and after that time by force."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        with anyio.move_on_after(within_s, shield=True):
            await process.wait()
            return
        process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()

    async def _run(self, task_status: TaskStatus[dict[str, Any]]) -> int:
        self._process = await anyio.open_process(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None, start_new_session=True
        )
        try:
            await self._listen(self._process, task_status)
            return await self._process.wait()
        finally:
            if self._process.returncode is None:
                with anyio.CancelScope(shield=True):
                    await self.stop(within_s=1.0)
            await self._process.aclose()

    async def _listen(self, process: Process, task_status: TaskStatus[dict[str, Any]]) -> None:
        buffer = bytearray()
        if process.stdout is None:
            raise SandboxError(f"{self.name} has no standard output")
        async for chunk in process.stdout:
            buffer += chunk
            while (end := buffer.find(b"\n")) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                self._say(line, task_status)
            if len(buffer) > _MAX_LINE:
                raise SandboxError(f"{self.name} says more than a line holds")

    def _say(self, line: bytes, task_status: TaskStatus[dict[str, Any]]) -> None:
        try:
            fields = json.loads(line)
            event = fields.pop("event")
        except (ValueError, KeyError, AttributeError, TypeError):
            return  # not one of our lines; a library that prints does not end a runtime
        if not self._was_ready and event == self._ready:
            self._was_ready = True
            task_status.started(fields)
        self._observer(ChildEvent(child=self.name, event=str(event), fields=fields))
