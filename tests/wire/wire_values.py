"""Good values of every message, from a counter: a test turns one thing of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire import hpke
from enclaved.wire.attestation import Attestation, Evidence, encode_attestation, evidence_digest
from enclaved.wire.bundle import FunctionEntry, FunctionLimits, KeyBundle, PublicKey, bundle_digest, callers_digest
from enclaved.wire.codec import encode
from enclaved.wire.header import InvocationHeader
from enclaved.wire.invocation import InvocationBody
from enclaved.wire.lp import sha256
from enclaved.wire.receipt import PROFILE, ReceiptClaims, output_commitment, request_commitment
from enclaved.wire.result import ResultBody
from enclaved.wire.session import SessionKeys, make_offer

VECTORS = Path(__file__).parent.parent / "vectors" / "wire"


class CountedBytes:
    """A source of bytes that differ from draw to draw and not from run to run."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed.encode()
        self._count = 0

    def __call__(self, size: int) -> bytes:
        """Return the next bytes."""
        self._count += 1
        drawn = sha256(b"tests", self._seed, self._count.to_bytes(4, "big"))
        return (drawn * (size // 32 + 1))[:size]


def vectors(name: str) -> dict[str, Any]:
    """Return one file of the test vectors."""
    read: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return read


def flipped(data: bytes, position: int) -> bytes:
    """Return the bytes with one bit turned."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


PRIVATE_KEYS = {suite: hpke.PrivateKey.from_seed(suite, CountedBytes(suite)(32)) for suite in hpke.SUITES}
RECEIPT_KEY = Ed25519PrivateKey.from_private_bytes(CountedBytes("receipt")(32))
RECEIPT_PUBLIC = RECEIPT_KEY.public_key().public_bytes_raw()
CALLER_KEY = Ed25519PrivateKey.from_private_bytes(CountedBytes("caller")(32))
FUNCTION = FunctionEntry(
    name="echo",
    version="1",
    digest="h1:abc=",
    engine="python",
    isolation="full",
    callers_digest=callers_digest(None),
    limits=FunctionLimits(time_ms=1000, memory_mib=64, input_bytes=1024, output_bytes=1024),
)
BUNDLE = KeyBundle(
    v=1,
    namespace="demo",
    runtime_id="r1",
    boot_id=bytes(16),
    epoch=1,
    keys=tuple(PublicKey(suite=suite, public_key=key.public_key) for suite, key in PRIVATE_KEYS.items()),
    receipt_public_key=RECEIPT_PUBLIC,
    functions=(FUNCTION,),
    runtime_digest="h1:def=",
    not_before=1_000,
    not_after=2_000,
)
BUNDLE_BYTES = encode(BUNDLE)
BUNDLE_DIGEST = bundle_digest(BUNDLE_BYTES)
KEY_ID = BUNDLE_DIGEST[:16]
EVIDENCE = Evidence(format="example", report=b"report", endorsements={"root.der": b"root"})
ATTESTATION = Attestation(v=1, bundle=BUNDLE_BYTES, challenge=None, evidence=EVIDENCE)
ATTESTATION_BYTES = encode_attestation(ATTESTATION)
REPLY_TOPIC = "enclaved/v1/demo/reply/0a1b"
INVOCATION_ID = CountedBytes("invocation")(16)
SALT = CountedBytes("salt")(32)


def session(
    suite: str = "x25519", *, seed: str = "session", caller: Ed25519PrivateKey | None = None
) -> tuple[bytes, SessionKeys]:
    """Return an offer to the good bundle, and the session's keys."""
    return make_offer(
        suite=suite,
        public_key=PRIVATE_KEYS[suite].public_key,
        bundle_digest=BUNDLE_DIGEST,
        random=CountedBytes(seed),
        caller_key=caller,
    )


def invocation_header(keys: SessionKeys, *, sequence: int = 0) -> InvocationHeader:
    """Return a good header of a session."""
    return InvocationHeader(
        v=1,
        runtime_id="r1",
        key_id=KEY_ID,
        session_id=keys.session_id,
        sequence=sequence,
        verified_below=0,
        function="echo",
        response_topic=REPLY_TOPIC,
        expires_at=1_500,
        evidence="digest",
    )


INVOCATION_BODY = InvocationBody(invocation_id=INVOCATION_ID, content_type="text/plain", payload=b"hello")
CLAIMS = ReceiptClaims(
    runtime_id="r1",
    host_time=1,
    invocation_id=INVOCATION_ID,
    profile=PROFILE,
    function="echo",
    function_digest="h1:abc=",
    request_commitment=request_commitment(SALT, "text/plain", b"hello"),
    output_commitment=output_commitment(SALT, "text/plain", b"hello"),
    bundle_digest=BUNDLE_DIGEST,
    evidence_digest=evidence_digest(ATTESTATION_BYTES),
    engine="python",
    isolation="full",
    duration_us=10,
    outcome="ok",
    sequence=0,
)
RESULT_BODY = ResultBody(
    status="ok",
    code="ok",
    invocation_id=INVOCATION_ID,
    content_type="text/plain",
    output=b"hello",
    log=b"",
    receipt=b"receipt",
    request_salt=SALT,
    result_salt=SALT,
)
