"""The vectors of what an enclave sends: results, receipts, sealed outputs."""

from __future__ import annotations

from typing import Any

from counted_bytes import CountedBytes, shown
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire import attestation as attestations
from enclaved.wire import bundle as bundles
from enclaved.wire import header, hpke, invocation, receipt, result, sealed_output, session
from enclaved.wire.codec import encode
from enclaved.wire.envelope import MIN_ANSWER, encode_padded

Made = dict[str, Any]
PAYLOAD = b"call me on 555-0100"
OUTPUT = b"call me on [phone]"
TEXT = "text/plain"


def receipt_vectors(seeds: dict[str, bytes], bundle: bytes, attestation: bytes) -> Made:
    """Return a receipt, its parts and its commitments."""
    salts = CountedBytes("salts")
    request_salt, result_salt = salts(32), salts(32)
    claims = receipt.ReceiptClaims(
        runtime_id="runtime-1",
        host_time=1_790_000_001,
        invocation_id=CountedBytes("invocation")(16),
        profile=receipt.PROFILE,
        function="redact",
        function_digest="h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        request_commitment=receipt.request_commitment(request_salt, TEXT, PAYLOAD),
        output_commitment=receipt.output_commitment(result_salt, TEXT, OUTPUT),
        bundle_digest=bundles.bundle_digest(bundle),
        evidence_digest=attestations.evidence_digest(attestation),
        engine="python",
        isolation="full",
        duration_us=1234,
        outcome="ok",
        sequence=3,
    )
    signed = receipt.sign_receipt(claims, key=Ed25519PrivateKey.from_private_bytes(seeds["receipt"]))
    message = receipt.decode_receipt(signed).message
    return {
        "claims": {name: shown(getattr(claims, name)) for name in claims.__dataclass_fields__},
        "request": {"salt": request_salt.hex(), "content_type": TEXT, "payload": PAYLOAD.hex()},
        "output": {"salt": result_salt.hex(), "content_type": TEXT, "output": OUTPUT.hex()},
        "protected": message.protected.hex(),
        "payload": message.payload.hex(),
        "signature": message.signature.hex(),
        "bytes": signed.hex(),
        "self-contained": receipt.attach_attestation(signed, attestation).hex(),
    }


def result_vectors(
    keys: session.SessionKeys, bundle: bytes, request: invocation.SealedInvocation, signed: Made
) -> Made:
    """Return an answer and a refusal to the vectors' invocation."""
    identifier = CountedBytes("invocation")(16)
    ok = result.ResultBody(
        status="ok",
        code="ok",
        invocation_id=identifier,
        content_type=TEXT,
        output=OUTPUT,
        log=b"1 number found\n",
        receipt=bytes.fromhex(signed["bytes"]),
        request_salt=bytes.fromhex(signed["request"]["salt"]),
        result_salt=bytes.fromhex(signed["output"]["salt"]),
    )
    refused = result.ResultBody(
        status="refused",
        code="caller_refused",
        invocation_id=identifier,
        content_type="",
        output=b"",
        log=b"",
        receipt=None,
        request_salt=None,
        result_salt=None,
    )
    vectors: Made = {}
    for name, body in (("ok", ok), ("refused", refused)):
        random = CountedBytes(f"result {name}")
        parts = result.seal_result(
            body,
            key_id=bundles.key_id(bundle),
            sequence=3,
            keys=keys,
            request_digest=request.digest,
            random=random,
        )
        salt = header.decode_result_header(parts.header).salt
        vectors[name] = {
            "session": "x25519 with proof",
            "header": parts.header.hex(),
            "result_key": result.result_key(keys, salt=salt, request_digest=request.digest).hex(),
            "body": {"fields": shown(body), "bytes": encode_padded(body, least=MIN_ANSWER).hex()},
            "ciphertext": parts.ciphertext.hex(),
            "message": header.join_result(parts).hex(),
        }
    return vectors


def output_vectors(made: Made, bundle: bytes, seeds: dict[str, bytes], signed: Made) -> Made:
    """Return one sealed output per suite."""
    vectors: Made = {}
    caller = Ed25519PrivateKey.from_private_bytes(seeds["caller"]).public_key().public_bytes_raw()
    head = sealed_output.OutputHeader(v=1, runtime_id="runtime-1", key_id=bundles.key_id(bundle), function="redact")
    for suite in hpke.SUITES:
        recipient = hpke.PrivateKey.from_seed(suite, seeds["recipient"])
        body = sealed_output.OutputBody(
            status="ok",
            code="ok",
            invocation_id=CountedBytes("invocation")(16),
            content_type=TEXT,
            output=OUTPUT,
            log=b"",
            receipt=bytes.fromhex(signed["self-contained"]),
            result_salt=bytes.fromhex(signed["output"]["salt"]),
            producer=sealed_output.key_fingerprint(caller),
        )
        key = sealed_output.RecipientKey(suite=suite, public_key=recipient.public_key)
        message = (
            made.get(suite, {}).get("sealed message")
            or sealed_output.seal_output(
                body, header=head, recipients=(key,), random=CountedBytes(f"output {suite}")
            ).hex()
        )
        vectors[suite] = {
            "recipient seed": seeds["recipient"].hex(),
            "recipient": sealed_output.key_fingerprint(recipient.public_key).hex(),
            "header": encode(head).hex(),
            "body_key": CountedBytes(f"output {suite}")(32).hex(),
            "body": encode_padded(body, least=MIN_ANSWER).hex(),
            "sealed message": message,
        }
    return vectors
