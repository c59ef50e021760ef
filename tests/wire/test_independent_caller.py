"""A caller written from the README alone, and the package: each understands the other."""

from __future__ import annotations

from pathlib import Path

import independent_caller as caller
import msgpack
import msgspec
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from enclaved.errors import ProtocolError
from enclaved.wire import hpke
from enclaved.wire.header import (
    InvocationParts,
    decode_invocation_header,
    join_invocation,
    join_result,
    split_invocation,
)
from enclaved.wire.invocation import open_invocation, request_digest, seal_invocation
from enclaved.wire.receipt import attach_attestation, decode_receipt, sign_receipt, verify_receipt
from enclaved.wire.result import seal_result
from enclaved.wire.sealed_output import (
    OutputBody,
    OutputHeader,
    RecipientKey,
    key_fingerprint,
    open_output,
    seal_output,
)
from enclaved.wire.session import SessionKeys, open_offer
from wire_values import (
    ATTESTATION_BYTES,
    BUNDLE_BYTES,
    BUNDLE_DIGEST,
    CALLER_KEY,
    CLAIMS,
    INVOCATION_BODY,
    INVOCATION_ID,
    KEY_ID,
    PRIVATE_KEYS,
    RECEIPT_KEY,
    RECEIPT_PUBLIC,
    REPLY_TOPIC,
    RESULT_BODY,
    SALT,
    CountedBytes,
    invocation_header,
    session,
)

RECEIPT = sign_receipt(CLAIMS, key=RECEIPT_KEY)


def request_of(opened: caller.Session, *, sequence: int = 5, payload: bytes = b"hello") -> caller.Request:
    """Seal a request as the independent caller."""
    header = {
        "v": 1,
        "runtime_id": "r1",
        "key_id": KEY_ID,
        "session_id": opened.session_id,
        "sequence": sequence,
        "verified_below": 0,
        "function": "echo",
        "response_topic": REPLY_TOPIC,
        "expires_at": 1500,
        "evidence": "full",
    }
    return caller.seal_invocation(
        opened, header, invocation_id=INVOCATION_ID, content_type="text/plain", payload=payload
    )


def served(message: bytes) -> tuple[bytes, SessionKeys]:
    """Answer a message as the enclave's side of the package does, with its output."""
    parts = split_invocation(message)
    assert parts.offer is not None
    keys = open_offer(parts.offer, bundle_digest=BUNDLE_DIGEST, keys=PRIVATE_KEYS)
    header = decode_invocation_header(parts.header)
    assert header.session_id == keys.session_id
    body = open_invocation(parts.header, parts.ciphertext, sequence=header.sequence, keys=keys)
    assert (body.invocation_id, body.content_type, body.payload) == (INVOCATION_ID, "text/plain", b"hello")
    result = seal_result(
        msgspec.structs.replace(RESULT_BODY, receipt=RECEIPT),
        key_id=KEY_ID,
        sequence=header.sequence,
        keys=keys,
        request_digest=request_digest(parts.header, parts.ciphertext),
        random=CountedBytes("result"),
    )
    return join_result(result), keys


def test_it_imports_nothing_of_the_package() -> None:
    """Else it would prove nothing about the README."""
    for module in ("independent_caller.py", "independent_hpke.py"):
        source = (Path(__file__).parent / module).read_text()
        assert "import enclaved" not in source
        assert "from enclaved" not in source


