"""The processes of one function: a zygote, its spares, and those that run.

A spare is taken for one invocation, and is on offer again only if it is of the kind
that serves several. Every process counts against the pool's
size until its zygote has reported that nothing of it is left. When the zygote
dies, its spares go with it, and whoever waits goes on waiting for the next one's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from enclaved.errors import SandboxError
from enclaved.sandbox.engine import OverloadedError
from enclaved.sandbox.keeper_link import Child, KeeperLink
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.limits import PoolSize
from enclaved.sandbox.refusal import read_refusal
from enclaved.sandbox.worker import Condition, Worker

__all__ = ["Pool"]

# Forking takes a millisecond of a processor that the invocation which has just taken a
# spare wants: as long as another spare is there, the next fork lets it go first.
_BREATH_S: Final = 0.005
_ZYGOTE_BURIAL_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0


class Pool:
    """Keeps one function's processes.

    Args:
        name: the function's name, for messages.
        assignment: what launcher and zygote are told.
        launcher: starts the zygotes.
        size: how many processes there may be.
        layers: those that the zygote must prove, as it names them.
        kind: what its workers are.
    """

    def __init__(
        self,
        name: str,
        assignment: bytes,
        *,
        launcher: LauncherLink,
        size: PoolSize,
        layers: frozenset[Layer],
        kind: type[Worker] = Worker,
    ) -> None:
        self._name = name
        self._assignment = assignment
        self._launcher = launcher
        self._size = size
        self._proof = ",".join(sorted(layers))
        self._kind = kind
        self._offer, self._offered = anyio.create_memory_object_stream[Worker](size.spares)
        self._count_anew()
        self._waiting = 0
        self._link: KeeperLink | None = None
        self._stopping = anyio.Event()
        self._stopped = anyio.Event()

    async def keep(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep a zygote and its spares until `stop`; reports started when the first zygote is ready.

        Raises:
            ConfigurationError: the function cannot be run as it is written.
            SandboxError: the first zygote does not start, or a dead one cannot be buried.
        """
        pause = _FIRST_PAUSE_S
        has_started = False

        def report_ready() -> None:
            nonlocal has_started, pause
            pause = _FIRST_PAUSE_S
            if not has_started:
                has_started = True
                task_status.started()

        try:
            while not self._stopping.is_set():
                problem = await self._live(report_ready)
                if not has_started:
                    raise read_refusal(problem, function=self._name)
                with anyio.move_on_after(pause):
                    await self._stopping.wait()
                pause = min(pause * 2, _LONGEST_PAUSE_S)
        finally:
            self._offer.close()
            self._offered.close()
            self._stopped.set()

    async def take(self) -> Worker:
        """Take a spare, or wait for one.

        Raises:
            OverloadedError: too many wait already.
            SandboxError: the function was stopped.
        """
        while True:
            try:
                worker = self._offered.receive_nowait()
            except anyio.WouldBlock:
                worker = await self._wait()
            except (anyio.EndOfStream, anyio.ClosedResourceError) as error:
                raise SandboxError(f"function {self._name} was stopped") from error
            self._spares.release()
            if not worker.has_died_idle():
                return worker
            worker.dismiss()

    def give_back(self, worker: Worker) -> None:
        """Take a worker back after its invocation: onto the offer if it can serve another, else it ends."""
        try:
            if not worker.may_serve_again() or self._link is None or self._link.is_over:
                worker.dismiss()
                return
            self._spares.acquire_nowait()
            self._offer.send_nowait(worker)
        except (anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
            worker.dismiss()  # the pool has as many spares as it wants, or has been stopped

    async def stop(self) -> None:
        """End every process of the function and wait until none is left."""
        self._stopping.set()
        if self._link is not None:
            self._link.shut_down()
        await self._stopped.wait()

    async def _wait(self) -> Worker:
        if self._waiting >= self._size.waiting:
            raise OverloadedError(f"function {self._name}: {self._waiting} invocations wait already")
        self._waiting += 1
        try:
            return await self._offered.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError) as error:
            raise SandboxError(f"function {self._name} was stopped") from error
        finally:
            self._waiting -= 1

    async def _live(self, report_ready: Callable[[], None]) -> str:
        """Live through one zygote, from its start to its burial; return what was wrong with it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            zygote = self._launcher.start(self._assignment, [theirs.fileno()])
        self._count_anew()
        link = self._link = KeeperLink(ours)
        link.introduce(self._assignment)
        try:
            # Attendants outlive the zygote: whoever runs a worker still reads what it has said.
            async with anyio.create_task_group() as attendants, anyio.create_task_group() as tasks:
                tasks.start_soon(self._fill, link, zygote, attendants, report_ready, name=f"spares of {self._name}")
                await link.listen()
                tasks.cancel_scope.cancel()
                self._discard_spares()
        finally:
            self._launcher.kill(zygote)
            link.close()
        with anyio.move_on_after(_ZYGOTE_BURIAL_S):
            await zygote.wait()
        if not zygote.is_over:
            raise SandboxError(f"function {self._name}: the launcher does not bury its zygote")
        return link.problem or zygote.problem or "it died"

    async def _fill(
        self, link: KeeperLink, zygote: Child, attendants: TaskGroup, report_ready: Callable[[], None]
    ) -> None:
        """Keep as many spares as the pool's size says, once the zygote is ready."""
        proof = await link.ready()
        if link.is_over or proof != self._proof:
            link.give_up(link.problem or f"it has the layers {proof or 'none'}, not {self._proof}")
            return
        report_ready()
        while True:
            await self._processes.acquire()
            await self._spares.acquire()
            if self._offered.statistics().current_buffer_used:
                await anyio.sleep(_BREATH_S)
            worker = self._kind.spawn(link)
            attendants.start_soon(worker.log.drain, name=f"log of {self._name}")
            attendants.start_soon(self._attend, worker, link, zygote, name=f"worker of {self._name}")

    async def _attend(self, worker: Worker, link: KeeperLink, zygote: Child) -> None:
        """See one worker from its start to its burial."""
        try:
            await worker.load()
            if worker.condition() is Condition.DEAD:
                await worker.end()
            if link.is_over:
                return  # what was on offer has been discarded already
            self._offer.send_nowait(worker)  # there is room: `_spares` counts what is on offer
            await worker.dismissed.wait()
            await worker.end()
            if not worker.child.is_over:
                self._launcher.kill(zygote)  # it does not do its work, perhaps because a function stopped it
        finally:
            worker.dismiss()
            self._processes.release()

    def _count_anew(self) -> None:
        """Count from zero, as each zygote starts with no process; nothing of the one before is left."""
        self._spares = anyio.Semaphore(self._size.spares)  # loading or on offer
        self._processes = anyio.Semaphore(self._size.processes)  # not yet reported as gone

    def _discard_spares(self) -> None:
        while self._offered.statistics().current_buffer_used:
            self._offered.receive_nowait().dismiss()
