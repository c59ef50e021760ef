"""Messages between the enclave and those who keep processes for it.

Launcher and zygote speak the same few words: start a process, kill it, it has
ended. Each message is one packet of a SOCK_SEQPACKET socket: a kind (1 byte), the
process's serial number (8 bytes, chosen by the enclave) and a body. Descriptors
travel from the enclave only: with `START` it gives the new process its ends of
sockets that it made itself, and it never takes one, so no keeper sees what passes.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["MAX_MESSAGE", "Ending", "Kind", "Message", "receive", "send"]

MAX_MESSAGE: Final = 16 * 1024
_MAX_DESCRIPTORS: Final = 2
_HEADER: Final = struct.Struct(">BQ")
_ENDING: Final = struct.Struct(">IQQ")


class Kind(IntEnum):
    """What a message says."""

    START = 1  # enclave: start a process; the body says which
    KILL = 2  # enclave: SIGKILL it, if it still is there
    READY = 3  # keeper: STARTs are welcome; the body says at which isolation level
    FAILED = 4  # keeper: it did not start, or for serial 0 the keeper itself did not; the body says why
    ENDED = 5  # keeper: it ended, and nothing that it started is left; the body says how


class Message(NamedTuple):
    """One message."""

    kind: Kind
    serial: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the message as one packet."""
        return _HEADER.pack(self.kind, self.serial) + self.body

    @classmethod
    def decode(cls, packet: bytes) -> Message:
        """Read one packet.

        Raises:
            ValueError: it is too short, too long, or of no known kind.
        """
        if not _HEADER.size <= len(packet) <= MAX_MESSAGE:
            raise ValueError("a control message has a wrong size")
        kind, serial = _HEADER.unpack_from(packet)
        return cls(Kind(kind), serial, packet[_HEADER.size :])


class Ending(NamedTuple):
    """How a process ended.

    Attributes:
        status: as ``waitpid`` gives it.
        peak_bytes: the most memory that it had resident.
        cpu_ms: the processor time that it used.
    """

    status: int
    peak_bytes: int
    cpu_ms: int

    @property
    def signal(self) -> int:
        """Return the signal that ended it, or 0."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0

    @property
    def exit_status(self) -> int:
        """Return the status that it exited with; 0 when a signal ended it."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else 0

    def encode(self) -> bytes:
        """Return the body of an `ENDED` message."""
        return _ENDING.pack(*self)

    @classmethod
    def decode(cls, body: bytes) -> Ending:
        """Read the body of an `ENDED` message.

        Raises:
            ValueError: it has a wrong size.
        """
        if len(body) != _ENDING.size:
            raise ValueError("an ENDED message has a wrong size")
        return cls(*_ENDING.unpack(body))


def send(control: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message, and with it copies of `descriptors`."""
    socket.send_fds(control, [message.encode()], list(descriptors))


def receive(control: socket.socket) -> tuple[Message, list[int]] | None:
    """Wait for one message and the descriptors that came with it; None at the end.

    Raises:
        ValueError: what came is no message of ours.
    """
    packet, descriptors, flags, _ = socket.recv_fds(control, MAX_MESSAGE, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not packet:
        return None
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise ValueError("a control message was cut")
    return Message.decode(packet), descriptors
