"""Invocations: whatever the host changes does not open, and one sequence has one nonce."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.envelope import MIN_ANSWER, MIN_REQUEST, encode_padded, padded_size, seal_envelope, sequence_nonce
from enclaved.wire.header import (
    InvocationHeader,
    InvocationParts,
    decode_invocation_header,
    join_invocation,
    split_invocation,
)
from enclaved.wire.invocation import InvocationBody, open_invocation, request_digest, seal_invocation
from enclaved.wire.limits import MAX_INVOCATION, MAX_OFFER, MAX_PAYLOAD, MAX_SEQUENCE, MAX_TIME_MS
from hypothesis import given
from hypothesis import strategies as st
from wire_values import INVOCATION_BODY, REPLY_TOPIC, flipped, invocation_header, session

OFFER, KEYS = session()
HEADER = invocation_header(KEYS, sequence=7)
SEALED = seal_invocation(HEADER, INVOCATION_BODY, keys=KEYS)
MESSAGE = join_invocation(InvocationParts(header=SEALED.header, offer=OFFER, ciphertext=SEALED.ciphertext))


def opened(
    header: bytes = SEALED.header, ciphertext: bytes = SEALED.ciphertext, *, sequence: int = 7
) -> InvocationBody:
    """Open the good invocation, or one with something turned."""
    return open_invocation(header, ciphertext, sequence=sequence, keys=KEYS)


def turned(**changes: object) -> bytes:
    """Return the good header's bytes with something else in a field."""
    return encode(msgspec.structs.asdict(HEADER) | changes)


def test_a_good_invocation_opens_with_or_without_its_offer() -> None:
    """The good values of these tests are good."""
    parts = split_invocation(MESSAGE)
    bare = split_invocation(join_invocation(msgspec.structs.replace(parts, offer=None)))

    assert parts.offer == OFFER
    assert bare.offer is None
    assert bare.header == parts.header == SEALED.header
    assert decode_invocation_header(parts.header) == HEADER
    assert opened(parts.header, parts.ciphertext).payload == b"hello"


@pytest.mark.parametrize("position", range(len(SEALED.header)))
def test_a_turned_bit_of_the_header_does_not_open(position: int) -> None:
    """The host reads the header and cannot change it."""
    with pytest.raises(ProtocolError):
        opened(flipped(SEALED.header, position))


@pytest.mark.parametrize("position", [*range(0, len(SEALED.ciphertext), 13), *range(-16, 0)])
def test_a_turned_bit_of_the_ciphertext_does_not_open(position: int) -> None:
    """Sampled over the body, and every byte of the tag."""
    with pytest.raises(ProtocolError):
        opened(ciphertext=flipped(SEALED.ciphertext, position % len(SEALED.ciphertext)))


@pytest.mark.parametrize("size", [0, 1, 15, 16, len(SEALED.ciphertext) - 1])
def test_a_cut_ciphertext_does_not_open(size: int) -> None:
    """Nor does one too short to hold a tag."""
    with pytest.raises(ProtocolError):
        opened(ciphertext=SEALED.ciphertext[:size])


@pytest.mark.parametrize("sequence", [0, 6, 8, MAX_SEQUENCE])
def test_another_sequence_does_not_open(sequence: int) -> None:
    """The sequence is the nonce."""
    with pytest.raises(ProtocolError):
        opened(sequence=sequence)


def test_another_session_does_not_open() -> None:
    """A message under another session's keys is noise."""
    _, other = session(seed="other")
    with pytest.raises(ProtocolError):
        open_invocation(SEALED.header, SEALED.ciphertext, sequence=7, keys=other)


def test_an_equal_header_in_another_encoding_does_not_open() -> None:
    """What is authenticated is the header's bytes, not its values."""
    again = encode(dict(reversed(msgspec.structs.asdict(HEADER).items())))

    assert decode_invocation_header(again) == HEADER
    with pytest.raises(ProtocolError):
        opened(again)


def test_a_header_of_another_session_is_not_sealed() -> None:
    """Its sequences say nothing about which nonces these keys have used."""
    _, other = session(seed="other")
    with pytest.raises(ProtocolError, match="another session"):
        seal_invocation(HEADER, INVOCATION_BODY, keys=other)


