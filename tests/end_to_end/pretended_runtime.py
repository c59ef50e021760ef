"""A runtime without an enclave: real keys, real seals and real signatures, and any one thing turned.

It holds the private keys of a bundle that simulated evidence speaks for, so that what
it says opens and verifies; only the lie can fail.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.attester.simulated import SimulatedDevice
from enclaved.clock import SystemClock, unix_ms
from enclaved.wire.attestation import evidence_digest
from enclaved.wire.bundle import PublicKey, bundle_digest
from enclaved.wire.codec import encode
from enclaved.wire.header import (
    InvocationHeader,
    ResultParts,
    decode_invocation_header,
    join_result,
    split_invocation,
)
from enclaved.wire.hpke import generate
from enclaved.wire.invocation import InvocationBody, open_invocation, request_digest
from enclaved.wire.receipt import PROFILE, ReceiptClaims, output_commitment, request_commitment, sign_receipt
from enclaved.wire.result import ResultBody, seal_result
from enclaved.wire.session import SessionKeys, open_offer
from simulation import make_attestation, make_bundle, make_device

__all__ = ["FUNCTION", "NAMESPACE", "OUTPUT", "Asked", "Lie", "PretendedRuntime"]

NAMESPACE = "demo"
FUNCTION = "redact"
OUTPUT = b"output-that-no-caller-may-show"
_SUITE = "x25519"
_NOW = SystemClock().now()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, opened."""

    header: InvocationHeader
    body: InvocationBody
    keys: SessionKeys
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Lie:
    """What a runtime does otherwise than an honest one.

    Attributes:
        bundle: fields of its bundle.
        device: makes its evidence, or None for the one that the policy pins.
        announce: makes what it announces.
        answer_challenge: makes its answer to a nonce.
        claims: turns what its receipt states.
        sign: signs its receipt.
        body: turns what it seals.
        reply: makes the messages that answer a request.
    """

    bundle: dict[str, object] = field(default_factory=dict)
    device: SimulatedDevice | None = None
    announce: Callable[[PretendedRuntime], bytes] = lambda runtime: runtime.attest(None)
    answer_challenge: Callable[[PretendedRuntime, bytes], bytes] = lambda runtime, nonce: runtime.attest(nonce)
    claims: Callable[[ReceiptClaims], ReceiptClaims] = lambda claims: claims
    sign: Callable[[PretendedRuntime, ReceiptClaims], bytes] = lambda runtime, claims: runtime.sign(claims)
    body: Callable[[ResultBody], ResultBody] = lambda body: body
    reply: Callable[[PretendedRuntime, Asked], bytes] = lambda runtime, asked: runtime.reply(asked)


class PretendedRuntime:
    """One runtime that is named after its lie."""

    def __init__(self, name: str, lie: Lie, *, device: SimulatedDevice) -> None:
        self.name = name
        self.lie = lie
        self.device = lie.device or device
        self.key = generate(_SUITE, random=os.urandom)
        self.receipt_key = Ed25519PrivateKey.generate()
        self.asked: list[Asked] = []
        self._sessions: dict[bytes, SessionKeys] = {}
        fields: dict[str, object] = {
            "runtime_id": name,
            "keys": (PublicKey(suite=_SUITE, public_key=self.key.public_key),),
            "receipt_public_key": self.receipt_key.public_key().public_bytes_raw(),
            "not_before": unix_ms(_NOW),
            "not_after": unix_ms(_NOW + timedelta(hours=1)),
        }
        self.bundle = make_bundle(**(fields | lie.bundle))
        self.encoded_bundle = encode(self.bundle)
        self.digest = bundle_digest(self.encoded_bundle)
        self.announced = lie.announce(self)

    def attest(self, nonce: bytes | None) -> bytes:
        """Return an honest attestation of its bundle."""
        return make_attestation(bundle=self.encoded_bundle, nonce=nonce, device=self.device)

    def sign(self, claims: ReceiptClaims) -> bytes:
        """Sign a receipt honestly."""
        return sign_receipt(claims, key=self.receipt_key)

    def answer(self, message: bytes) -> tuple[str | None, bytes]:
        """Return where an invocation's answer goes, and the answer as the lie would have it."""
        asked = self.open(message)
        self.asked.append(asked)
        return asked.header.response_topic, self.lie.reply(self, asked)

    def open(self, message: bytes) -> Asked:
        """Open an invocation."""
        parts = split_invocation(message)
        header = decode_invocation_header(parts.header)
        if header.session_id not in self._sessions:
            assert parts.offer is not None
            opened = open_offer(parts.offer, bundle_digest=self.digest, keys={_SUITE: self.key})
            self._sessions[header.session_id] = opened
        keys = self._sessions[header.session_id]
        body = open_invocation(parts.header, parts.ciphertext, sequence=header.sequence, keys=keys)
        digest = request_digest(parts.header, parts.ciphertext)
        return Asked(header=header, body=body, keys=keys, digest=digest)

    def reply(self, asked: Asked, **turned: object) -> bytes:
        """Return the answer to a request; `turned` replaces what it is sealed for."""
        return join_result(self.seal(self.lie.body(self.run(asked)), dataclasses.replace(asked, **turned)))  # type: ignore[arg-type]

    def seal(self, body: ResultBody, asked: Asked) -> ResultParts:
        """Seal a body as the answer to a request."""
        return seal_result(
            body,
            key_id=self.digest[:16],
            sequence=asked.header.sequence,
            keys=asked.keys,
            request_digest=asked.digest,
            random=os.urandom,
        )

    def run(self, asked: Asked) -> ResultBody:
        """Return the honest result, with a receipt as the lie would have it."""
        salts = os.urandom(32), os.urandom(32)
        receipt = self.lie.sign(self, self.lie.claims(self._claims(asked, salts)))
        return ResultBody(
            status="ok",
            code="ok",
            invocation_id=asked.body.invocation_id,
            content_type="",
            output=OUTPUT,
            log=b"",
            receipt=receipt,
            request_salt=salts[0],
            result_salt=salts[1],
        )

    def refuse(self, asked: Asked, code: str) -> bytes:
        """Return a sealed refusal."""
        body = ResultBody(
            status="refused",
            code=code,
            invocation_id=asked.body.invocation_id,
            content_type="",
            output=b"",
            log=b"",
            receipt=None,
            request_salt=None,
            result_salt=None,
        )
        return join_result(self.seal(body, asked))

    def _claims(self, asked: Asked, salts: tuple[bytes, bytes]) -> ReceiptClaims:
        entry = self.bundle.functions[0]
        return ReceiptClaims(
            runtime_id=self.name,
            host_time=int(_NOW.timestamp()),
            invocation_id=asked.body.invocation_id,
            profile=PROFILE,
            function=entry.name,
            function_digest=entry.digest,
            request_commitment=request_commitment(salts[0], asked.body.content_type, asked.body.payload),
            output_commitment=output_commitment(salts[1], "", OUTPUT),
            bundle_digest=self.digest,
            evidence_digest=evidence_digest(self.announced),
            engine=entry.engine,
            isolation=entry.isolation,
            duration_us=1500,
            outcome="ok",
            sequence=asked.header.sequence,
        )


def honest_device() -> SimulatedDevice:
    """Return the device of the root that the policy pins, as of now."""
    return make_device(at=_NOW)
