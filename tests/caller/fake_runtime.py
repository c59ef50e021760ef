"""A runtime that holds real keys and signs real receipts, and turns whatever a test says."""

from __future__ import annotations

import dataclasses
import os
import time
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.attester.simulated import SimulatedDevice
from enclaved.caller.surroundings import Surroundings
from enclaved.errors import ProtocolError
from enclaved.mqtt.transport import Message
from enclaved.wire.attestation import decode_challenge_request, evidence_digest
from enclaved.wire.bundle import KeyBundle, PublicKey, bundle_digest
from enclaved.wire.codec import encode
from enclaved.wire.header import (
    InvocationHeader,
    ResultParts,
    decode_invocation_header,
    join_result,
    split_invocation,
)
from enclaved.wire.hint import Hint, HintCode, encode_hint
from enclaved.wire.hpke import generate
from enclaved.wire.invocation import InvocationBody, open_invocation, request_digest
from enclaved.wire.receipt import (
    PROFILE,
    ReceiptClaims,
    output_commitment,
    request_commitment,
    sign_receipt,
)
from enclaved.wire.result import ResultBody, seal_result
from enclaved.wire.session import SessionKeys, open_offer
from enclaved.wire.topics import attestation_topic, challenge_topic
from memory_broker import MemoryBroker
from simulation import NOON, make_attestation, make_bundle, make_device

__all__ = ["FakeRuntime", "NoonClock", "surroundings"]


class NoonClock:
    """A wall clock that a test sets, and a monotonic clock that runs."""

    def __init__(self, at: datetime = NOON + timedelta(minutes=1)) -> None:
        self.at = at

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.at

    def monotonic(self) -> float:
        """Return running seconds."""
        return time.monotonic()


def surroundings(clock: NoonClock | None = None) -> Surroundings:
    """Return a caller's surroundings, one minute past noon."""
    return Surroundings(clock=clock or NoonClock(), random=os.urandom)


