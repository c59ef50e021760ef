"""Sealed outputs: each recipient opens, nobody else does, and nothing about the header can be changed."""

from __future__ import annotations

import contextlib

import msgpack
import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire import hpke
from enclaved.wire.codec import encode
from enclaved.wire.envelope import NONCE_ZERO, seal_envelope
from enclaved.wire.key_text import caller_key_text, parse_caller_key, parse_recipient_key, recipient_key_text
from enclaved.wire.limits import MAX_ATTESTATION, MAX_LOG, MAX_PAYLOAD, MAX_RECEIPT, MAX_RECIPIENTS, MAX_SEALED_OUTPUT
from enclaved.wire.sealed_output import (
    OutputBody,
    OutputHeader,
    RecipientKey,
    key_fingerprint,
    open_output,
    seal_output,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_values import INVOCATION_ID, KEY_ID, PRIVATE_KEYS, SALT, CountedBytes, flipped

HEADER = OutputHeader(v=1, runtime_id="r1", key_id=KEY_ID, function="echo")
BODY = OutputBody(
    status="ok",
    code="ok",
    invocation_id=INVOCATION_ID,
    content_type="text/plain",
    output=b"alarm",
    log=b"",
    receipt=b"receipt",
    result_salt=SALT,
    producer=None,
)
OURS = PRIVATE_KEYS["x25519"]
HYBRID = PRIVATE_KEYS["mlkem768-x25519"]
RECIPIENTS = tuple(RecipientKey(suite=key.suite, public_key=key.public_key) for key in (HYBRID, OURS))


def sealed(body: OutputBody = BODY, *, recipients: tuple[RecipientKey, ...] = RECIPIENTS) -> bytes:
    """Seal an output as the enclave."""
    return seal_output(body, header=HEADER, recipients=recipients, random=CountedBytes())


MESSAGE = sealed()
PARTS = msgpack.unpackb(MESSAGE)
BODY_KEY = CountedBytes()(32)


def test_each_recipient_opens_with_its_own_key() -> None:
    """Whatever its suite."""
    for key in (OURS, HYBRID):
        header, body = open_output(MESSAGE, key=key)
        assert header == HEADER
        assert msgspec.structs.replace(body, padding=b"") == BODY


def test_a_stranger_does_not_open() -> None:
    """Nor does a key whose fingerprint stands there and which is not the key."""
    stranger = hpke.generate("x25519", random=CountedBytes("stranger"))
    with pytest.raises(ProtocolError, match="not sealed to this key"):
        open_output(MESSAGE, key=stranger)
    keys = [PARTS[1][1] | {"recipient": key_fingerprint(stranger.public_key)}]
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([PARTS[0], keys, PARTS[2]]), key=stranger)


@pytest.mark.parametrize("position", range(0, len(PARTS[0]), 3))
def test_a_turned_bit_of_the_header_does_not_open(position: int) -> None:
    """The header is bound to the sealed key as well as to the body."""
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([flipped(PARTS[0], position), *PARTS[1:]]), key=OURS)


@pytest.mark.parametrize("position", [*range(0, len(PARTS[2]), 29), len(PARTS[2]) - 1])
def test_a_turned_bit_of_the_body_does_not_open(position: int) -> None:
    """Sampled over body and tag."""
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([*PARTS[:2], flipped(PARTS[2], position)]), key=OURS)


def test_a_key_sealed_for_another_header_does_not_open() -> None:
    """A relay cannot put an output under another function's name."""
    other = encode(msgspec.structs.replace(HEADER, function="other"))
    ciphertext = seal_envelope(encode(BODY), key=BODY_KEY, nonce=NONCE_ZERO, header=other)
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([other, PARTS[1], ciphertext]), key=OURS)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "refused", "code": "expired"},
        {"code": "time_limit"},
        {"status": "failed"},
        {"invocation_id": b""},
        {"content_type": "\n"},
        {"output": bytes(MAX_PAYLOAD + 1)},
        {"log": bytes(MAX_LOG + 1)},
        {"result_salt": bytes(31)},
        {"result_salt": None},
        {"receipt": None},
        {"producer": bytes(32)},
        {"extra": 1},
    ],
    ids=lambda changes: " ".join(f"{name} {str(value)[:10]}" for name, value in changes.items()),
)
def test_a_body_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """Anybody can seal to a public key."""
    body = encode(msgspec.structs.asdict(BODY) | changes)
    ciphertext = seal_envelope(body, key=BODY_KEY, nonce=NONCE_ZERO, header=PARTS[0])
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([*PARTS[:2], ciphertext]), key=OURS)


