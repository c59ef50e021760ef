"""Every lie that a runtime can tell, each of one thing: in its evidence, its bundle, its answers or its receipts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.attester.simulated_root import make_root
from enclaved.clock import SystemClock, unix_ms
from enclaved.wire.attestation import Challenge, decode_attestation, encode_attestation
from enclaved.wire.bundle import PublicKey, binding
from enclaved.wire.codec import encode
from enclaved.wire.cose import decode_sign1, encode_sign1
from enclaved.wire.header import ResultParts, decode_result_header, join_result, split_result
from enclaved.wire.receipt import ReceiptClaims, sign_receipt
from enclaved.wire.result import ResultBody
from pretended_runtime import Asked, Lie, PretendedRuntime, honest_device
from simulation import OTHER_DIGEST, make_bundle, make_device

__all__ = ["LIES"]

_NOW = SystemClock().now()
_FUNCTION = make_bundle().functions[0]
_HOUR = timedelta(hours=1)


def _bundle(**turned: object) -> Lie:
    return Lie(bundle=turned)


def _function(**turned: object) -> Lie:
    return _bundle(functions=(msgspec.structs.replace(_FUNCTION, **turned),))


def _claim(**turned: object) -> Lie:
    return Lie(claims=lambda claims: dataclasses.replace(claims, **turned))  # type: ignore[arg-type]


def _body(**turned: object) -> Lie:
    return Lie(body=lambda body: msgspec.structs.replace(body, **turned))


def _bound_to(nonce_or_digest: Callable[[PretendedRuntime, bytes | None], bytes]) -> Callable[..., bytes]:
    """Attest over another binding than the one that bundle and challenge make."""

    def attest(runtime: PretendedRuntime, nonce: bytes | None = None) -> bytes:
        honest = decode_attestation(runtime.attest(nonce))
        evidence = runtime.device.attest(nonce_or_digest(runtime, nonce))
        return encode_attestation(msgspec.structs.replace(honest, evidence=evidence))

    return attest


def _unsigned_evidence(runtime: PretendedRuntime) -> bytes:
    honest = decode_attestation(runtime.attest(None))
    report = honest.evidence.report[:-1] + bytes([honest.evidence.report[-1] ^ 1])
    return encode_attestation(
        msgspec.structs.replace(honest, evidence=msgspec.structs.replace(honest.evidence, report=report))
    )


def _older_answer(runtime: PretendedRuntime, _nonce: bytes) -> bytes:
    return runtime.attest(bytes(32))


def _older_answer_renamed(runtime: PretendedRuntime, nonce: bytes) -> bytes:
    older = decode_attestation(runtime.attest(bytes(32)))
    return encode_attestation(msgspec.structs.replace(older, challenge=Challenge(nonce=nonce, path=())))


def _another_runtime(name: str) -> PretendedRuntime:
    return PretendedRuntime(name, Lie(), device=honest_device())


def _attached(attestation: Callable[[PretendedRuntime], bytes]) -> Lie:
    def reply(runtime: PretendedRuntime, asked: Asked) -> bytes:
        parts = split_result(runtime.reply(asked))
        return join_result(msgspec.structs.replace(parts, attestation=attestation(runtime)))

    return Lie(reply=reply)


def _debug_evidence(runtime: PretendedRuntime) -> bytes:
    twin = PretendedRuntime(runtime.name, Lie(), device=make_device(at=_NOW, debug=True))
    twin.encoded_bundle = runtime.encoded_bundle
    return twin.attest(None)


def _after_sealing_anew(lie: Callable[[PretendedRuntime, Asked, Asked], bytes]) -> Lie:
    """Have the caller seal the same work twice, and turn the answer to the second with what belongs to the first."""

    def reply(runtime: PretendedRuntime, asked: Asked) -> bytes:
        first = runtime.asked[0]
        return runtime.refuse(asked, "answer_gone") if asked.header.sequence == 0 else lie(runtime, first, asked)

    return Lie(reply=reply)


def _swapped(runtime: PretendedRuntime, first: Asked, second: Asked) -> bytes:
    return runtime.reply(first, header=second.header)


def _replayed(runtime: PretendedRuntime, first: Asked, _second: Asked) -> bytes:
    return runtime.reply(first)


def _turned_message(turn: Callable[[ResultParts], ResultParts]) -> Lie:
    return Lie(reply=lambda runtime, asked: join_result(turn(split_result(runtime.reply(asked)))))


def _turned_header(**turned: object) -> Lie:
    def turn(parts: ResultParts) -> ResultParts:
        header = msgspec.structs.replace(decode_result_header(parts.header), **turned)
        return msgspec.structs.replace(parts, header=encode(header))

    return _turned_message(turn)


def _turned_ciphertext(turn: Callable[[bytes], bytes]) -> Lie:
    return _turned_message(lambda parts: msgspec.structs.replace(parts, ciphertext=turn(parts.ciphertext)))


def _other_key(runtime: PretendedRuntime, asked: Asked) -> bytes:
    return runtime.reply(asked, keys=dataclasses.replace(asked.keys, result_secret=os.urandom(32)))


def _signed_by_another(_runtime: PretendedRuntime, claims: ReceiptClaims) -> bytes:
    return sign_receipt(claims, key=Ed25519PrivateKey.generate())


def _unsigned(runtime: PretendedRuntime, claims: ReceiptClaims) -> bytes:
    signed = decode_sign1(runtime.sign(claims), what="receipt", max_size=8192)
    return encode_sign1(dataclasses.replace(signed, signature=bytes(64)))


def _failed(body: ResultBody) -> ResultBody:
    return msgspec.structs.replace(body, status="failed", code="function_failed")


EVIDENCE: dict[str, Lie] = {
    "another-binding": Lie(announce=_bound_to(lambda _runtime, _nonce: os.urandom(64))),
    "another-nonce": Lie(answer_challenge=_bound_to(lambda runtime, _nonce: binding(runtime.digest, os.urandom(32)))),
    "older-challenge-answer": Lie(answer_challenge=_older_answer),
    "older-challenge-answer-renamed": Lie(answer_challenge=_older_answer_renamed),
    "challenge-answer-of-another-bundle": Lie(
        answer_challenge=lambda runtime, nonce: _another_runtime(runtime.name).attest(nonce)
    ),
    "unsigned-evidence": Lie(announce=_unsigned_evidence),
    "unknown-root": Lie(device=make_device(root=make_root(host_time=_NOW), at=_NOW)),
    "debug-evidence": Lie(device=make_device(at=_NOW, debug=True)),
    "another-measurement": Lie(device=make_device(at=_NOW, measurement=bytes(48))),
}
BUNDLES: dict[str, Lie] = {
    "expired-bundle": _bundle(not_before=unix_ms(_NOW - 2 * _HOUR), not_after=unix_ms(_NOW - _HOUR)),
    "bundle-of-tomorrow": _bundle(not_before=unix_ms(_NOW + 24 * _HOUR), not_after=unix_ms(_NOW + 25 * _HOUR)),
    "old-bundle": _bundle(not_before=unix_ms(_NOW - 2 * _HOUR), not_after=unix_ms(_NOW + _HOUR)),
    "another-namespace": _bundle(namespace="another"),
    "another-name": _bundle(runtime_id="another"),
    "another-suite": _bundle(keys=(PublicKey(suite="x448", public_key=bytes(32)),)),
    "wrong-function-digest": _function(digest=OTHER_DIGEST),
    "unlisted-isolation": _function(isolation="memory-safe"),
    "absent-function": _function(name="another"),
}
ANSWERS: dict[str, Lie] = {
    "swapped-result": _after_sealing_anew(_swapped),
    "replayed-result": _after_sealing_anew(_replayed),
    "another-key": Lie(reply=_other_key),
    "tampered-salt": _turned_header(salt=bytes(32)),
    "tampered-sequence": _turned_header(sequence=1),
    "tampered-session-id": _turned_header(session_id=bytes(16)),
    "tampered-key-id": _turned_header(key_id=bytes(16)),
    "tampered-ciphertext": _turned_ciphertext(lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])),
    "truncated-result": _turned_ciphertext(lambda sealed: sealed[:-1]),
    "plain-output": Lie(reply=lambda runtime, asked: runtime.run(asked).output),
    "no-receipt": _body(receipt=None, request_salt=None),
}
RESULTS: dict[str, Lie] = {
    "another-invocation-id": _body(invocation_id=bytes(16)),
    "another-output": _body(output=b"another output than the receipt commits to"),
    "another-content-type": _body(content_type="text/html"),
    "output-beside-an-acknowledgement": _body(result_salt=None),
    "failure-with-a-receipt-of-success": Lie(body=_failed),
    "attached-another-bundle": _attached(lambda runtime: _another_runtime(runtime.name).announced),
    "attached-debug-evidence": _attached(_debug_evidence),
    "receipt-of-another-invocation": _claim(invocation_id=bytes(16)),
    "receipt-of-another-sequence": _claim(sequence=9),
    "receipt-of-another-runtime": _claim(runtime_id="another"),
    "receipt-of-another-function": _claim(function="another"),
    "receipt-of-another-function-digest": _claim(function_digest=OTHER_DIGEST),
    "receipt-of-another-engine": _claim(engine="wasm"),
    "receipt-of-another-isolation": _claim(isolation="full"),
    "receipt-of-another-outcome": _claim(outcome="time_limit"),
    "receipt-of-another-bundle": _claim(bundle_digest=bytes(32)),
    "receipt-of-another-evidence": _claim(evidence_digest=bytes(32)),
    "receipt-of-another-request": _claim(request_commitment=bytes(32)),
    "receipt-of-another-output": _claim(output_commitment=bytes(32)),
    "receipt-unsigned": Lie(sign=_unsigned),
    "receipt-signed-by-another": Lie(sign=_signed_by_another),
}
LIES: dict[str, Lie] = {"honest": Lie(), **EVIDENCE, **BUNDLES, **ANSWERS, **RESULTS}
