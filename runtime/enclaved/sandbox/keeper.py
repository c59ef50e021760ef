"""A loop that keeps processes for the enclave: starts them, kills them, buries them.

Launcher and zygote are both such a loop and differ only in how they start one, and
in what a process can leave behind: a worker cannot fork, so nothing; what a zygote
leaves, the launcher finds and kills before it reports the zygote as ended.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Collection
from typing import NamedTuple

from enclaved.sandbox.control import Ending, Kind, Message, receive, send

__all__ = ["Keeper", "take_control_socket"]


class _Child(NamedTuple):
    pid: int
    serial: int


def take_control_socket() -> socket.socket:
    """Return the socket that the parent passed as stdin, and put /dev/null in its place."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return control


class Keeper:
    """Keeps processes, each under the serial number that the enclave gave it.

    Args:
        control: the enclave's socket; when it closes, every process dies.
        start: starts one process from a `START`'s body and descriptors and returns its id.
        kill_strays: kills what processes have left behind, except those with the given ids.
    """

    def __init__(
        self,
        control: socket.socket,
        *,
        start: Callable[[bytes, list[int]], int],
        kill_strays: Callable[[Collection[int]], None] | None = None,
    ) -> None:
        self._control = control
        self._start = start
        self._kill_strays = kill_strays
        self._children: dict[int, _Child] = {}  # by pidfd: a process id could be another process's by now

    def run(self) -> None:
        """Serve until the enclave closes the control socket; leave no process."""
        events = select.poll()
        events.register(self._control, select.POLLIN)
        try:
            while True:
                for descriptor, _ in events.poll():
                    if descriptor in self._children:
                        events.unregister(descriptor)
                        self._bury(descriptor)
                    elif (started := self._obey()) is None:
                        return
                    else:
                        for pidfd in started:
                            events.register(pidfd, select.POLLIN)
        finally:
            self._kill_all()

    def _obey(self) -> list[int] | None:
        """Do what one message says; return what is to be watched since, None at the end."""
        received = receive(self._control)
        if received is None:
            return None
        message, descriptors = received
        try:
            match message.kind:
                case Kind.START:
                    return self._begin(message, descriptors)
                case Kind.KILL:
                    self._kill(message.serial)
                    return []
                case _:
                    raise ValueError(f"{message.kind.name} is not a word that the enclave says")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _begin(self, message: Message, descriptors: list[int]) -> list[int]:
        try:
            pid = self._start(message.body, descriptors)
        except (OSError, ValueError) as error:
            send(self._control, Message(Kind.FAILED, message.serial, str(error).encode()[:1024]))
            return []
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = _Child(pid, message.serial)
        return [pidfd]

    def _kill(self, serial: int) -> None:
        for pidfd, child in self._children.items():
            if child.serial == serial:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _kill_all(self) -> None:
        for pidfd, child in self._children.items():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        if self._kill_strays is not None:
            self._kill_strays(())

    def _bury(self, pidfd: int) -> None:
        child = self._children.pop(pidfd)
        _, status, usage = os.wait4(child.pid, 0)
        os.close(pidfd)
        if self._kill_strays is not None:
            self._kill_strays({other.pid for other in self._children.values()})
        ending = Ending(status, peak_bytes=usage.ru_maxrss * 1024, cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1000))
        send(self._control, Message(Kind.ENDED, child.serial, ending.encode()))
