"""A caller without manners: it seals as the protocol says, and then sends what bytes it likes, where it likes.

It is built on the wire's own functions, so that everything but the turned thing is
right; and it knows the session's keys, so that it can open whatever is sealed to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.mqtt.transport import Connection, Consumer, Message, Publisher, parse_broker_url
from enclaved.mqtt.transports import open_transport
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import KeyBundle, bundle_digest, decode_bundle
from enclaved.wire.codec import encode
from enclaved.wire.envelope import seal_envelope, sequence_nonce
from enclaved.wire.header import InvocationHeader, InvocationParts, join_invocation, split_result
from enclaved.wire.hint import Hint, decode_hint, is_hint
from enclaved.wire.invocation import InvocationBody, SealedInvocation, request_digest, seal_invocation
from enclaved.wire.limits import MAX_SEQUENCE
from enclaved.wire.result import ResultBody, open_result
from enclaved.wire.session import SessionKeys, make_offer
from enclaved.wire.topics import attestation_topic, dead_topic, invoke_topic, reply_prefix

__all__ = ["NAMESPACE", "HostileCaller", "Session", "Shot", "hostile_caller"]

NAMESPACE = "demo"
_SUITE = "x25519"
_WAIT_S = 15


@dataclass(kw_only=True)
class Session:
    """A session that was opened as it should be, and how far it has counted."""

    offer: bytes
    keys: SessionKeys
    key_id: bytes
    runtime_id: str
    sequence: int = 0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One invocation, sealed, and the topic on which its answers arrive."""

    session: Session
    header: InvocationHeader
    sealed: SealedInvocation
    reply: str

    def message(
        self,
        *,
        offer: bool = True,
        offer_bytes: bytes | None = None,
        header: bytes | None = None,
        ciphertext: bytes | None = None,
    ) -> bytes:
        """Return the message, with or without its offer, and with parts replaced by other bytes."""
        parts = InvocationParts(
            header=self.sealed.header if header is None else header,
            offer=(self.session.offer if offer_bytes is None else offer_bytes) if offer else None,
            ciphertext=self.sealed.ciphertext if ciphertext is None else ciphertext,
        )
        return join_invocation(parts)

    def open(self, answer: bytes) -> ResultBody:
        """Open a sealed answer to this very sealing."""
        return open_result(split_result(answer), keys=self.session.keys, request_digest=self.sealed.digest)