class FakeRuntime:
    """One runtime; it answers at once, and remembers what it answered."""

    def __init__(
        self,
        *,
        runtime_id: str = "r1",
        suite: str = "x25519",
        device: SimulatedDevice | None = None,
        **turned_bundle: object,
    ) -> None:
        self.runtime_id = runtime_id
        self.suite = suite
        self.device = device or make_device()
        self.turned_bundle = turned_bundle
        self.turned_claims: dict[str, object] = {}
        self.turned_body: dict[str, object] = {}
        self.turned_nonce: bytes | None = None
        self.receipt_signer: Ed25519PrivateKey | None = None
        self.attached: bytes | None = None
        self.refusals: list[str] = []
        self.ignored = 0
        self.answers_challenges = True
        self.challenges = 0
        self.runs: list[tuple[bytes, bytes]] = []
        self.requests: list[tuple[InvocationHeader, SessionKeys]] = []
        self.broker: MemoryBroker | None = None
        self.restart()

    def restart(self) -> None:
        """Begin anew: other keys, another bundle, no session."""
        self.key = generate(self.suite, random=os.urandom)
        self.receipt_key = Ed25519PrivateKey.generate()
        fields: dict[str, object] = {
            "runtime_id": self.runtime_id,
            "boot_id": os.urandom(16),
            "keys": (PublicKey(suite=self.suite, public_key=self.key.public_key),),
            "receipt_public_key": self.receipt_key.public_key().public_bytes_raw(),
        }
        self.bundle: KeyBundle = make_bundle(**(fields | self.turned_bundle))
        self.encoded_bundle = encode(self.bundle)
        self.digest = bundle_digest(self.encoded_bundle)
        self.announced = self.attest(None)
        self.sessions: dict[bytes, SessionKeys] = {}
        self.answered: dict[tuple[bytes, int], bytes] = {}

    def attest(self, nonce: bytes | None) -> bytes:
        """Return an attestation of this bundle."""
        return make_attestation(bundle=self.encoded_bundle, nonce=nonce, device=self.device)

    def join(self, broker: MemoryBroker) -> FakeRuntime:
        """Serve on a broker."""
        self.broker = broker
        prefix = f"enclaved/v1/demo/runtime/{self.runtime_id}"
        broker.subscribe((challenge_topic("demo", self.runtime_id),), self._take_challenge)
        broker.subscribe((f"{prefix}/function/+/invoke", "trigger/one"), self._take_invocation)
        self.announce()
        return self

    def announce(self, attestation: bytes | None = None) -> None:
        """Publish the attestation, retained."""
        payload = self.announced if attestation is None else attestation
        topic = attestation_topic("demo", self.runtime_id)
        self._publish(Message(topic=topic, payload=payload, retain=True))

    def answer(self, message: bytes) -> bytes | None:
        """Return the answer to an invocation, or a hint, or None for silence."""
        parts = split_invocation(message)
        header = decode_invocation_header(parts.header)
        if self.ignored:
            self.ignored -= 1
            return None
        if header.key_id != self.digest[:16]:
            return self.hint("key_unknown", header)
        if parts.offer is not None and header.session_id not in self.sessions:
            keys = open_offer(parts.offer, bundle_digest=self.digest, keys={self.suite: self.key})
            self.sessions[keys.session_id] = keys
        keys_held = self.sessions.get(header.session_id)
        if keys_held is None:
            return self.hint("session_unknown", header)
        name = (header.session_id, header.sequence)
        if name not in self.answered:
            body = open_invocation(parts.header, parts.ciphertext, sequence=header.sequence, keys=keys_held)
            self.requests.append((header, keys_held))
            digest = request_digest(parts.header, parts.ciphertext)
            self.answered[name] = self._seal(self._run(header, body), header, keys_held, digest)
        return self.answered[name]

    @staticmethod
    def hint(code: HintCode, header: InvocationHeader) -> bytes:
        """Return a hint at an invocation."""
        return encode_hint(Hint(v=1, hint=code, session_id=header.session_id, sequence=header.sequence))

    def _run(self, header: InvocationHeader, body: InvocationBody) -> ResultBody:
        if self.refusals:
            return _refusal(self.refusals.pop(0), body)
        self.runs.append((body.invocation_id, body.payload))
        output, salts = body.payload.upper(), (os.urandom(32), os.urandom(32))
        entry = self.bundle.function(header.function) or self.bundle.functions[0]
        claims = ReceiptClaims(
            runtime_id=self.runtime_id,
            host_time=int((NOON + timedelta(minutes=1)).timestamp()),
            invocation_id=body.invocation_id,
            profile=PROFILE,
            function=header.function,
            function_digest=entry.digest,
            request_commitment=request_commitment(salts[0], body.content_type, body.payload),
            output_commitment=output_commitment(salts[1], "text/plain", output),
            bundle_digest=self.digest,
            evidence_digest=evidence_digest(self.announced),
            engine=entry.engine,
            isolation=entry.isolation,
            duration_us=1500,
            outcome="ok",
            sequence=header.sequence,
        )
        signer = self.receipt_signer or self.receipt_key
        result = ResultBody(
            status="ok",
            code="ok",
            invocation_id=body.invocation_id,
            content_type="text/plain",
            output=output,
            log=b"printed\n",
            receipt=sign_receipt(dataclasses.replace(claims, **self.turned_claims), key=signer),
            request_salt=salts[0],
            result_salt=salts[1],
        )
        return msgspec.structs.replace(result, **self.turned_body)

    def _seal(self, body: ResultBody, header: InvocationHeader, keys: SessionKeys, digest: bytes) -> bytes:
        parts = seal_result(
            body,
            key_id=self.digest[:16],
            sequence=header.sequence,
            keys=keys,
            request_digest=digest,
            random=os.urandom,
        )
        attached = self.attached or (self.announced if header.evidence == "full" else None)
        return join_result(ResultParts(header=parts.header, ciphertext=parts.ciphertext, attestation=attached))

    def _take_invocation(self, message: Message) -> None:
        header = decode_invocation_header(split_invocation(message.payload).header)
        if header.runtime_id != self.runtime_id:
            return
        try:
            answer = self.answer(message.payload)
        except ProtocolError:
            answer = self.hint("malformed", header)
        if answer is not None and header.response_topic is not None:
            reply = Message(topic=header.response_topic, payload=answer, correlation_data=message.correlation_data)
            self._publish(reply)

    def _take_challenge(self, message: Message) -> None:
        self.challenges += 1
        request = decode_challenge_request(message.payload)
        if self.answers_challenges:
            answer = self.attest(self.turned_nonce or request.nonce)
            self._publish(Message(topic=request.response_topic, payload=answer))

    def _publish(self, message: Message) -> None:
        assert self.broker is not None
        self.broker.publish_message(message)


def _refusal(code: str, body: InvocationBody) -> ResultBody:
    return ResultBody(
        status="refused",
        code=code,
        invocation_id=body.invocation_id,
        content_type="",
        output=b"",
        log=b"",
        receipt=None,
        request_salt=None,
        result_salt=None,
    )
