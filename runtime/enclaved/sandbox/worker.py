"""A worker: the process that serves invocations, as the enclave has it.

Input and answer pass through a socket pair that the enclave made for this worker
alone, so neither launcher nor zygote sees them. Everything that comes out of it is
the word of whoever wrote the function.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from enum import Enum, auto
from typing import Final, Self

import anyio

from enclaved.errors import SandboxError
from enclaved.sandbox.answer import Answer, AnswerReader
from enclaved.sandbox.channel import CONFINED, INPUT_LENGTH, LOADED, NOT_LOADED
from enclaved.sandbox.keeper_link import Child, KeeperLink
from enclaved.sandbox.limits import LOAD_TIME_S
from enclaved.sandbox.log_reader import LogReader

__all__ = ["Condition", "InputUnreadError", "Worker"]

_BURIAL_S: Final = 2.0  # a zygote that needs longer to bury a killed worker is killed itself

_CHUNK: Final = 256 * 1024
_MARKS: Final = (CONFINED + LOADED, CONFINED + NOT_LOADED)


class Condition(Enum):
    """What a worker is good for, before it is given an input."""

    LOADING = auto()
    LOADED = auto()
    TOO_SLOW = auto()  # its module did not load in time
    DISOBEDIENT = auto()  # it spoke out of turn
    DEAD = auto()


class InputUnreadError(SandboxError):
    """A worker died before it had read its whole input: nothing has happened yet."""


class Worker:
    """One process, for one invocation; `warm_worker.py` has the kind that serves several.

    Args:
        child: the process, as its zygote's link knows it.
        link: the zygote's link.
        channel: the enclave's end of the worker's socket pair.
        log: the reader of what it prints.
    """

    def __init__(self, child: Child, link: KeeperLink, channel: socket.socket, log: LogReader) -> None:
        self.child = child
        self.log = log
        self.dismissed = anyio.Event()
        self._link = link
        self._channel = channel
        self._marks = b""
        self._condition = Condition.LOADING
        self._buried_by = 0.0

    @classmethod
    def spawn(cls, link: KeeperLink) -> Self:
        """Ask a zygote for a worker."""
        with ExitStack() as ours, ExitStack() as theirs:
            channel, their_channel = socket.socketpair()
            ours.callback(channel.close)
            theirs.callback(their_channel.close)
            log, their_log = os.pipe2(os.O_CLOEXEC)
            ours.callback(os.close, log)
            theirs.callback(os.close, their_log)
            channel.settimeout(0)
            child = link.start(b"", [their_channel.fileno(), their_log])
            worker = cls(child, link, channel, LogReader(log))
            ours.pop_all()
        return worker

    @property
    def is_confined(self) -> bool:
        """Return whether it has locked itself down, which it does before any code of the function runs."""
        return self._marks.startswith(CONFINED)

    @property
    def has_loaded(self) -> bool:
        """Return whether it has said that it waits for an input."""
        return self._marks in _MARKS

    @property
    def has_failed_to_load(self) -> bool:
        """Return whether it has said that the function's module cannot be executed."""
        return self._marks.endswith(NOT_LOADED)

    async def load(self) -> None:
        """Wait until the function's module is executed, or it is clear that it will not be."""
        self._condition = Condition.TOO_SLOW
        with anyio.move_on_after(LOAD_TIME_S):
            while not self.has_loaded:
                part = await self._receive(len(_MARKS[0]) - len(self._marks))
                self._marks += part
                if not part:
                    self._condition = Condition.DEAD
                    return
                if not any(marks.startswith(self._marks) for marks in _MARKS):
                    self._condition = Condition.DISOBEDIENT
                    return
            self._condition = Condition.LOADED

    def condition(self) -> Condition:
        """Return what it is good for now; as a spare it may have died, or spoken unasked."""
        if self._condition is Condition.LOADED:
            try:
                said = self._channel.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                pass
            except OSError:
                self._condition = Condition.DEAD
            else:
                self._condition = Condition.DISOBEDIENT if said else Condition.DEAD
        return self._condition

    async def exchange(self, payload: bytes, *, output_bytes: int) -> Answer:
        """Give it its input and read its answer to the end.

        Raises:
            OutputTooLargeError: the output would be longer than `output_bytes`.
            NoAnswerError: it closed its channel before it had answered.
            ProtocolError: what came is no answer.
        """
        reader = AnswerReader(output_bytes=output_bytes)
        try:
            await self._send(INPUT_LENGTH.pack(len(payload)), payload)
            while not self._is_over(reader) and (part := await self._receive(_CHUNK)):
                reader.feed(part)
        except (BrokenPipeError, ConnectionResetError) as error:
            # Linux says so, and does not just end the stream, when what we wrote was not read to its end.
            raise InputUnreadError("a worker died before it had read its input") from error
        return reader.finish()

    def has_died_idle(self) -> bool:
        """Return whether it is dead through no deed of the function's, so that another is to be taken."""
        return False  # one that serves a single invocation has run the function's module by now

    def may_serve_again(self) -> bool:
        """Return whether it can be given another input, now that it has answered one."""
        return False

    @property
    def is_lost(self) -> bool:
        """Return whether it died with its zygote, so that nobody knows how."""
        return self.child.is_over and self.child.ending is None and not self.child.problem

    async def end(self) -> None:
        """Kill it, if it still lives, and wait until nothing of it is left, though never longer than two seconds."""
        self._link.kill(self.child)
        now = anyio.current_time()
        self._buried_by = self._buried_by or now + _BURIAL_S  # a second call gives the zygote no more time
        with anyio.move_on_after(self._buried_by - now):
            await self.child.wait()

    def dismiss(self) -> None:
        """Kill it and let go of it; nothing of it is read any more."""
        self._link.kill(self.child)
        self.log.close()
        if self._channel.fileno() >= 0:
            anyio.notify_closing(self._channel)
            self._channel.close()
        self.dismissed.set()

    def _is_over(self, reader: AnswerReader) -> bool:
        """Return whether no more is to be read: not before the end, which shows that nothing follows."""
        return False

    async def _send(self, *parts: bytes) -> None:
        buffers = [memoryview(part) for part in parts if part]
        while buffers:
            try:
                sent = self._channel.sendmsg(buffers)
            except BlockingIOError:
                await anyio.wait_writable(self._channel)
                continue
            while buffers and sent >= len(buffers[0]):
                sent -= len(buffers.pop(0))
            if sent:
                buffers[0] = buffers[0][sent:]

    async def _receive(self, size: int) -> bytes:
        """Return what comes next, b"" at the end. recv, not recvmsg: descriptors sent along are dropped."""
        while self._channel.fileno() >= 0:
            try:
                return self._channel.recv(size)
            except BlockingIOError:
                try:
                    await anyio.wait_readable(self._channel)
                except anyio.ClosedResourceError:
                    break
        return b""