class Ears:
    """What came, by topic."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {}
        self._changed = anyio.Event()

    async def hear(self, topic: str, *, count: int = 1) -> list[bytes]:
        """Wait until so many messages came on a topic, and return all that did."""
        with anyio.fail_after(_WAIT_S):
            while len(self.heard.get(topic, [])) < count:
                await self._changed.wait()
        return self.heard[topic]

    async def listen(self, consumer: Consumer) -> None:
        """Keep what comes."""
        async for delivery in consumer:
            self.heard.setdefault(delivery.message.topic, []).append(delivery.message.payload)
            delivery.acknowledge()
            self._changed.set()
            self._changed = anyio.Event()


@dataclass(frozen=True, kw_only=True)
class HostileCaller:
    """One connection to the broker on which anything may be published, and one that hears the answers."""

    publisher: Publisher
    ears: Ears
    runtime_id: str
    bundle: KeyBundle
    bundle_digest: bytes

    @property
    def public_key(self) -> bytes:
        """The bundle's public key of the suite that this caller uses."""
        return self.bundle.key(_SUITE) or b""

    def session(self, caller_key: Ed25519PrivateKey | None = None) -> Session:
        """Open a session, with a caller's proof where a key is given; nothing is sent."""
        offer, keys = make_offer(
            suite=_SUITE,
            public_key=self.public_key,
            bundle_digest=self.bundle_digest,
            random=os.urandom,
            caller_key=caller_key,
        )
        return Session(offer=offer, keys=keys, key_id=self.bundle_digest[:16], runtime_id=self.runtime_id)

    def seal(self, function: str, payload: bytes = b"x", *, session: Session | None = None, **turned: object) -> Shot:
        """Seal a good invocation, with fields of its header turned before it is sealed."""
        used = session or self.session()
        header = self.header(function, used, **turned)
        used.sequence = min(max(used.sequence, header.sequence) + 1, MAX_SEQUENCE)
        body = InvocationBody(invocation_id=os.urandom(16), content_type="", payload=payload)
        sealed = seal_invocation(header, body, keys=used.keys)
        return Shot(session=used, header=header, sealed=sealed, reply=header.response_topic or self.reply_topic())

    def seal_raw(self, function: str, body: bytes, *, nonce: int | None = None) -> Shot:
        """Seal bytes that need not be a body, and under the nonce of a sequence that need not be the header's."""
        session = self.session()
        header = self.header(function, session)
        encoded = encode(header)
        under = header.sequence if nonce is None else nonce
        ciphertext = seal_envelope(body, key=session.keys.request_key, nonce=sequence_nonce(under), header=encoded)
        sealed = SealedInvocation(header=encoded, ciphertext=ciphertext, digest=request_digest(encoded, ciphertext))
        return Shot(session=session, header=header, sealed=sealed, reply=header.response_topic or self.reply_topic())

    def header(self, function: str, session: Session, **turned: object) -> InvocationHeader:
        """Return a good header with a reply topic of its own, with fields turned."""
        header = InvocationHeader(
            v=1,
            runtime_id=session.runtime_id,
            key_id=session.key_id,
            session_id=session.keys.session_id,
            sequence=session.sequence,
            verified_below=0,
            function=function,
            response_topic=self.reply_topic(),
            expires_at=int(time.time() * 1000) + 60_000,
            evidence="digest",
        )
        return msgspec.structs.replace(header, **turned)

    @staticmethod
    def reply_topic() -> str:
        """Return a fresh reply topic that this caller hears."""
        return f"{reply_prefix(NAMESPACE)}hostile/{os.urandom(8).hex()}"

    def invoke_topic(self, function: str) -> str:
        """Return the function's own topic."""
        return invoke_topic(NAMESPACE, self.runtime_id, function)

    def dead_topic(self, function: str) -> str:
        """Return the function's dead-letter topic."""
        return dead_topic(NAMESPACE, self.runtime_id, function)

    async def send(
        self,
        function: str,
        payload: bytes,
        *,
        reply: str | None = None,
        retain: bool = False,
    ) -> None:
        """Publish bytes on a function's own topic; `reply` is MQTT's response topic."""
        message = Message(
            topic=self.invoke_topic(function),
            payload=payload,
            retain=retain,
            response_topic=reply,
            correlation_data=None if reply is None else b"correlation",
        )
        with anyio.fail_after(_WAIT_S):
            await self.publisher.publish(message)

    async def shoot(self, shot: Shot, message: bytes | None = None, *, on: str | None = None) -> bytes:
        """Send a shot, or other bytes in its place, and return the one answer."""
        before = len(self.ears.heard.get(shot.reply, []))
        await self.send(on or shot.header.function, shot.message() if message is None else message, reply=shot.reply)
        return (await self.ears.hear(shot.reply, count=before + 1))[before]

    async def result_of(self, shot: Shot, message: bytes | None = None, *, on: str | None = None) -> ResultBody:
        """Send a shot and open the sealed answer."""
        return shot.open(await self.shoot(shot, message, on=on))

    async def hint_at(self, shot: Shot, message: bytes, *, on: str | None = None) -> Hint:
        """Send bytes in place of a shot and read the hint that comes."""
        answer = await self.shoot(shot, message, on=on)
        assert is_hint(answer), "answered under seal"
        return decode_hint(answer)


@asynccontextmanager
async def hostile_caller(broker: str, runtime_id: str) -> AsyncIterator[HostileCaller]:
    """Connect to a broker, and take what the runtime announces at its word: nothing here is at stake."""
    transport, address, name = open_transport("auto"), parse_broker_url(broker), f"hostile-{os.urandom(4).hex()}"
    announced = attestation_topic(NAMESPACE, runtime_id)
    topics = ("enclaved/#", "victim/#")  # to hear also what ought not to be said there
    async with (
        transport.consume(Connection(address=address, client_id=f"{name}-in"), topics=topics, slots=256) as consumer,
        transport.publish(Connection(address=address, client_id=f"{name}-out")) as publisher,
        anyio.create_task_group() as tasks,
    ):
        ears = Ears()
        tasks.start_soon(ears.listen, consumer, name="hostile caller: listen")
        encoded = decode_attestation((await ears.hear(announced))[0]).bundle
        yield HostileCaller(
            publisher=publisher,
            ears=ears,
            runtime_id=runtime_id,
            bundle=decode_bundle(encoded),
            bundle_digest=bundle_digest(encoded),
        )
        tasks.cancel_scope.cancel()