@pytest.mark.parametrize(
    "changes", [{"v": 2}, {"runtime_id": "A"}, {"key_id": b""}, {"function": "a/b"}, {"x": 1}], ids=str
)
def test_a_header_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """It is read from strangers."""
    header = encode(msgspec.structs.asdict(HEADER) | changes)
    with pytest.raises(ProtocolError, match="header"):
        open_output(msgpack.packb([header, *PARTS[1:]]), key=OURS)


@pytest.mark.parametrize("count", [0, MAX_RECIPIENTS + 1])
def test_an_output_has_recipients_and_not_too_many(count: int) -> None:
    """An output that nobody can open would be lost in silence."""
    with pytest.raises(ProtocolError, match="recipients"):
        sealed(recipients=(RECIPIENTS[1],) * count)
    with pytest.raises(ProtocolError):
        open_output(msgpack.packb([PARTS[0], PARTS[1][1:] * count, PARTS[2]]), key=OURS)


def test_the_largest_output_fits_into_a_message() -> None:
    """The limits agree with each other."""
    receipt = bytes(MAX_RECEIPT + MAX_ATTESTATION)
    body = msgspec.structs.replace(BODY, output=bytes(MAX_PAYLOAD), log=bytes(MAX_LOG), receipt=receipt)
    message = sealed(body, recipients=(RECIPIENTS[0],) * (MAX_RECIPIENTS - 1) + RECIPIENTS[1:])

    assert len(message) <= MAX_SEALED_OUTPUT
    assert open_output(message, key=OURS)[1].output == body.output


def test_a_key_has_one_spelling() -> None:
    """So two lists of the same keys are equal."""
    assert parse_caller_key(caller_key_text(bytes(32))) == bytes(32)
    for key in RECIPIENTS:
        assert parse_recipient_key(recipient_key_text(key)) == key


@pytest.mark.parametrize(
    "text",
    ["", "ed25519", "ed25519:", "ed25519:AA==", "ED25519:" + "A" * 43 + "=", "x25519:" + "A" * 43 + "=",
     "ed25519:" + "A" * 43, "ed25519:" + "A" * 42 + "B=", "ed25519: " + "A" * 43 + "=", "ed25519:" + "A" * 43 + "=\n",
     "ed25519:" + "A" * 3000, "ed25519:\ud800", "ed25519:" + "-" * 43 + "="],
    ids=range(13),
)  # fmt: skip
def test_another_spelling_or_another_key_is_no_callers_key(text: str) -> None:
    """Without padding, with spare bits, with blanks, of another alphabet, kind or size."""
    with pytest.raises(ProtocolError):
        parse_caller_key(text)


@pytest.mark.parametrize(
    "text", ["x25519:AA==", "p256:" + "A" * 43 + "=", "ed25519:" + "A" * 43 + "=", "mlkem768-x25519:AA=="]
)
def test_what_is_no_key_of_its_suite_is_no_recipients_key(text: str) -> None:
    """A manifest that names one is wrong."""
    with pytest.raises(ProtocolError):
        parse_recipient_key(text)


@given(st.text(max_size=80))
def test_any_text_is_taken_or_refused_with_our_error(text: str) -> None:
    """No text escapes as another exception."""
    for parse in (parse_caller_key, parse_recipient_key):
        for candidate in (text, "ed25519:" + text, "x25519:" + text):
            with contextlib.suppress(Error):
                parse(candidate)


@settings(max_examples=60)
@given(st.binary(max_size=1500), st.sampled_from(["ok", "failed"]), st.none() | st.binary(min_size=16, max_size=16))
def test_every_output_survives_sealing(output: bytes, status: str, producer: bytes | None) -> None:
    """Whatever is sealed opens to the same value."""
    code = {"ok": "ok", "failed": "time_limit"}[status]
    body = msgspec.structs.replace(BODY, output=output, status=status, code=code, producer=producer)
    _, again = open_output(sealed(body, recipients=RECIPIENTS[1:]), key=OURS)

    assert msgspec.structs.replace(again, padding=b"") == body


@settings(max_examples=150)
@given(st.integers(0, len(MESSAGE) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_mutated_message_raises_nothing_but_our_errors(position: int, byte: int, cut: int) -> None:
    """No mutation escapes as another exception, and what still opens is the output."""
    mutated = MESSAGE[:position] + bytes([byte]) + MESSAGE[position + 1 + cut :]
    with contextlib.suppress(Error):
        assert open_output(mutated, key=OURS)[1].output == b"alarm"


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """No input escapes as another exception."""
    with contextlib.suppress(Error):
        open_output(data, key=OURS)
    with contextlib.suppress(Error):
        open_output(msgpack.packb([PARTS[0], [PARTS[1][1] | {"sealed": data}], PARTS[2]]), key=OURS)
