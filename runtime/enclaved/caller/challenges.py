"""Challenges: nonces of ours that runtimes answer with fresh evidence.

A broker reads the nonce and can answer with anything. So an answer is only handed
on by the nonce that it repeats; one at a time, so that a flood of forgeries costs
one verification after the other and no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from enclaved.caller.bell import Bell
from enclaved.errors import ProtocolError
from enclaved.mqtt.transport import Message, Publisher
from enclaved.wire.attestation import ChallengeRequest, decode_attestation, encode_challenge_request
from enclaved.wire.topics import challenge_topic

__all__ = ["ChallengeAnswer", "Challenges"]


class ChallengeAnswer:
    """The place where answers to one nonce arrive."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._encoded: bytes | None = None

    def put(self, encoded: bytes) -> None:
        """Leave an answer, unless one lies here unread."""
        if self._encoded is None:
            self._encoded = encoded
            self._bell.ring()

    async def take(self, *, until: float) -> bytes | None:
        """Wait for an answer until a time of the event loop's clock; None when there is none by then."""
        if self._encoded is None:
            await self._bell.wait(until=until)
        encoded, self._encoded = self._encoded, None
        return encoded


class Challenges:
    """The nonces that are out."""

    def __init__(self, *, namespace: str, response_topic: str, publisher: Publisher) -> None:
        self._namespace = namespace
        self._response_topic = response_topic
        self._publisher = publisher
        self._open: dict[bytes, ChallengeAnswer] = {}

    @contextmanager
    def expect(self, nonce: bytes) -> Iterator[ChallengeAnswer]:
        """Hand on the answers to a nonce while inside."""
        answer = self._open[nonce] = ChallengeAnswer()
        try:
            yield answer
        finally:
            del self._open[nonce]

    async def send(self, runtime_id: str, nonce: bytes) -> None:
        """Send a nonce to a runtime.

        Raises:
            TransportError: the broker refused it.
        """
        request = ChallengeRequest(v=1, nonce=nonce, response_topic=self._response_topic)
        await self._publisher.publish(
            Message(
                topic=challenge_topic(self._namespace, runtime_id),
                payload=encode_challenge_request(request),
                response_topic=self._response_topic,
            )
        )

    def take(self, message: bytes) -> None:
        """Take a message from the topic of answers.

        Raises:
            ProtocolError: it is no attestation, or answers no nonce of ours.
        """
        challenge = decode_attestation(message).challenge
        answer = None if challenge is None else self._open.get(challenge.nonce)
        if answer is None:
            raise ProtocolError("challenge", "an answer to no nonce of ours")
        answer.put(message)
