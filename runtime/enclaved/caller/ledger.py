"""The ledger of a session: which sequence was sealed to what, kept byte for byte.

One (session, sequence) is sealed once. What was sealed is kept until its answer is
verified, and sent again as it is; only the offer may be added. Whatever has to
change takes a new sequence. Otherwise a forged hint could make us use a nonce
twice, and the host would learn the authentication key (SP 800-38D, section 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.caller.trust import Trust
from enclaved.clock import RandomBytes
from enclaved.wire.bundle import FunctionEntry
from enclaved.wire.header import InvocationHeader, InvocationParts, join_invocation
from enclaved.wire.invocation import InvocationBody, SealedInvocation, seal_invocation
from enclaved.wire.session import SessionKeys, make_offer

__all__ = ["Request", "Sealing", "SessionLedger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asked for; it survives every new sealing.

    Attributes:
        invocation_id: 16 random bytes.
        function: the function's name.
        payload: its input.
        content_type: of the input, or empty.
        evidence: is the attestation wanted along with the answer.
        response_topic: where the answer goes.
        expires_at: Unix milliseconds.
        topic: a trigger topic to send it to instead of the function's own, or None.
    """

    invocation_id: bytes
    function: str
    payload: bytes = field(repr=False)
    content_type: str
    evidence: Literal["full", "digest"]
    response_topic: str
    expires_at: int
    topic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """One sealing of one request: the bytes that are sent, however often, and what answers them.

    Attributes:
        request: what was sealed.
        entry: the function, as the policy accepted it.
        session: the ledger that it stands in.
        sequence: its number there.
        sealed: header and ciphertext.
    """

    request: Request
    entry: FunctionEntry
    session: SessionLedger
    sequence: int
    sealed: SealedInvocation = field(repr=False)

    @property
    def name(self) -> tuple[bytes, int]:
        """Session id and sequence, by which answers and hints name it."""
        return self.session.session_id, self.sequence

    @property
    def correlation_data(self) -> bytes:
        """The same as MQTT carries it: 16 bytes and 8 bytes big-endian."""
        return self.session.session_id + self.sequence.to_bytes(8, "big")

    def message(self, *, offer: Literal["as needed", "always"] = "as needed") -> bytes:
        """Return the bytes to send: the same header and ciphertext each time.

        Args:
            offer: ``"as needed"``: until the session's first verified answer; ``"always"``:
                after a hint.
        """
        rides = offer == "always" or not self.session.confirmed
        parts = InvocationParts(
            header=self.sealed.header,
            offer=self.session.offer if rides else None,
            ciphertext=self.sealed.ciphertext,
        )
        return join_invocation(parts)


class SessionLedger:
    """One session with one verified bundle.

    Attributes:
        trust: the bundle.
        offer: the bytes that open the session.
        confirmed: has an answer of it been verified.
        opened_at: when it was opened, monotonic seconds.
    """

    def __init__(
        self, trust: Trust, *, random: RandomBytes, caller_key: Ed25519PrivateKey | None, opened_at: float
    ) -> None:
        self.trust = trust
        self.offer, self._keys = make_offer(
            suite=trust.suite,
            public_key=trust.public_key,
            bundle_digest=trust.bundle_digest,
            random=random,
            caller_key=caller_key,
        )
        self.confirmed = False
        self.opened_at = opened_at
        self._next = 0
        self._unverified: dict[int, None] = {}  # in the order of their sequences

    @property
    def session_id(self) -> bytes:
        """The session's 16 bytes."""
        return self._keys.session_id

    @property
    def keys(self) -> SessionKeys:
        """The session's keys."""
        return self._keys

    def seal(self, request: Request, *, entry: FunctionEntry) -> Sealing:
        """Seal a request under the next sequence, which nothing else ever gets.

        Args:
            request: what to seal.
            entry: the function, as the policy accepted it for this bundle.

        Returns:
            The sealing, to be kept until it is settled.

        Raises:
            ProtocolError: the request is over a limit of the wire.
        """
        sequence, self._next = self._next, self._next + 1  # taken first: a failure below must not free it again
        self._unverified[sequence] = None
        header = InvocationHeader(
            v=1,
            runtime_id=self.trust.runtime_id,
            key_id=self.trust.bundle_digest[:16],
            session_id=self._keys.session_id,
            sequence=sequence,
            verified_below=next(iter(self._unverified)),
            function=request.function,
            response_topic=request.response_topic,
            expires_at=request.expires_at,
            evidence=request.evidence,
        )
        body = InvocationBody(
            invocation_id=request.invocation_id, content_type=request.content_type, payload=request.payload
        )
        sealed = seal_invocation(header, body, keys=self._keys)
        return Sealing(request=request, entry=entry, session=self, sequence=sequence, sealed=sealed)

    def settle(self, sequence: int) -> None:
        """Note that no answer to a sequence is waited for any more: it was verified, or given up."""
        self._unverified.pop(sequence, None)
