"""The enclave's end of a keeper's control socket.

The launcher and each zygote have one. It gives every process a serial number,
hears how processes end, and takes the end of the socket for the end of them all.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence

import anyio

from enclaved.sandbox.control import MAX_MESSAGE, Ending, Kind, Message, send

__all__ = ["Child", "KeeperLink"]


class Child:
    """A process that a keeper was asked to start.

    Attributes:
        serial: the number that enclave and keeper know it by.
        ending: how it ended; None while it lives, and when its keeper died before telling.
        problem: why it could not be started, if so.
    """

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.ending: Ending | None = None
        self.problem = ""
        self._ended = anyio.Event()

    @property
    def is_over(self) -> bool:
        """Return whether it has ended, or was never started."""
        return self._ended.is_set()

    async def wait(self) -> None:
        """Wait until it has ended and nothing that it started is left."""
        await self._ended.wait()

    def end(self, *, ending: Ending | None = None, problem: str = "") -> None:
        """Record that it is over."""
        self.ending = ending
        self.problem = problem
        self._ended.set()


class KeeperLink:
    """Speaks to one keeper.

    Args:
        control: the enclave's end of the control socket, which the link owns.
    """

    def __init__(self, control: socket.socket) -> None:
        control.settimeout(0)
        self._control = control
        self._serials = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._itself = Child(0)
        self._ready = anyio.Event()
        self._level = ""

    @property
    def problem(self) -> str:
        """Return why the keeper cannot keep processes, as far as it could tell."""
        return self._itself.problem

    @property
    def is_over(self) -> bool:
        """Return whether the keeper is dead or given up, and so is every process that it kept."""
        return self._itself.is_over

    async def ready(self) -> str:
        """Wait until the keeper takes orders; return the isolation level that it has, or "" if it died."""
        await self._ready.wait()
        return self._level

    def introduce(self, body: bytes) -> None:
        """Tell a keeper what it is to keep, before anything else."""
        self._send(Message(Kind.START, 0, body))

    def start(self, body: bytes, descriptors: Sequence[int]) -> Child:
        """Ask for a process, which gets copies of `descriptors`; it can be killed at once."""
        child = Child(next(self._serials))
        if self.is_over:
            child.end()
        else:
            self._children[child.serial] = child
            self._send(Message(Kind.START, child.serial, body), descriptors)
        return child

    def kill(self, child: Child) -> None:
        """Have a process killed, if it still lives."""
        if not child.is_over:
            self._send(Message(Kind.KILL, child.serial))

    async def listen(self) -> None:
        """Hear how processes end, until the keeper dies; then all of them are over."""
        try:
            while True:
                try:
                    packet = self._control.recv(MAX_MESSAGE)  # recv, not recvmsg: descriptors are not taken
                except BlockingIOError:
                    await anyio.wait_readable(self._control)
                    continue
                except ConnectionResetError:
                    return
                if not packet:
                    return
                self._hear(packet)
        except (ValueError, KeyError) as error:
            self.give_up(f"it does not follow the protocol: {error}")
        finally:
            self._lose_all()

    def give_up(self, problem: str) -> None:
        """End the conversation because of a problem."""
        self._itself.end(problem=problem)
        self.shut_down()

    def shut_down(self) -> None:
        """End the conversation; the keeper then ends, and with it everything that it keeps."""
        try:
            self._control.shutdown(socket.SHUT_RDWR)  # `listen` sees the end, as if the keeper had died
        except OSError:
            return  # it has

    def close(self) -> None:
        """Close the socket, once `listen` has returned."""
        self._control.close()
        self._lose_all()

    def _hear(self, packet: bytes) -> None:
        message = Message.decode(packet)
        match message.kind:
            case Kind.READY:
                self._level = message.body.decode()
                self._ready.set()
            case Kind.ENDED:
                self._children.pop(message.serial).end(ending=Ending.decode(message.body))
            case Kind.FAILED:
                child = self._children.pop(message.serial) if message.serial else self._itself
                child.end(problem=message.body.decode(errors="replace"))
            case Kind.START | Kind.KILL:
                raise ValueError(f"{message.kind.name} is not a word that a keeper says")

    def _send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send without waiting: a keeper that has stopped reading is as good as dead."""
        try:
            send(self._control, message, descriptors)
        except OSError:
            if self._control.fileno() >= 0:
                self.shut_down()

    def _lose_all(self) -> None:
        for child in self._children.values():
            child.end()
        self._children.clear()
        if not self.is_over:
            self._itself.end()
        self._ready.set()