def test_each_sequence_has_a_nonce_of_its_own() -> None:
    """Twelve bytes, big-endian, over the whole range."""
    sequences = (0, 1, 255, 256, 1 << 32, MAX_SEQUENCE)

    assert len({sequence_nonce(sequence) for sequence in sequences}) == len(sequences)
    assert sequence_nonce(258) == bytes(10) + b"\x01\x02"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"runtime_id": "R1"},
        {"runtime_id": "r1/+"},
        {"key_id": bytes(15)},
        {"session_id": bytes(17)},
        {"sequence": -1},
        {"sequence": MAX_SEQUENCE + 1},
        {"sequence": 7.0},
        {"verified_below": 8},
        {"verified_below": -1},
        {"function": "../echo"},
        {"function": None},
        {"response_topic": ""},
        {"response_topic": "a/#"},
        {"response_topic": "$SYS/x"},
        {"response_topic": "/" * 40},
        {"response_topic": REPLY_TOPIC + "\uffff"},
        {"expires_at": -1},
        {"expires_at": MAX_TIME_MS + 1},
        {"evidence": "none"},
        {"evidence": None},
        {"extra": 1},
    ],
    ids=ascii,
)
def test_a_header_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """A gateway reads it from strangers, before anything is authenticated."""
    with pytest.raises(ProtocolError):
        decode_invocation_header(turned(**changes))


def test_a_header_over_its_size_is_refused() -> None:
    """Size comes before contents."""
    with pytest.raises(ProtocolError, match="4096"):
        decode_invocation_header(bytes(4097))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        encode((SEALED.header, OFFER)),
        encode((SEALED.header, OFFER, SEALED.ciphertext, b"")),
        encode((None, OFFER, SEALED.ciphertext)),
        encode((SEALED.header, "offer", SEALED.ciphertext)),
        encode((SEALED.header, bytes(MAX_OFFER + 1), SEALED.ciphertext)),
        encode({"header": SEALED.header, "offer": None, "ciphertext": SEALED.ciphertext}),
        encode(([SEALED.header], OFFER, SEALED.ciphertext)),
        MESSAGE + b"\x00",
        MESSAGE[:-1],
        bytes(MAX_INVOCATION + 1),
    ],
    ids=range(11),
)
def test_a_message_of_another_shape_is_refused(message: bytes) -> None:
    """Three parts, each as it was sent."""
    with pytest.raises(ProtocolError):
        split_invocation(message)


@pytest.mark.parametrize(
    "body",
    [
        {"invocation_id": bytes(15), "content_type": "", "payload": b""},
        {"invocation_id": bytes(16), "content_type": "a\n", "payload": b""},
        {"invocation_id": bytes(16), "content_type": "x" * 129, "payload": b""},
        {"invocation_id": bytes(16), "content_type": "", "payload": bytes(MAX_PAYLOAD + 1)},
        {"invocation_id": bytes(16), "content_type": "", "payload": "text"},
        {"invocation_id": bytes(16), "content_type": ""},
        {"invocation_id": bytes(16), "content_type": "", "payload": b"", "extra": 1},
        [],
    ],
    ids=range(8),
)
def test_a_sealed_body_of_another_shape_is_refused(body: object) -> None:
    """Whoever has a session is still a stranger."""
    ciphertext = seal_envelope(encode(body), key=KEYS.request_key, nonce=sequence_nonce(7), header=SEALED.header)
    with pytest.raises(ProtocolError):
        opened(ciphertext=ciphertext)


def test_the_largest_payload_fits_into_a_message() -> None:
    """The limits agree with each other."""
    body = InvocationBody(invocation_id=bytes(16), content_type="x" * 128, payload=bytes(MAX_PAYLOAD))
    sealed = seal_invocation(HEADER, body, keys=KEYS)
    parts = InvocationParts(header=bytes(4096), offer=bytes(MAX_OFFER), ciphertext=sealed.ciphertext)

    assert len(split_invocation(join_invocation(parts)).ciphertext) == len(sealed.ciphertext)
    assert len(opened(sealed.header, sealed.ciphertext).payload) == MAX_PAYLOAD
    with pytest.raises(ProtocolError):
        seal_invocation(HEADER, msgspec.structs.replace(body, payload=bytes(MAX_PAYLOAD + 1)), keys=KEYS)


def test_the_request_digest_names_header_and_ciphertext_apart() -> None:
    """A byte cannot move from one to the other."""
    assert request_digest(b"ab", b"c") != request_digest(b"a", b"bc")
    assert SEALED.digest == request_digest(SEALED.header, SEALED.ciphertext)


