"""Make the test vectors of the wire protocol: `python tests/vectors/wire/generate.py`.

Everything comes from a counter, so that a second run writes the same bytes; but
HPKE draws its ephemeral keys inside the library. What was sealed by it is
therefore taken from the files that are there, and only opened. Delete a file's
"sealed" entries to have them made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from answer_vectors import PAYLOAD, TEXT, Made, output_vectors, receipt_vectors, result_vectors
from counted_bytes import CountedBytes, shown
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire import attestation as attestations
from enclaved.wire import bundle as bundles
from enclaved.wire import frames, header, hint, hpke, invocation, lp, session
from enclaved.wire.codec import encode
from enclaved.wire.envelope import MIN_ANSWER, MIN_REQUEST, encode_padded, padded_size, sequence_nonce
from enclaved.wire.key_text import caller_key_text

FOLDER = Path(__file__).parent


def make(made: Made) -> Made:
    """Return all vectors by file name.

    Args:
        made: what the files hold now; only what HPKE sealed is taken from it.
    """
    vectors: Made = {"lp": _lp(), "padding": _padding()}
    seeds = {name: CountedBytes(f"seed {name}")(32) for name in (*hpke.SUITES, "receipt", "caller", "recipient")}
    bundle = _bundle(seeds)
    bundle_bytes = encode(bundle)
    vectors["bundle"] = _bundle_vectors(bundle, bundle_bytes, seeds)
    attestation = _attestation(bundle_bytes, challenge=None)
    vectors["attestation"] = _attestation_vectors(bundle_bytes, attestation)
    vectors["session"] = _sessions(made.get("session", {}), bundle, bundle_bytes, seeds)
    keys = _session_keys(vectors["session"]["x25519 with proof"])
    sealed = _invocation(keys, bundle_bytes)
    vectors["invocation"] = sealed[1]
    vectors["receipt"] = receipt_vectors(seeds, bundle_bytes, attestation)
    vectors["result"] = result_vectors(keys, bundle_bytes, sealed[0], vectors["receipt"])
    vectors["sealed_output"] = output_vectors(made.get("sealed_output", {}), bundle_bytes, seeds, vectors["receipt"])
    vectors["hint"] = _hints(keys)
    vectors["frames"] = _frames(attestation, sealed[1])
    return vectors


def _lp() -> Made:
    parts = (b"label", b"", b"\x00\x01")
    return {
        "parts": shown(parts),
        "length_prefixed": lp.length_prefixed(*parts).hex(),
        "sha256": lp.sha256(*parts).hex(),
    }


def _padding() -> Made:
    sizes = (*range(250, 262), 512, 513, 1000, 1024, 1025, 4095, 4097, 65535, 65537, 1048576, 1048577, 1081344, 1081345)
    return {
        kind: {str(size): padded_size(size, least=least) for size in sizes}
        for kind, least in (("padded_request", MIN_REQUEST), ("padded_answer", MIN_ANSWER))
    }


def _bundle(seeds: dict[str, bytes]) -> bundles.KeyBundle:
    random = CountedBytes("bundle")
    caller = Ed25519PrivateKey.from_private_bytes(seeds["caller"]).public_key().public_bytes_raw()
    entry = bundles.FunctionEntry(
        name="redact",
        version="1.0.0",
        digest="h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        engine="python",
        isolation="full",
        callers_digest=bundles.callers_digest((caller_key_text(caller),)),
        limits=bundles.FunctionLimits(time_ms=2000, memory_mib=128, input_bytes=65536, output_bytes=65536),
    )
    return bundles.KeyBundle(
        v=1,
        namespace="demo",
        runtime_id="runtime-1",
        boot_id=random(16),
        epoch=1,
        keys=tuple(
            bundles.PublicKey(suite=suite, public_key=hpke.PrivateKey.from_seed(suite, seeds[suite]).public_key)
            for suite in hpke.SUITES
        ),
        receipt_public_key=Ed25519PrivateKey.from_private_bytes(seeds["receipt"]).public_key().public_bytes_raw(),
        functions=(entry,),
        runtime_digest="h1:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        not_before=1_790_000_000_000,
        not_after=1_790_003_600_000,
    )


def _bundle_vectors(bundle: bundles.KeyBundle, data: bytes, seeds: dict[str, bytes]) -> Made:
    digest = bundles.bundle_digest(data)
    nonce = CountedBytes("nonce")(32)
    keys = ("ed25519:bbb", "ed25519:aaa")
    return {
        "seeds": shown(seeds),
        "fields": shown(bundle),
        "bytes": data.hex(),
        "bundle_digest": digest.hex(),
        "key_id": bundles.key_id(data).hex(),
        "binding": bundles.binding(digest).hex(),
        "nonce": nonce.hex(),
        "binding with nonce": bundles.binding(digest, nonce).hex(),
        "callers_digest": {
            "any": bundles.callers_digest(None).hex(),
            "nobody": bundles.callers_digest(()).hex(),
            " ".join(keys): bundles.callers_digest(keys).hex(),
        },
    }


def _attestation(bundle: bytes, *, challenge: attestations.Challenge | None) -> bytes:
    evidence = attestations.Evidence(
        format="example", report=CountedBytes("report")(48), endorsements={"root.der": CountedBytes("root")(24)}
    )
    return attestations.encode_attestation(
        attestations.Attestation(v=1, bundle=bundle, challenge=challenge, evidence=evidence)
    )


def _attestation_vectors(bundle: bytes, plain: bytes) -> Made:
    nonce = CountedBytes("nonce")(32)
    challenged = _attestation(bundle, challenge=attestations.Challenge(nonce=nonce, path=()))
    request = attestations.ChallengeRequest(v=1, nonce=nonce, response_topic="enclaved/v1/demo/reply/4f1c")
    return {
        name: {"bytes": data.hex(), "evidence_digest": attestations.evidence_digest(data).hex()}
        for name, data in (("unchallenged", plain), ("challenged", challenged))
    } | {"request": {"fields": shown(request), "bytes": attestations.encode_challenge_request(request).hex()}}


def _sessions(made: Made, bundle: bundles.KeyBundle, data: bytes, seeds: dict[str, bytes]) -> Made:
    digest = bundles.bundle_digest(data)
    caller = Ed25519PrivateKey.from_private_bytes(seeds["caller"])
    vectors: Made = {}
    for suite in hpke.SUITES:
        private = hpke.PrivateKey.from_seed(suite, seeds[suite])
        for name, proof in ((f"{suite} anonymous", None), (f"{suite} with proof", caller)):
            secret = CountedBytes(name)(32)
            offer = _offer(made.get(name), suite, private, digest, secret, proof)
            keys = session.open_offer(offer, bundle_digest=digest, keys={suite: private})
            vectors[name] = {
                "suite": suite,
                "secret": secret.hex(),
                "info": lp.length_prefixed(b"enclaved/1 session", suite.encode(), digest).hex(),
                "caller_public_key": shown(keys.caller),
                "sealed offer": offer.hex(),
                "session_id": keys.session_id.hex(),
                "request_key": keys.request_key.hex(),
                "result_secret": keys.result_secret.hex(),
            }
    return vectors


def _offer(
    made: Made | None,
    suite: str,
    private: hpke.PrivateKey,
    digest: bytes,
    secret: bytes,
    caller: Ed25519PrivateKey | None,
) -> bytes:
    if made is not None and "sealed offer" in made:
        return bytes.fromhex(made["sealed offer"])
    offer, _ = session.make_offer(
        suite=suite,
        public_key=private.public_key,
        bundle_digest=digest,
        random=_fixed(secret),
        caller_key=caller,
    )
    return offer


def _fixed(value: bytes) -> Callable[[int], bytes]:
    return lambda size: value[:size]


def _session_keys(vector: Made) -> session.SessionKeys:
    caller = vector["caller_public_key"]
    return session.SessionKeys(
        session_id=bytes.fromhex(vector["session_id"]),
        request_key=bytes.fromhex(vector["request_key"]),
        result_secret=bytes.fromhex(vector["result_secret"]),
        caller=None if caller is None else bytes.fromhex(caller),
    )


def _invocation(keys: session.SessionKeys, bundle: bytes) -> tuple[invocation.SealedInvocation, Made]:
    head = header.InvocationHeader(
        v=1,
        runtime_id="runtime-1",
        key_id=bundles.key_id(bundle),
        session_id=keys.session_id,
        sequence=3,
        verified_below=2,
        function="redact",
        response_topic="enclaved/v1/demo/reply/4f1c",
        expires_at=1_790_000_060_000,
        evidence="full",
    )
    body = invocation.InvocationBody(invocation_id=CountedBytes("invocation")(16), content_type=TEXT, payload=PAYLOAD)
    sealed = invocation.seal_invocation(head, body, keys=keys)
    parts = header.InvocationParts(header=sealed.header, offer=None, ciphertext=sealed.ciphertext)
    return sealed, {
        "session": "x25519 with proof",
        "header": {"fields": shown(head), "bytes": sealed.header.hex()},
        "body": {"fields": shown(body), "bytes": encode_padded(body, least=MIN_REQUEST).hex()},
        "nonce": sequence_nonce(head.sequence).hex(),
        "ciphertext": sealed.ciphertext.hex(),
        "request_digest": sealed.digest.hex(),
        "message without offer": header.join_invocation(parts).hex(),
    }


def _hints(keys: session.SessionKeys) -> Made:
    known = hint.Hint(v=1, hint="session_unknown", session_id=keys.session_id, sequence=3)
    unknown = hint.Hint(v=1, hint="malformed", session_id=None, sequence=None)
    return {each.hint: {"fields": shown(each), "bytes": hint.encode_hint(each).hex()} for each in (known, unknown)}


def _frames(attestation: bytes, sealed: Made) -> Made:
    message = bytes.fromhex(sealed["message without offer"])
    lane = frames.Lane(function="redact", triggers=("ward/+/notes",), slots=4)
    examples: tuple[frames.Frame, ...] = (
        frames.Hello(v=1),
        frames.Announce(
            namespace="demo", runtime_id="runtime-1", attestation=attestation, expires_in_ms=3_600_000, lanes=(lane,)
        ),
        frames.Invoke(id=7, message=message),
        frames.Answer(
            id=7, outcome="answered", reply=b"\x93", outputs=(frames.Output(topic="ward/alarm", payload=b"\x93"),)
        ),
        frames.Attest(id=8, nonce=CountedBytes("nonce")(32)),
        frames.Attested(id=8, attestation=None),
    )
    return {
        type(frame).__name__.lower(): {"fields": shown(frame), "bytes": frames.encode_frame(frame).hex()}
        for frame in examples
    }


def read() -> Made:
    """Return what the files hold."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def main() -> None:
    """Write the files."""
    for name, vectors in make(read()).items():
        (FOLDER / f"{name}.json").write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
