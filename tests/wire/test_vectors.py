"""The committed test vectors: the package still makes them, and a program that is not the package reads them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import independent_caller as caller
import independent_hpke
import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from enclaved.wire import hpke
from enclaved.wire.session import open_offer
from wire_values import VECTORS, vectors

SEEDS = {name: bytes.fromhex(seed) for name, seed in vectors("bundle")["seeds"].items()}
SESSIONS = vectors("session")


def unhex(text: str) -> bytes:
    """Return the bytes of a vector."""
    return bytes.fromhex(text)


def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script that makes the vectors."""
    monkeypatch.syspath_prepend(VECTORS)
    spec = importlib.util.spec_from_file_location("generate_wire_vectors", VECTORS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bundle() -> bytes:
    """Return the vectors' key bundle."""
    return unhex(vectors("bundle")["bytes"])


def test_the_package_still_makes_these_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that moves a byte on the wire needs a new version."""
    script = generator(monkeypatch)
    made = script.read()
    again = json.loads(json.dumps(script.make(made)))

    assert set(made) == set(again) | {"xwing_draft"}
    for name, content in again.items():
        assert content == made[name], name


def test_parts_are_joined_with_their_lengths() -> None:
    """Recomputed without the package."""
    vector = vectors("lp")
    parts = [unhex(part) for part in vector["parts"]]

    assert caller.lp(*parts).hex() == vector["length_prefixed"]
    assert caller.sha256(*parts).hex() == vector["sha256"]


def test_sizes_are_padded_alike() -> None:
    """Recomputed without the package."""
    for kind, least in (("padded_request", 256), ("padded_answer", 1024)):
        for size, padded in vectors("padding")[kind].items():
            assert caller.padded_size(int(size), least) == padded


def test_the_bundle_has_these_digests() -> None:
    """Recomputed without the package, the bundle read as plain MessagePack."""
    vector = vectors("bundle")
    digest = caller.bundle_digest(bundle())

    assert digest.hex() == vector["bundle_digest"]
    assert digest[:16].hex() == vector["key_id"]
    assert caller.binding(digest).hex() == vector["binding"]
    assert caller.binding(digest, unhex(vector["nonce"])).hex() == vector["binding with nonce"]
    assert caller.callers_digest(None).hex() == vector["callers_digest"]["any"]
    assert caller.callers_digest([]).hex() == vector["callers_digest"]["nobody"]
    assert (
        caller.callers_digest(["ed25519:bbb", "ed25519:aaa"]).hex()
        == vector["callers_digest"]["ed25519:bbb ed25519:aaa"]
    )
    assert _hexed(msgpack.unpackb(bundle())) == vector["fields"]
    for key in vector["fields"]["keys"]:
        assert caller.load_private(key["suite"], SEEDS[key["suite"]])[1].hex() == key["public_key"]


def test_the_attestations_have_these_digests() -> None:
    """And hold the bundle's very bytes."""
    vector = vectors("attestation")
    for name in ("unchallenged", "challenged"):
        data = unhex(vector[name]["bytes"])
        assert caller.evidence_digest(data).hex() == vector[name]["evidence_digest"]
        assert msgpack.unpackb(data)["bundle"] == bundle()
    assert _hexed(msgpack.unpackb(unhex(vector["request"]["bytes"]))) == vector["request"]["fields"]


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_the_offers_open_to_these_keys(name: str) -> None:
    """By the package, by the library's HPKE, and by HPKE from its parts."""
    vector = SESSIONS[name]
    offer, seed, digest = unhex(vector["sealed offer"]), SEEDS[vector["suite"]], caller.bundle_digest(bundle())
    sealed = msgpack.unpackb(offer)["sealed"]
    info = caller.offer_info(vector["suite"], digest)
    opened = independent_hpke.open_sealed(vector["suite"], seed, info, sealed)

    assert info.hex() == vector["info"]
    assert caller.hpke_open(vector["suite"], seed, info, sealed) == opened
    secret = msgpack.unpackb(opened)
    assert secret["secret"].hex() == vector["secret"]
    derived = caller.derive_session(offer, secret["secret"])
    keys = open_offer(
        offer, bundle_digest=digest, keys={vector["suite"]: hpke.PrivateKey.from_seed(vector["suite"], seed)}
    )
    assert derived.session_id.hex() == keys.session_id.hex() == vector["session_id"]
    assert derived.request_key.hex() == keys.request_key.hex() == vector["request_key"]
    assert derived.result_secret.hex() == keys.result_secret.hex() == vector["result_secret"]
    proof = secret["caller_proof"]
    assert (proof is None) == (vector["caller_public_key"] is None)
    if proof is not None:
        expected = Ed25519PrivateKey.from_private_bytes(SEEDS["caller"]).public_key().public_bytes_raw()
        assert proof["public_key"] == expected
        signed = caller.lp("enclaved/1 caller proof", digest, hashlib.sha256(secret["secret"]).digest())
        Ed25519PublicKey.from_public_bytes(expected).verify(proof["signature"], signed)


def _session() -> caller.Session:
    vector = SESSIONS[vectors("invocation")["session"]]
    return caller.derive_session(unhex(vector["sealed offer"]), unhex(vector["secret"]))


def test_the_invocation_is_sealed_to_these_bytes() -> None:
    """Sealed again without the package, from the fields."""
    vector = vectors("invocation")
    fields = vector["header"]["fields"]
    header = fields | {"key_id": unhex(fields["key_id"]), "session_id": unhex(fields["session_id"])}
    body = vector["body"]["fields"]
    request = caller.seal_invocation(
        _session(),
        header,
        invocation_id=unhex(body["invocation_id"]),
        content_type=body["content_type"],
        payload=unhex(body["payload"]),
    )

    assert request.header.hex() == vector["header"]["bytes"]
    assert request.ciphertext.hex() == vector["ciphertext"]
    assert request.digest.hex() == vector["request_digest"]
    assert request.message(None).hex() == vector["message without offer"]


@pytest.mark.parametrize("name", ["ok", "refused"])
def test_the_results_open_to_these_fields(name: str) -> None:
    """Opened without the package."""
    vector, sent = vectors("result")[name], vectors("invocation")
    request = caller.Request(header=unhex(sent["header"]["bytes"]), ciphertext=unhex(sent["ciphertext"]))
    body = caller.open_result(_session(), request, unhex(vector["message"]))
    padding = body.pop("padding")

    assert _hexed(body) == vector["body"]["fields"]
    assert len(unhex(vector["ciphertext"])) == caller.padded_size(len(unhex(vector["body"]["bytes"]))) + 16
    assert not any(padding)


def test_the_receipts_verify() -> None:
    """Verified without the package, alone and with the attestation; the commitments recompute."""
    vector = vectors("receipt")
    public_key = unhex(vectors("bundle")["fields"]["receipt_public_key"])
    digest = caller.bundle_digest(bundle())
    claims, none = caller.verify_receipt(unhex(vector["bytes"]), public_key=public_key, digest=digest)
    same, attestation = caller.verify_receipt(unhex(vector["self-contained"]), public_key=public_key, digest=digest)
    request, output = vector["request"], vector["output"]

    assert claims == same
    assert none is None
    assert attestation == unhex(vectors("attestation")["unchallenged"]["bytes"])
    assert sorted(map(str, _hexed(list(claims.values())))) == sorted(map(str, vector["claims"].values()))
    assert claims[-70003] == caller.request_commitment(
        unhex(request["salt"]), request["content_type"], unhex(request["payload"])
    )
    assert claims[-70004] == caller.output_commitment(
        unhex(output["salt"]), output["content_type"], unhex(output["output"])
    )


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_the_sealed_outputs_open(suite: str) -> None:
    """Opened without the package, and their keys from HPKE's parts."""
    vector = vectors("sealed_output")[suite]
    message, seed = unhex(vector["sealed message"]), unhex(vector["recipient seed"])
    header, body = caller.open_output(message, suite=suite, seed=seed)
    header_bytes, sealed_keys, _ = msgpack.unpackb(message)
    info = caller.lp("enclaved/1 output", suite, header_bytes)

    assert header_bytes.hex() == vector["header"]
    assert header["function"] == "redact"
    assert body == msgpack.unpackb(unhex(vector["body"]))
    assert sealed_keys[0]["recipient"].hex() == vector["recipient"]
    assert independent_hpke.open_sealed(suite, seed, info, sealed_keys[0]["sealed"]).hex() == vector["body_key"]


def test_the_hints_and_frames_have_these_fields() -> None:
    """Read as plain MessagePack."""
    for vector in vectors("hint").values():
        assert caller.is_hint(unhex(vector["bytes"]))
        assert _hexed(msgpack.unpackb(unhex(vector["bytes"]))) == vector["fields"]
    for kind, vector in vectors("frames").items():
        data = unhex(vector["bytes"])
        assert int.from_bytes(data[:4], "big") == len(data) - 4
        assert _hexed(msgpack.unpackb(data[4:])) == vector["fields"] | {"kind": kind}


def test_x_wing_is_that_of_the_published_vector() -> None:
    """The first of the draft's appendix: key generation and decapsulation."""
    vector = vectors("xwing_draft")
    seed = unhex(vector["seed"])
    public_key = hpke.PrivateKey.from_seed("mlkem768-x25519", seed).public_key

    assert public_key.hex().startswith(vector["public_key_start"])
    assert public_key.hex().endswith(vector["public_key_end"])
    assert hashlib.sha256(public_key).hexdigest() == vector["public_key_sha256"]
    assert independent_hpke.xwing_secret(seed, unhex(vector["encapsulated"])).hex() == vector["shared_secret"]


def published() -> Path:
    """Return the folder of the published vectors, or skip."""
    folder = os.environ.get("ENCLAVED_VECTORS")
    if not folder:
        pytest.skip("ENCLAVED_VECTORS names no folder of published vectors")
    return Path(folder)


@pytest.mark.vectors
def test_the_published_hpke_vectors_open() -> None:
    """RFC 9180, appendix A, X25519: opened from the parts for our AEAD, and the KEM for all of them.

    The single-shot library takes no aad, and the vectors all have one; so what is
    held against them is `independent_hpke`, and the library is held against that.
    """
    path = published() / "hpke" / "rfc9180-x25519" / "vectors.json"
    if not path.exists():
        pytest.skip(f"no {path.name} under hpke/rfc9180-x25519")
    base = [each for each in json.loads(path.read_text()) if each["mode"] == 0]
    ours = [each for each in base if (each["kdf_id"], each["aead_id"]) == (1, 2)]

    assert base
    assert ours
    for each in base:
        assert independent_hpke.x25519_secret(unhex(each["skRm"]), unhex(each["enc"])).hex() == each["shared_secret"]
    for each in ours:
        first = each["encryptions"][0]
        opened = independent_hpke.open_sealed(
            "x25519",
            unhex(each["skRm"]),
            unhex(each["info"]),
            unhex(each["enc"] + first["ct"]),
            aad=unhex(first["aad"]),
        )
        assert opened.hex() == first["pt"]


def test_pyhpke_opens_what_the_package_seals() -> None:
    """Another implementation, where it is installed."""
    pyhpke = pytest.importorskip("pyhpke")
    suite = pyhpke.CipherSuite.new(
        pyhpke.KEMId.DHKEM_X25519_HKDF_SHA256, pyhpke.KDFId.HKDF_SHA256, pyhpke.AEADId.AES256_GCM
    )
    key = hpke.PrivateKey.from_seed("x25519", SEEDS["x25519"])
    sealed = hpke.seal(b"secret", suite="x25519", public_key=key.public_key, info=b"info")
    private = pyhpke.KEMKey.from_jwk(_jwk(SEEDS["x25519"], key.public_key))
    recipient = suite.create_recipient_context(sealed[:32], private, info=b"info")

    assert recipient.open(sealed[32:]) == b"secret"


def _jwk(private: bytes, public: bytes) -> dict[str, str]:
    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return {"kty": "OKP", "crv": "X25519", "x": text(public), "d": text(private)}


def _hexed(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _hexed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_hexed(each) for each in value]
    return value
