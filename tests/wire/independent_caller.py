"""A caller, a recipient and a verifier of receipts, written from the wire README alone.

It imports nothing of enclaved: if it and the package understand each other, the
README says what the package does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
import msgpack
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SUITES = {
    "mlkem768-x25519": Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    "x25519": Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}


# Section 1: notation.
def lp(*parts: bytes | str) -> bytes:
    joined = b""
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        joined += len(data).to_bytes(4, "big") + data
    return joined


def sha256(*parts: bytes | str) -> bytes:
    return hashlib.sha256(lp(*parts)).digest()


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


# Section 5: key bundle; section 6: attestation.
def bundle_digest(bundle: bytes) -> bytes:
    return sha256("enclaved/1 key bundle", bundle)


def callers_digest(callers: list[str] | None) -> bytes:
    if callers is None:
        return sha256("enclaved/1 callers", "any")
    return sha256("enclaved/1 callers", "list", *sorted(caller.encode() for caller in callers))


def binding(digest: bytes, nonce: bytes = b"") -> bytes:
    return hashlib.sha512(lp("enclaved/1 evidence", digest, nonce)).digest()


def evidence_digest(attestation: bytes) -> bytes:
    return sha256("enclaved/1 evidence digest", attestation)


# Section 7: suites.
def load_public(suite: str, data: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    if suite == "x25519":
        return X25519PublicKey.from_public_bytes(data)
    lattice, curve = data[:1184], data[1184:]
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(lattice), X25519PublicKey.from_public_bytes(curve)
    )


def load_private(suite: str, seed: bytes) -> tuple[X25519PrivateKey | MLKEM768X25519PrivateKey, bytes]:
    """Return the private key of a seed, and its public key's bytes."""
    if suite == "x25519":
        key = X25519PrivateKey.from_private_bytes(seed)
        return key, key.public_key().public_bytes_raw()
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return MLKEM768X25519PrivateKey(lattice, curve), public


def hpke_seal(suite: str, public_key: bytes, info: bytes, plaintext: bytes) -> bytes:
    return _SUITES[suite].encrypt(plaintext, load_public(suite, public_key), info)


def hpke_open(suite: str, seed: bytes, info: bytes, sealed: bytes) -> bytes:
    return _SUITES[suite].decrypt(sealed, load_private(suite, seed)[0], info)


# Section 8: session.
@dataclass(frozen=True)
class Session:
    """What the caller keeps of a session."""

    offer: bytes
    session_id: bytes
    request_key: bytes
    result_secret: bytes


def derive_session(offer: bytes, secret: bytes) -> Session:
    salt = hashlib.sha256(offer).digest()
    return Session(
        offer=offer,
        session_id=salt[:16],
        request_key=hkdf(secret, salt, lp("enclaved/1 request key")),
        result_secret=hkdf(secret, salt, lp("enclaved/1 result secret")),
    )


def offer_info(suite: str, digest: bytes) -> bytes:
    return lp("enclaved/1 session", suite, digest)


def open_session(
    bundle: bytes, *, suite: str, random: Callable[[int], bytes], caller: Ed25519PrivateKey | None = None
) -> Session:
    digest = bundle_digest(bundle)
    public_key = next(key["public_key"] for key in msgpack.unpackb(bundle)["keys"] if key["suite"] == suite)
    secret = random(32)
    proof = None
    if caller is not None:
        signed = lp("enclaved/1 caller proof", digest, hashlib.sha256(secret).digest())
        proof = {"public_key": caller.public_key().public_bytes_raw(), "signature": caller.sign(signed)}
    message = msgpack.packb({"secret": secret, "caller_proof": proof})
    offer = msgpack.packb({"suite": suite, "sealed": hpke_seal(suite, public_key, offer_info(suite, digest), message)})
    return derive_session(offer, secret)


