"""Sessions: an offer opens under the bundle it was sealed to, and proves who sealed it."""

from __future__ import annotations

import contextlib
import hashlib

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.errors import Error, ProtocolError
from enclaved.wire import hpke
from enclaved.wire.lp import length_prefixed
from enclaved.wire.session import SessionKeys, make_offer, open_offer, session_id
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_values import BUNDLE_DIGEST, CALLER_KEY, PRIVATE_KEYS, CountedBytes, flipped, session

CALLER = CALLER_KEY.public_key().public_bytes_raw()
OTHER_DIGEST = flipped(BUNDLE_DIGEST, 31)


def opened(offer: bytes, *, digest: bytes = BUNDLE_DIGEST) -> SessionKeys:
    """Open an offer as the enclave."""
    return open_offer(offer, bundle_digest=digest, keys=PRIVATE_KEYS)


def sealed(secret_message: object, *, suite: str = "x25519", digest: bytes = BUNDLE_DIGEST) -> bytes:
    """Return an offer of any secret message, as a caller that follows no rules would make it."""
    info = length_prefixed(b"enclaved/1 session", suite.encode(), digest)
    sealed_secret = hpke.seal(
        msgpack.packb(secret_message), suite=suite, public_key=PRIVATE_KEYS[suite].public_key, info=info
    )
    return msgpack.packb({"suite": suite, "sealed": sealed_secret})


def proof(secret: bytes, *, digest: bytes = BUNDLE_DIGEST, key: Ed25519PrivateKey = CALLER_KEY) -> dict[str, bytes]:
    """Return a proof over a secret."""
    secret_digest = hashlib.sha256(secret).digest()
    signature = key.sign(length_prefixed(b"enclaved/1 caller proof", digest, secret_digest))
    return {"public_key": key.public_key().public_bytes_raw(), "signature": signature}


@pytest.mark.parametrize("suite", hpke.SUITES)
@pytest.mark.parametrize("caller", [None, CALLER_KEY], ids=["anonymous", "proven"])
def test_both_ends_of_a_session_hold_the_same_keys(suite: str, caller: Ed25519PrivateKey | None) -> None:
    """And the enclave knows who calls exactly when the caller proved it."""
    offer, keys = session(suite, caller=caller)

    assert opened(offer) == keys
    assert keys.session_id == session_id(offer)
    assert keys.caller == (CALLER if caller else None)
    assert keys.request_key != keys.result_secret


def test_two_sessions_share_nothing() -> None:
    """Even of the same secret: the ephemeral key is in the salt."""
    first, second = session()[1], session()[1]

    assert first.session_id != second.session_id
    assert first.request_key != second.request_key


def test_an_offer_does_not_open_under_another_bundle() -> None:
    """Its digest stands in HPKE's info: the host cannot move an offer to an epoch with the same keys."""
    offer, _ = session()
    with pytest.raises(ProtocolError):
        opened(offer, digest=OTHER_DIGEST)


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_an_offer_that_claims_another_suite_does_not_open(suite: str) -> None:
    """The suite is part of the info, and of the key that is chosen."""
    offer = msgpack.unpackb(session(suite)[0])
    for other in {*hpke.SUITES, "", "p256"} - {suite}:
        with pytest.raises(ProtocolError):
            opened(msgpack.packb(offer | {"suite": other}))


