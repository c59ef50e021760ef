"""A security module of AWS Nitro that signs for real, behind the kernel's ioctl.

It reads the message where the kernel would: at the addresses in ``struct nsm_msg``.
The documents are those of the verifier's forgery, under a root of the test's.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import cbor2

__all__ = ["FakeNsm"]


@dataclass
class FakeNsm:
    """The module: what it answers, and which requests it has seen.

    Attributes:
        sign: makes a document that carries user data.
        answer: what is answered in place of a document, if anything.
        length: what the module says of the response's length, if not the truth.
        error: what the system call fails with, if it does.
    """

    sign: Callable[[bytes], bytes]
    answer: bytes | None = None
    length: int | None = None
    error: OSError | None = None
    requests: list[object] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def ioctl(self, descriptor: int, request: int, message: bytearray, /) -> int:
        """Answer as the driver does: into the room that the message names, and the length into the message."""
        if self.error is not None:
            raise self.error
        asked_at, asked, room_at, room = struct.unpack("=QQQQ", message)
        decoded = cbor2.loads(ctypes.string_at(asked_at, asked))
        self.requests.append(decoded)
        self.codes.append(request)
        answer = self.answer
        if answer is None:
            user_data = decoded["Attestation"]["user_data"]
            answer = cbor2.dumps({"Attestation": {"document": self.sign(user_data)}})
        assert len(answer) <= room
        ctypes.memmove(room_at, answer, len(answer))
        message[24:32] = struct.pack("=Q", len(answer) if self.length is None else self.length)
        return 0