# Section 9: invocation.
def padded_size(n: int, least: int = 256) -> int:
    if n <= least:
        return least
    magnitude = n.bit_length() - 1
    step = 1 << (magnitude - magnitude.bit_length())
    return -(-n // step) * step


def pack_padded(body: dict[str, Any]) -> bytes:
    bare = msgpack.packb(body)
    assert bare[0] & 0xF0 == 0x80
    bare = bytes([bare[0] + 1]) + bare[1:] + msgpack.packb("padding")
    zeros = padded_size(len(bare) + 5) - len(bare) - 5
    return bare + b"\xc6" + zeros.to_bytes(4, "big") + bytes(zeros)


@dataclass(frozen=True)
class Request:
    """What the caller keeps of a request, to send it again byte for byte."""

    header: bytes
    ciphertext: bytes

    @property
    def digest(self) -> bytes:
        """The digest on which the result's key depends."""
        return sha256("enclaved/1 invocation", self.header, self.ciphertext)

    def message(self, offer: bytes | None) -> bytes:
        """Return the message, with or without the offer."""
        return msgpack.packb([self.header, offer, self.ciphertext])


def seal_invocation(
    session: Session, header: dict[str, Any], *, invocation_id: bytes, content_type: str, payload: bytes
) -> Request:
    data = msgpack.packb(header)
    body = pack_padded({"invocation_id": invocation_id, "content_type": content_type, "payload": payload})
    nonce = header["sequence"].to_bytes(12, "big")
    return Request(header=data, ciphertext=AESGCM(session.request_key).encrypt(nonce, body, data))


# Section 10: result.
def open_result(session: Session, request: Request, message: bytes) -> dict[str, Any]:
    header_bytes, ciphertext, _ = msgpack.unpackb(message)
    header, sent = msgpack.unpackb(header_bytes), msgpack.unpackb(request.header)
    assert all(header[name] == sent[name] for name in ("v", "key_id", "session_id", "sequence"))
    key = hkdf(session.result_secret, header["salt"], lp("enclaved/1 result", request.digest))
    body: dict[str, Any] = msgpack.unpackb(AESGCM(key).decrypt(bytes(12), ciphertext, header_bytes))
    return body


def is_hint(message: bytes) -> bool:
    return 0x80 <= message[0] <= 0x8F


# Section 13: receipt.
def verify_receipt(receipt: bytes, *, public_key: bytes, digest: bytes) -> tuple[dict[int, Any], bytes | None]:
    """Return the claims and the attestation beside them, if any."""
    assert receipt[0] == 0xD2
    protected, unprotected, payload, signature = cbor2.loads(receipt[1:])
    assert cbor2.loads(protected) == {1: -8, 4: digest[:16], 16: "application/eat+cwt"}
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    claims: dict[int, Any] = cbor2.loads(payload)
    assert claims[265] == "urn:uuid:6d0f3c0e-8f0a-4b5e-9d3a-5a2c4be1d7f1"
    assert claims[-70005] == digest
    attestation = unprotected.get(-70100)
    assert attestation is None or evidence_digest(attestation) == claims[-70006]
    return claims, attestation


def request_commitment(salt: bytes, content_type: str, payload: bytes) -> bytes:
    return sha256("enclaved/1 request commitment", salt, content_type, payload)


def output_commitment(salt: bytes, content_type: str, output: bytes) -> bytes:
    return sha256("enclaved/1 output commitment", salt, content_type, output)


# Section 14: sealed output.
def open_output(message: bytes, *, suite: str, seed: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and body."""
    header, sealed_keys, ciphertext = msgpack.unpackb(message)
    fingerprint = hashlib.sha256(load_private(suite, seed)[1]).digest()[:16]
    ours = next(key for key in sealed_keys if key["suite"] == suite and key["recipient"] == fingerprint)
    body_key = hpke_open(suite, seed, lp("enclaved/1 output", suite, header), ours["sealed"])
    return msgpack.unpackb(header), msgpack.unpackb(AESGCM(body_key).decrypt(bytes(12), ciphertext, header))