def test_a_suite_that_the_bundle_has_no_key_of_is_refused() -> None:
    """There is no fallback to another key."""
    offer, _ = session("x25519")
    with pytest.raises(ProtocolError, match="no key"):
        open_offer(offer, bundle_digest=BUNDLE_DIGEST, keys={"mlkem768-x25519": PRIVATE_KEYS["mlkem768-x25519"]})


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_a_turned_bit_of_the_sealed_part_does_not_open(suite: str) -> None:
    """Sampled over encapsulated key and ciphertext."""
    offer = msgpack.unpackb(session(suite, caller=CALLER_KEY)[0])
    size = len(offer["sealed"])
    for position in {*range(0, size, max(1, size // 24)), size - 1}:
        with pytest.raises(ProtocolError):
            opened(msgpack.packb(offer | {"sealed": flipped(offer["sealed"], position)}))


def test_another_encoding_of_an_offer_is_another_session() -> None:
    """The same sealed part in other bytes opens, but to keys under which no captured message opens."""
    offer, keys = session()
    fields = msgpack.unpackb(offer)
    again = opened(msgpack.packb(dict(reversed(fields.items()))))

    assert again.session_id != keys.session_id
    assert again.request_key != keys.request_key


def test_a_proof_lifted_to_another_session_is_refused() -> None:
    """It is checked over the secret actually opened."""
    secret, other = bytes(32), bytes([1]) * 32
    assert opened(sealed({"secret": secret, "caller_proof": proof(secret)})).caller == CALLER
    with pytest.raises(ProtocolError, match="caller proof"):
        opened(sealed({"secret": other, "caller_proof": proof(secret)}))


def test_a_proof_lifted_to_another_bundle_is_refused() -> None:
    """A malicious runtime cannot pass its caller's proof on to another."""
    secret = bytes(32)
    with pytest.raises(ProtocolError, match="caller proof"):
        opened(sealed({"secret": secret, "caller_proof": proof(secret, digest=OTHER_DIGEST)}))


@pytest.mark.parametrize(
    "turn",
    [
        {"signature": bytes(64)},
        {"signature": b""},
        {"signature": bytes(65)},
        {"public_key": bytes(31)},
        {"public_key": b"\xff" * 32},
        {"public_key": Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()},
    ],
    ids=range(6),
)
def test_a_wrong_proof_is_refused_and_not_taken_for_none(turn: dict[str, bytes]) -> None:
    """Who fails to prove an identity does not become anonymous."""
    secret = bytes(32)
    with pytest.raises(ProtocolError, match="caller proof"):
        opened(sealed({"secret": secret, "caller_proof": proof(secret) | turn}))


@pytest.mark.parametrize(
    "message",
    [
        {"secret": bytes(31), "caller_proof": None},
        {"secret": bytes(32)},
        {"secret": bytes(33), "caller_proof": None},
        [bytes(32), None],
        {"secret": "a" * 32, "caller_proof": None},
        b"",
        {"secret": bytes(32), "caller_proof": None, "x": 1},
    ],
    ids=range(7),
)
def test_a_sealed_secret_of_another_shape_is_refused(message: object) -> None:
    """Whoever can seal is still a stranger."""
    with pytest.raises(ProtocolError):
        opened(sealed(message))


def test_keys_show_themselves_to_nobody() -> None:
    """A log or a traceback that prints them prints no secret."""
    _, keys = session()
    private = PRIVATE_KEYS["x25519"]

    for secret in (keys.request_key, keys.result_secret):
        assert secret.hex() not in repr(keys)
        assert repr(secret) not in repr(keys)
    assert repr(private.public_key) not in repr(private)


def test_a_point_of_small_order_cannot_be_sealed_to() -> None:
    """The shared secret would be zero, known to everybody."""
    hybrid = PRIVATE_KEYS["mlkem768-x25519"].public_key[:1184] + bytes(32)
    for suite, public_key in (("x25519", bytes(32)), ("mlkem768-x25519", hybrid)):
        with pytest.raises(ProtocolError):
            make_offer(suite=suite, public_key=public_key, bundle_digest=BUNDLE_DIGEST, random=CountedBytes())


@pytest.mark.parametrize("size", [0, 31, 33, 1184, 1215, 1217])
def test_a_public_key_of_another_size_is_refused(size: int) -> None:
    """Neither cut nor padded."""
    for suite in hpke.SUITES:
        with pytest.raises(ProtocolError):
            hpke.check_public_key(suite, b"\x09" * size)


def test_an_unknown_suite_is_refused_everywhere() -> None:
    """By our error."""
    with pytest.raises(ProtocolError, match="suite"):
        hpke.seal(b"", suite="p256", public_key=bytes(65), info=b"")
    with pytest.raises(ProtocolError, match="suite"):
        hpke.generate("p256", random=CountedBytes())
    with pytest.raises(ProtocolError, match="seed"):
        hpke.PrivateKey.from_seed("x25519", bytes(31))


@settings(max_examples=60)
@given(st.binary(max_size=1300), st.sampled_from(hpke.SUITES))
def test_a_random_sealed_part_raises_nothing_but_our_errors(data: bytes, suite: str) -> None:
    """No input makes the library under HPKE panic through us."""
    with contextlib.suppress(Error):
        opened(msgpack.packb({"suite": suite, "sealed": data}))
    with contextlib.suppress(Error):
        opened(data)