@pytest.mark.parametrize(
    ("size", "bucket"),
    [
        (0, 256),
        (256, 256),
        (257, 272),
        (272, 272),
        (273, 288),
        (512, 512),
        (513, 544),
        (1000, 1024),
        (1025, 1088),
        (4097, 4352),
        (65_535, 65_536),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + (1 << 15)),
    ],
)
def test_the_buckets_are_those_of_padme(size: int, bucket: int) -> None:
    """Computed by hand from its definition, with a least size of 256."""
    assert padded_size(size, least=MIN_REQUEST) == bucket


def test_a_bucket_is_its_own_bucket_holds_its_size_and_wastes_little() -> None:
    """For each size to 5000, and the order of sizes is kept."""
    for least in (MIN_REQUEST, MIN_ANSWER):
        for size in range(5001):
            bucket = padded_size(size, least=least)
            assert bucket >= size
            assert padded_size(bucket, least=least) == bucket
            assert padded_size(size + 1, least=least) >= bucket
            assert size < least or bucket <= size * 1.12


def test_each_payload_lands_exactly_in_its_bucket() -> None:
    """Whatever its size, so that a ciphertext's size tells its bucket only."""
    for size in range(5001):
        body = InvocationBody(invocation_id=bytes(16), content_type="", payload=bytes(size))
        padded = encode_padded(body, least=MIN_REQUEST)
        bare = len(encode(body)) + 3  # a bin 8 header is three bytes shorter than the bin 32 one
        assert len(padded) == padded_size(bare, least=MIN_REQUEST)


@given(
    st.builds(
        InvocationHeader,
        v=st.just(1),
        runtime_id=st.from_regex(r"[a-z0-9]{1,64}", fullmatch=True),
        key_id=st.binary(min_size=16, max_size=16),
        session_id=st.binary(min_size=16, max_size=16),
        sequence=st.integers(1000, MAX_SEQUENCE),
        verified_below=st.integers(0, 1000),
        function=st.from_regex(r"[a-z0-9]{1,64}", fullmatch=True),
        response_topic=st.none()
        | st.from_regex(r"[a-zA-Z0-9/ ]{1,200}", fullmatch=True).filter(lambda t: t.count("/") < 32),
        expires_at=st.integers(0, MAX_TIME_MS),
        evidence=st.sampled_from(["full", "digest"]),
    )
)
def test_every_header_survives_the_round_trip(header: InvocationHeader) -> None:
    """Whatever is encoded is decoded to the same value."""
    assert decode_invocation_header(encode(header)) == header


@given(
    st.binary(max_size=1000),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128),
    st.integers(0, MAX_SEQUENCE),
)
def test_every_body_survives_sealing(payload: bytes, content_type: str, sequence: int) -> None:
    """Whatever is sealed opens to the same value."""
    body = InvocationBody(invocation_id=bytes(16), content_type=content_type, payload=payload)
    sealed = seal_invocation(invocation_header(KEYS, sequence=sequence), body, keys=KEYS)
    again = open_invocation(sealed.header, sealed.ciphertext, sequence=sequence, keys=KEYS)

    assert (again.content_type, again.payload) == (content_type, payload)
    assert set(again.padding) <= {0}


@given(st.integers(0, len(MESSAGE) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_mutated_message_raises_nothing_but_our_errors(position: int, byte: int, cut: int) -> None:
    """No mutation escapes as another exception, and none opens that touched header or ciphertext."""
    mutated = MESSAGE[:position] + bytes([byte]) + MESSAGE[position + 1 + cut :]
    with contextlib.suppress(Error):
        parts = split_invocation(mutated)
        header = decode_invocation_header(parts.header)
        body = open_invocation(parts.header, parts.ciphertext, sequence=header.sequence, keys=KEYS)
        assert (parts.header, parts.ciphertext, body.payload) == (SEALED.header, SEALED.ciphertext, b"hello")


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """No input escapes as another exception."""
    for read in (split_invocation, decode_invocation_header):
        with contextlib.suppress(Error):
            read(data)
    with contextlib.suppress(Error):
        opened(data, data)
    with contextlib.suppress(Error):
        decode(data, InvocationBody, what="body", max_size=1000, max_depth=1)
