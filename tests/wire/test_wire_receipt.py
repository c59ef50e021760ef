"""Receipts: one encoding, closed claims, one key; and an independent COSE library agrees."""

from __future__ import annotations

import contextlib
import dataclasses

import cbor2
import cwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from enclaved.errors import Error, ProtocolError
from enclaved.wire import cose
from enclaved.wire.cbor import decode_cbor, encode_cbor
from enclaved.wire.limits import MAX_ATTESTATION, MAX_SEQUENCE, MAX_TIME_MS
from enclaved.wire.receipt import (
    ReceiptClaims,
    attach_attestation,
    decode_receipt,
    output_commitment,
    request_commitment,
    sign_receipt,
    verify_receipt,
)
from hypothesis import given
from hypothesis import strategies as st
from wire_values import (
    ATTESTATION_BYTES,
    BUNDLE_DIGEST,
    CLAIMS,
    KEY_ID,
    RECEIPT_KEY,
    RECEIPT_PUBLIC,
    SALT,
    flipped,
)

RECEIPT = sign_receipt(CLAIMS, key=RECEIPT_KEY)
PAYLOAD = cbor2.loads(decode_receipt(RECEIPT).message.payload)
TYPE = "application/eat+cwt"
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def signed(claims: object, *, protected: bytes | None = None, unprotected: object = None) -> bytes:
    """Sign any payload with the receipt key, as a hostile enclave could."""
    payload = claims if isinstance(claims, bytes) else cbor2.dumps(claims, canonical=True)
    message = cose.sign(payload, key=RECEIPT_KEY, key_id=KEY_ID, content_type=TYPE)
    if protected is not None:
        structure = cbor2.dumps(["Signature1", protected, b"", payload])
        message = dataclasses.replace(message, protected=protected, signature=RECEIPT_KEY.sign(structure))
    parts = [message.protected, {} if unprotected is None else unprotected, message.payload, message.signature]
    return cbor2.dumps(cbor2.CBORTag(18, parts), canonical=True)


def verified(data: bytes, *, public_key: bytes = RECEIPT_PUBLIC, digest: bytes = BUNDLE_DIGEST) -> ReceiptClaims:
    """Decode and verify a receipt."""
    receipt = decode_receipt(data)
    verify_receipt(receipt, public_key=public_key, bundle_digest=digest)
    return receipt.claims


def test_a_good_receipt_is_verified() -> None:
    """The good values of these tests are good, with and without an attestation beside them."""
    assert verified(RECEIPT) == CLAIMS
    assert verified(signed(PAYLOAD)) == CLAIMS
    assert verified(attach_attestation(RECEIPT, ATTESTATION_BYTES)) == CLAIMS
    assert decode_receipt(attach_attestation(RECEIPT, ATTESTATION_BYTES)).attestation == ATTESTATION_BYTES


def test_an_independent_cose_library_verifies_the_signature() -> None:
    """A program that knows only COSE can check a receipt, with or without its attestation."""
    key = cwt.COSEKey.from_pem(_pem(RECEIPT_KEY), kid=KEY_ID)
    for data in (RECEIPT, attach_attestation(RECEIPT, ATTESTATION_BYTES)):
        assert cwt.COSE.new().decode(data, key) == decode_receipt(RECEIPT).message.payload


@pytest.mark.parametrize("part", ["protected", "payload", "signature"])
def test_an_independent_cose_library_refuses_a_tampered_receipt(part: str) -> None:
    """Each of the three signed parts, with one bit turned."""
    message = decode_receipt(RECEIPT).message
    whole = getattr(message, part)
    tampered = cose.encode_sign1(dataclasses.replace(message, **{part: flipped(whole, len(whole) - 1)}))
    key = cwt.COSEKey.from_pem(_pem(RECEIPT_KEY), kid=KEY_ID)
    with pytest.raises(cwt.VerifyError):
        cwt.COSE.new().decode(tampered, key)
    with pytest.raises(ProtocolError):
        verified(tampered)


def test_another_key_does_not_verify() -> None:
    """Nor does a receipt that another key signed."""
    with pytest.raises(ProtocolError, match="signature"):
        verified(RECEIPT, public_key=OTHER_KEY.public_key().public_bytes_raw())
    with pytest.raises(ProtocolError, match="signature"):
        verified(sign_receipt(CLAIMS, key=OTHER_KEY))


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_what_is_no_key_does_not_verify(public_key: bytes) -> None:
    """By our error."""
    with pytest.raises(ProtocolError, match="signature"):
        verified(RECEIPT, public_key=public_key)


