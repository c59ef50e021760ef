"""Attestations and challenges as bytes; what they prove is the verifier's affair."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.attestation import (
    Challenge,
    ChallengeRequest,
    challenge_root,
    decode_attestation,
    decode_challenge_request,
    encode_attestation,
    encode_challenge_request,
    evidence_digest,
)
from enclaved.wire.codec import encode
from enclaved.wire.limits import MAX_ATTESTATION, MAX_ENDORSEMENT, MAX_ENDORSEMENTS, MAX_PATH, MAX_REPORT
from hypothesis import given
from hypothesis import strategies as st
from wire_values import ATTESTATION, ATTESTATION_BYTES, EVIDENCE, REPLY_TOPIC

NONCE = bytes(range(32))
REQUEST = ChallengeRequest(v=1, nonce=NONCE, response_topic=REPLY_TOPIC)


def turned(**changes: object) -> bytes:
    """Return the good attestation's bytes with something else in a field."""
    return encode(msgspec.structs.asdict(ATTESTATION) | changes)


def with_evidence(**changes: object) -> bytes:
    """Return the good attestation's bytes with something else in its evidence."""
    return turned(evidence=msgspec.structs.asdict(EVIDENCE) | changes)


def test_a_good_attestation_is_read() -> None:
    """The good value of these tests is good, and the bundle keeps its bytes."""
    assert decode_attestation(ATTESTATION_BYTES) == ATTESTATION


@pytest.mark.parametrize(
    "data",
    [
        turned(v=2),
        turned(challenge={"nonce": bytes(31), "path": ()}),
        turned(challenge={"nonce": NONCE, "path": (bytes(31),)}),
        turned(challenge={"nonce": NONCE, "path": (bytes(32),) * (MAX_PATH + 1)}),
        turned(challenge={"nonce": NONCE}),
        turned(challenge=NONCE),
        turned(evidence=None),
        with_evidence(format="a/b"),
        with_evidence(format=""),
        with_evidence(report=bytes(MAX_REPORT + 1)),
        with_evidence(endorsements={"a": bytes(MAX_ENDORSEMENT + 1)}),
        with_evidence(endorsements={f"a{n}": b"" for n in range(MAX_ENDORSEMENTS + 1)}),
        with_evidence(endorsements=[]),
        bytes(MAX_ATTESTATION + 1),
    ],
    ids=range(14),
)
def test_an_attestation_with_one_thing_turned_is_refused(data: bytes) -> None:
    """Every size of every part is bounded before anybody verifies a signature."""
    with pytest.raises(ProtocolError):
        decode_attestation(data)


@pytest.mark.parametrize(
    "name", ["../root.der", "/etc/passwd", "a/b", "..", ".hidden", "", "A.der", "a\x00", "nul\n", "x" * 65]
)
def test_an_endorsement_whose_name_is_no_plain_file_name_is_refused(name: str) -> None:
    """Who writes the evidence to a folder must not write elsewhere."""
    with pytest.raises(ProtocolError):
        decode_attestation(with_evidence(endorsements={name: b""}))


def test_unchallenged_evidence_binds_nothing_besides_the_bundle() -> None:
    """A nonce, or the empty string."""
    assert challenge_root(None) == b""
    assert challenge_root(Challenge(nonce=NONCE, path=())) == NONCE


def test_an_inclusion_path_is_refused() -> None:
    """Version 1 keeps a place for it and defines no meaning; guessing one would accept another's evidence."""
    with pytest.raises(ProtocolError, match="inclusion path"):
        challenge_root(Challenge(nonce=NONCE, path=(bytes(32),)))


def test_the_evidence_digest_is_of_the_very_bytes() -> None:
    """A receipt names one attestation, not one that looks alike."""
    challenged = encode_attestation(msgspec.structs.replace(ATTESTATION, challenge=Challenge(nonce=NONCE, path=())))

    assert evidence_digest(challenged) != evidence_digest(ATTESTATION_BYTES)


def test_a_good_challenge_is_read() -> None:
    """The good value of these tests is good."""
    assert decode_challenge_request(encode_challenge_request(REQUEST)) == REQUEST


@pytest.mark.parametrize(
    "changes",
    [{"v": 0}, {"nonce": b""}, {"nonce": bytes(33)}, {"response_topic": "a/#"}, {"response_topic": None}, {"x": 1}],
    ids=str,
)
def test_a_challenge_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """A challenge reaches the device only when it is one."""
    with pytest.raises(ProtocolError):
        decode_challenge_request(encode(msgspec.structs.asdict(REQUEST) | changes))


@given(st.integers(0, len(ATTESTATION_BYTES) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_mutated_attestation_raises_nothing_but_our_errors(position: int, byte: int, cut: int) -> None:
    """No mutation escapes as another exception."""
    mutated = ATTESTATION_BYTES[:position] + bytes([byte]) + ATTESTATION_BYTES[position + 1 + cut :]
    with contextlib.suppress(Error):
        decode_attestation(mutated)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """No input escapes as another exception."""
    for read in (decode_attestation, decode_challenge_request):
        with contextlib.suppress(Error):
            read(data)