@pytest.mark.parametrize("suite", hpke.SUITES)
@pytest.mark.parametrize("key", [None, CALLER_KEY], ids=["anonymous", "proven"])
def test_an_invocation_and_its_result_pass_between_them(suite: str, key: Ed25519PrivateKey | None) -> None:
    """Sealed by the independent caller, answered by the package, opened and verified by the independent caller."""
    opened = caller.open_session(BUNDLE_BYTES, suite=suite, random=CountedBytes(), caller=key)
    request = request_of(opened)
    message, keys = served(request.message(opened.offer))
    body = caller.open_result(opened, request, message)
    claims, _ = caller.verify_receipt(body["receipt"], public_key=RECEIPT_PUBLIC, digest=BUNDLE_DIGEST)

    assert keys.caller == (key.public_key().public_bytes_raw() if key else None)
    assert body["output"] == b"hello"
    assert claims[-70003] == caller.request_commitment(body["request_salt"], "text/plain", b"hello")
    assert claims[-70004] == caller.output_commitment(body["result_salt"], "text/plain", body["output"])
    with pytest.raises(InvalidTag):
        caller.open_result(opened, caller.Request(header=request.header, ciphertext=b""), message)


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_what_the_package_seals_opens_without_it(suite: str) -> None:
    """Sealed by the package's caller, opened from the README's derivations."""
    offer, keys = session(suite)
    sealed = seal_invocation(invocation_header(keys, sequence=9), INVOCATION_BODY, keys=keys)
    message = join_invocation(InvocationParts(header=sealed.header, offer=offer, ciphertext=sealed.ciphertext))
    header, sent_offer, ciphertext = msgpack.unpackb(message)
    secret = caller.hpke_open(
        suite, CountedBytes(suite)(32), caller.offer_info(suite, BUNDLE_DIGEST), msgpack.unpackb(sent_offer)["sealed"]
    )
    derived = caller.derive_session(sent_offer, msgpack.unpackb(secret)["secret"])
    body = AESGCM(derived.request_key).decrypt((9).to_bytes(12, "big"), ciphertext, header)

    assert msgpack.unpackb(header)["session_id"] == derived.session_id
    assert msgpack.unpackb(body)["payload"] == b"hello"
    assert len(body) == 256


def test_a_self_contained_receipt_passes_between_them() -> None:
    """Made by the package, verified without it; and a tampered one by neither."""
    data = attach_attestation(RECEIPT, ATTESTATION_BYTES)
    claims, attestation = caller.verify_receipt(data, public_key=RECEIPT_PUBLIC, digest=BUNDLE_DIGEST)

    assert attestation == ATTESTATION_BYTES
    assert claims[-70001] == "echo"
    tampered = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(InvalidSignature):
        caller.verify_receipt(tampered, public_key=RECEIPT_PUBLIC, digest=BUNDLE_DIGEST)
    with pytest.raises(ProtocolError):
        verify_receipt(decode_receipt(tampered), public_key=RECEIPT_PUBLIC, bundle_digest=BUNDLE_DIGEST)


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_a_sealed_output_passes_between_them(suite: str) -> None:
    """Sealed by each, opened by the other."""
    key, seed = PRIVATE_KEYS[suite], CountedBytes(suite)(32)
    header = OutputHeader(v=1, runtime_id="r1", key_id=KEY_ID, function="echo")
    fields = {"status": "ok", "code": "ok", "invocation_id": INVOCATION_ID, "content_type": "", "output": b"alarm",
              "log": b"", "receipt": b"receipt", "result_salt": SALT, "producer": None}  # fmt: skip
    message = seal_output(
        OutputBody(**fields),
        header=header,
        recipients=(RecipientKey(suite=suite, public_key=key.public_key),),
        random=CountedBytes(),
    )
    head, body = caller.open_output(message, suite=suite, seed=seed)

    assert head["function"] == "echo"
    assert {name: body[name] for name in fields} == fields
    header_bytes = msgpack.packb(head)
    sealed_key = {
        "suite": suite,
        "recipient": key_fingerprint(key.public_key),
        "sealed": caller.hpke_seal(suite, key.public_key, caller.lp("enclaved/1 output", suite, header_bytes), SALT),
    }
    ciphertext = AESGCM(SALT).encrypt(bytes(12), caller.pack_padded(fields), header_bytes)
    again = open_output(msgpack.packb([header_bytes, [sealed_key], ciphertext]), key=key)

    assert again[0] == header
    assert again[1].output == b"alarm"