def test_a_receipt_of_another_bundle_is_refused() -> None:
    """Even when the key is the same."""
    with pytest.raises(ProtocolError, match="another key bundle"):
        verified(RECEIPT, digest=flipped(BUNDLE_DIGEST, 31))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (1, "R/1"),
        (1, b"r1"),
        (1, ""),
        (6, -1),
        (6, 1.0),
        (6, True),
        (6, "1"),
        (6, MAX_TIME_MS // 1000 + 1),
        (7, bytes(15)),
        (7, "a" * 16),
        (265, "urn:uuid:00000000-0000-0000-0000-000000000000"),
        (-70001, "../echo"),
        (-70002, "h1:\x1b[2J"),
        (-70002, ""),
        (-70003, bytes(31)),
        (-70004, None),
        (-70005, bytes(33)),
        (-70006, []),
        (-70007, "x" * 65),
        (-70008, 1),
        (-70009, MAX_SEQUENCE + 1),
        (-70009, 1 << 64),
        (-70010, "expired"),
        (-70010, ""),
        (-70011, -1),
        (-70011, None),
        (-70012, "extra"),
        ("extra", 1),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_a_claim_of_another_type_size_or_name_is_refused(key: int | str, value: object) -> None:
    """The signer is not trusted to be well-behaved: people and programs read these claims."""
    with pytest.raises(ProtocolError):
        decode_receipt(signed(PAYLOAD | {key: value}))


@pytest.mark.parametrize("key", sorted(PAYLOAD))
def test_a_missing_claim_is_refused(key: int) -> None:
    """A receipt states all of its claims."""
    with pytest.raises(ProtocolError):
        decode_receipt(signed({name: value for name, value in PAYLOAD.items() if name != key}))


def test_a_key_that_only_looks_like_a_claim_is_refused() -> None:
    """1.0 and true are equal to 1 in many languages, and are other keys in the bytes."""
    for stand_in in (1.0, True):
        others = {key: value for key, value in PAYLOAD.items() if key != 1}
        with pytest.raises(ProtocolError):
            decode_receipt(signed({stand_in: "r1"} | others))


def test_claims_in_another_encoding_are_refused() -> None:
    """Long forms, disorder, doubles and indefinite lengths: two readers could see two different claims."""
    payload = decode_receipt(RECEIPT).message.payload
    body = payload[1:]
    for other in (
        b"\xb8" + payload[:1].replace(b"\xaf", b"\x0f") + body,
        b"\xbf" + body + b"\xff",
        cbor2.dumps(dict(reversed(PAYLOAD.items()))),
        payload + b"\x00",
        b"\xb0" + body + cbor2.dumps(-70011) + b"\x01",
        b"\xd8\x3d" + payload,
    ):
        with pytest.raises(ProtocolError):
            decode_receipt(signed(other))


@pytest.mark.parametrize(
    "protected",
    [
        b"",
        b"\xa0",
        cbor2.dumps({1: -8}),
        cbor2.dumps({1: -7, 4: KEY_ID, 16: TYPE}, canonical=True),
        cbor2.dumps({1: -8.0, 4: KEY_ID, 16: TYPE}, canonical=True),
        cbor2.dumps({True: -8, 4: KEY_ID, 16: TYPE}, canonical=True),
        cbor2.dumps({1: -8, 4: KEY_ID, 16: "application/cwt"}, canonical=True),
        cbor2.dumps({1: -8, 4: KEY_ID, 16: 61}, canonical=True),
        cbor2.dumps({1: -8, 4: bytes(16), 16: TYPE}, canonical=True),
        cbor2.dumps({1: -8, 2: [99], 4: KEY_ID, 16: TYPE, 99: 1}, canonical=True),
        cbor2.dumps({16: TYPE, 4: KEY_ID, 1: -8}),
    ],
    ids=range(11),
)
def test_a_protected_header_with_one_thing_turned_is_refused(protected: bytes) -> None:
    """One algorithm, one key, one type, and no critical header that a reader would have to know."""
    with pytest.raises(ProtocolError):
        decode_receipt(signed(PAYLOAD, protected=protected))


@pytest.mark.parametrize(
    "unprotected",
    [{1: -8}, {4: KEY_ID}, {-70100: "text"}, {-70100: ATTESTATION_BYTES, 99: 1}, {-70100: [b""]}, [], None],
    ids=range(7),
)
def test_anything_but_an_attestation_beside_a_receipt_is_refused(unprotected: object) -> None:
    """What is not signed could say something else about what is."""
    if unprotected is None:
        assert decode_receipt(signed(PAYLOAD)).attestation is None
        return
    with pytest.raises(ProtocolError):
        decode_receipt(signed(PAYLOAD, unprotected=unprotected))


def test_another_attestation_than_the_named_one_is_refused() -> None:
    """A self-contained receipt proves what it claims by what it carries."""
    with pytest.raises(ProtocolError, match="another attestation"):
        attach_attestation(RECEIPT, ATTESTATION_BYTES + b"\x00")
    with pytest.raises(ProtocolError, match="another attestation"):
        decode_receipt(signed(PAYLOAD, unprotected={-70100: b"other"}))


@pytest.mark.parametrize(
    "data",
    [
        RECEIPT[1:],
        b"\xd8\x12" + RECEIPT[1:],
        b"\xd8\x3d" + RECEIPT,
        b"\xd1" + RECEIPT[1:],
        b"\xd2" + RECEIPT,
        b"\xd2\x84\x40\xa0\xf6\x40",
        b"\xd2\x83\x40\xa0\x40",
        b"\xd2",
        b"",
        RECEIPT + b"\x00",
        bytes(MAX_ATTESTATION + 5000),
    ],
    ids=range(11),
)
def test_what_is_no_tagged_cose_sign1_is_refused(data: bytes) -> None:
    """Untagged, long-tagged, CWT-tagged, detached, of three parts, trailing, too large."""
    with pytest.raises(ProtocolError):
        decode_receipt(data)


@pytest.mark.parametrize("cut", range(0, len(RECEIPT), 7))
def test_a_cut_receipt_is_refused(cut: int) -> None:
    """No prefix of a receipt is a receipt."""
    with pytest.raises(ProtocolError):
        decode_receipt(RECEIPT[:cut])


def test_a_commitment_depends_on_salt_type_and_data_and_on_which_of_the_two_it_is() -> None:
    """No byte can move between them, and an output cannot stand for a request."""
    commitments = {
        request_commitment(SALT, "a", b"bc"),
        request_commitment(SALT, "ab", b"c"),
        request_commitment(SALT, "a", b"bd"),
        request_commitment(flipped(SALT, 0), "a", b"bc"),
        output_commitment(SALT, "a", b"bc"),
        request_commitment(SALT + b"a", "", b"bc"),
    }

    assert len(commitments) == 6


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)


