"""Bytes on the link between gateway and enclave, in both directions.

The gateway must bear whatever an enclave sends, and the enclave whatever a host
sends: a wrong frame costs the connection, raises nothing but our own errors, and
leaves nobody waiting.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import anyio
from enclaved.enclave.listener import Link
from enclaved.errors import ConfigurationError, Error, LinkError
from enclaved.gateway.announcement import check_announce
from enclaved.gateway.exchange import Exchange
from enclaved.wire.frames import (
    Announce,
    Answer,
    Attest,
    Attested,
    Frame,
    Hello,
    Invoke,
    Lane,
    Output,
    encode_frame,
)
from mutation import cut

__all__ = ["ENCLAVE_CORPUS", "GATEWAY_CORPUS", "enclave_hears", "gateway_hears"]

_ANNOUNCE = Announce(
    namespace="demo",
    runtime_id="ward-1",
    attestation=b"attestation",
    expires_in_ms=3_600_000,
    lanes=(Lane(function="echo", triggers=(), slots=4), Lane(function="report", triggers=("site/+/in",), slots=1)),
)


def _encode(frames: Sequence[Frame]) -> tuple[bytes, ...]:
    return tuple(encode_frame(frame) for frame in frames)


ENCLAVE_CORPUS = _encode(
    [
        _ANNOUNCE,
        Answer(id=1, outcome="answered", reply=b"result", outputs=()),
        Answer(id=2, outcome="busy", reply=None, outputs=()),
        Answer(id=1, outcome="dead", reply=None, outputs=(Output(topic="site/alarm", payload=b"sealed"),)),
        Attested(id=3, attestation=b"fresh"),
        Attested(id=2, attestation=None),
    ]
)
"""What an enclave says."""

GATEWAY_CORPUS = _encode(
    [Hello(v=1), Invoke(id=1, message=b"invocation" * 8), Invoke(id=2, message=b""), Attest(id=3, nonce=b"n" * 32)]
)
"""What a gateway says."""


class _Stream:
    """A link on which these pieces arrive, and then its end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()

    def close(self) -> None:
        self._pieces.clear()


async def gateway_hears(data: bytes, chance: random.Random) -> bool:
    """Give the gateway some bytes of an enclave; tell whether all of them were frames that it takes."""
    pieces = cut(data, chance)
    if chance.random() < 0.9:
        pieces.insert(0, ENCLAVE_CORPUS[0])
    exchange = Exchange(_Stream(pieces), on_announce=check_announce)
    reasons: list[Error] = []

    async def ask() -> None:
        try:
            await exchange.request(Invoke(id=1, message=b"m"), Answer)
            await exchange.request(Attest(id=2, nonce=b"n" * 32), Attested)
        except LinkError:
            pass  # what every request must end with when the link does

    async with anyio.create_task_group() as group:
        try:
            await exchange.run(handshake_s=5.0, ready=lambda: group.start_soon(ask))
        except (LinkError, ConfigurationError) as error:
            reasons.append(error)
    return str(reasons[0]) == "the enclave closed the link"


class _Transport(asyncio.Transport):
    """A connection that takes everything and notes when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: object) -> None:
        assert not self.closed, "written after the end"

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def enclave_hears(data: bytes, chance: random.Random) -> bool:
    """Give the enclave some bytes of a gateway; tell whether it keeps the connection."""
    frames: list[Frame] = []

    def receive(link: Link, frame: Frame) -> None:
        frames.append(frame)
        link.keep()

    link = Link(made=lambda link: None, receive=receive, lost=lambda link: None)
    transport = _Transport()
    link.connection_made(transport)
    for piece in cut(data, chance):
        if transport.closed:
            break
        if chance.random() < 0.1:
            link.pause_writing()
        link.data_received(piece)
        if chance.random() < 0.5:
            link.resume_writing()
    link.connection_lost(None)
    return not transport.closed