@given(
    TEXTS, TEXTS, st.integers(0, MAX_SEQUENCE), st.integers(0, MAX_TIME_MS // 1000), st.binary(min_size=32, max_size=32)
)
def test_every_receipt_survives_the_round_trip(digest: str, isolation: str, number: int, at: int, bound: bytes) -> None:
    """Whatever is signed is read and verified as the same claims."""
    claims = dataclasses.replace(
        CLAIMS,
        function_digest=digest,
        isolation=isolation,
        sequence=number,
        duration_us=number,
        host_time=at,
        bundle_digest=bound,
    )

    assert verified(sign_receipt(claims, key=RECEIPT_KEY), digest=bound) == claims


@given(st.integers(0, len(RECEIPT) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_mutated_receipt_raises_nothing_but_our_errors(position: int, byte: int, cut: int) -> None:
    """No mutation escapes as another exception, and none verifies that changed a claim."""
    mutated = RECEIPT[:position] + bytes([byte]) + RECEIPT[position + 1 + cut :]
    with contextlib.suppress(Error):
        assert verified(mutated) == CLAIMS
        assert mutated == RECEIPT


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """Alone, as claims, as headers."""
    for wrapped in (data, b"\xd2" + data, signed(data), signed(PAYLOAD, protected=data)):
        with contextlib.suppress(Error):
            decode_receipt(wrapped)


def test_what_is_signed_is_the_structure_of_rfc_9052() -> None:
    """Section 4.4: context, protected header, empty external data, payload."""
    message = decode_receipt(RECEIPT).message
    structure = encode_cbor(["Signature1", message.protected, b"", message.payload])

    RECEIPT_KEY.public_key().verify(message.signature, structure)
    assert decode_cbor(message.protected, what="header", max_size=100) == {1: -8, 4: KEY_ID, 16: TYPE}


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
