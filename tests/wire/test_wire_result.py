"""Results and hints: an answer opens for its own request, once sealed, and a hint is never an answer."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.codec import encode
from enclaved.wire.envelope import NONCE_ZERO, seal_envelope
from enclaved.wire.header import ResultHeader, ResultParts, decode_result_header, join_result, split_result
from enclaved.wire.hint import Hint, decode_hint, encode_hint, is_hint
from enclaved.wire.invocation import seal_invocation
from enclaved.wire.limits import MAX_ATTESTATION, MAX_LOG, MAX_PAYLOAD, MAX_RECEIPT, MAX_RESULT, MAX_SEQUENCE
from enclaved.wire.result import CODES, ResultBody, open_result, result_key, seal_result
from enclaved.wire.session import SessionKeys
from hypothesis import given
from hypothesis import strategies as st
from wire_values import (
    INVOCATION_BODY,
    INVOCATION_ID,
    KEY_ID,
    RESULT_BODY,
    SALT,
    CountedBytes,
    flipped,
    invocation_header,
    session,
)

_, KEYS = session()
REQUEST = seal_invocation(invocation_header(KEYS), INVOCATION_BODY, keys=KEYS)
REFUSAL = ResultBody(
    status="refused",
    code="expired",
    invocation_id=INVOCATION_ID,
    content_type="",
    output=b"",
    log=b"",
    receipt=None,
    request_salt=None,
    result_salt=None,
)


def sealed(
    body: ResultBody = RESULT_BODY, *, seed: str = "", keys: SessionKeys = KEYS, digest: bytes = REQUEST.digest
) -> ResultParts:
    """Seal an answer as the enclave."""
    return seal_result(body, key_id=KEY_ID, sequence=0, keys=keys, request_digest=digest, random=CountedBytes(seed))


def opened(parts: ResultParts, *, digest: bytes = REQUEST.digest) -> ResultBody:
    """Open an answer as the caller of the good request."""
    return open_result(parts, keys=KEYS, request_digest=digest)


PARTS = sealed()
MESSAGE = join_result(PARTS)


@pytest.mark.parametrize("body", [RESULT_BODY, REFUSAL], ids=["ok", "refused"])
def test_a_good_answer_opens(body: ResultBody) -> None:
    """The good values of these tests are good."""
    again = opened(split_result(join_result(sealed(body))))

    assert msgspec.structs.replace(again, padding=b"") == body


def test_an_answer_to_another_request_does_not_open() -> None:
    """A host that swaps two results of one session gives the caller nothing."""
    other = seal_invocation(invocation_header(KEYS, sequence=1), INVOCATION_BODY, keys=KEYS)
    with pytest.raises(ProtocolError):
        opened(sealed(digest=other.digest))


def test_an_answer_to_an_earlier_sealing_of_the_same_work_does_not_open() -> None:
    """A replayed result opens for the very bytes that it answered, and for no others."""
    again = seal_invocation(invocation_header(KEYS, sequence=2), INVOCATION_BODY, keys=KEYS)
    with pytest.raises(ProtocolError):
        opened(PARTS, digest=again.digest)


def test_an_answer_of_another_session_does_not_open() -> None:
    """Even to a request with the same digest."""
    with pytest.raises(ProtocolError):
        opened(sealed(keys=session(seed="other")[1]))


def test_header_and_ciphertext_of_two_answers_do_not_mix() -> None:
    """Each sealing has a salt, and a key, of its own."""
    other = sealed(seed="again")
    assert other.header != PARTS.header
    for mixed in (
        msgspec.structs.replace(PARTS, header=other.header),
        msgspec.structs.replace(PARTS, ciphertext=other.ciphertext),
    ):
        with pytest.raises(ProtocolError):
            opened(mixed)


def test_an_invocation_sent_back_is_no_answer() -> None:
    """What the caller itself sealed does not come back as a result."""
    with pytest.raises(ProtocolError):
        opened(ResultParts(header=REQUEST.header, ciphertext=REQUEST.ciphertext, attestation=None))
    with pytest.raises(ProtocolError):
        opened(ResultParts(header=PARTS.header, ciphertext=REQUEST.ciphertext, attestation=None))


@pytest.mark.parametrize("position", range(len(PARTS.header)))
def test_a_turned_bit_of_the_header_does_not_open(position: int) -> None:
    """Salt, ids and sequence are authenticated."""
    with pytest.raises(ProtocolError):
        opened(msgspec.structs.replace(PARTS, header=flipped(PARTS.header, position)))


@pytest.mark.parametrize("position", [*range(0, len(PARTS.ciphertext), 13), len(PARTS.ciphertext) - 1])
def test_a_turned_bit_of_the_ciphertext_does_not_open(position: int) -> None:
    """Sampled over body and tag."""
    with pytest.raises(ProtocolError):
        opened(msgspec.structs.replace(PARTS, ciphertext=flipped(PARTS.ciphertext, position)))


def test_the_attestation_beside_an_answer_does_not_decide_whether_it_opens() -> None:
    """It is verified on its own, against the bundle that was sealed to."""
    assert opened(msgspec.structs.replace(PARTS, attestation=b"anything")).output == b"hello"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "done"},
        {"code": "ok!"},
        {"code": "expired"},
        {"status": "failed"},
        {"status": "refused", "code": "expired"},
        {"invocation_id": bytes(15)},
        {"content_type": "a\x1b"},
        {"output": bytes(MAX_PAYLOAD + 1)},
        {"log": bytes(MAX_LOG + 1)},
        {"receipt": None},
        {"receipt": bytes(MAX_RECEIPT + 1)},
        {"request_salt": None},
        {"request_salt": bytes(31)},
        {"result_salt": bytes(33)},
        {"output": "text"},
        {"extra": 1},
    ],
    ids=lambda changes: " ".join(f"{name} {str(value)[:10]}" for name, value in changes.items()),
)
def test_a_body_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """A hostile enclave is bounded as well."""
    body = encode(msgspec.structs.asdict(RESULT_BODY) | changes)
    key = result_key(KEYS, salt=decode_result_header(PARTS.header).salt, request_digest=REQUEST.digest)
    ciphertext = seal_envelope(body, key=key, nonce=NONCE_ZERO, header=PARTS.header)
    with pytest.raises(ProtocolError):
        opened(msgspec.structs.replace(PARTS, ciphertext=ciphertext))


def test_a_refusal_with_a_receipt_is_refused() -> None:
    """Nothing ran, so nothing can be stated about a run."""
    with pytest.raises(ProtocolError, match="receipt"):
        opened(sealed(msgspec.structs.replace(REFUSAL, receipt=b"r", request_salt=SALT)))


def test_an_acknowledgement_has_no_output_and_no_salt_for_it() -> None:
    """An event's producer gets the receipt, and nothing by which a short output could be guessed."""
    body = msgspec.structs.replace(RESULT_BODY, output=b"", content_type="", result_salt=None)

    assert opened(sealed(body)).result_salt is None


@pytest.mark.parametrize("status", sorted(CODES))
def test_each_code_belongs_to_one_status(status: str) -> None:
    """The table is closed, and no code is in it twice."""
    others = [code for other, codes in CODES.items() if other != status for code in codes]

    assert not CODES[status] & set(others)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"key_id": b""},
        {"session_id": bytes(15)},
        {"sequence": -1},
        {"sequence": MAX_SEQUENCE + 1},
        {"salt": bytes(31)},
        {"x": 1},
    ],
    ids=str,
)
def test_a_header_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """A caller reads it from strangers."""
    header = decode_result_header(PARTS.header)
    with pytest.raises(ProtocolError):
        decode_result_header(encode(msgspec.structs.asdict(header) | changes))


def test_the_largest_answer_fits_into_a_message() -> None:
    """The limits agree with each other."""
    body = msgspec.structs.replace(
        RESULT_BODY, output=bytes(MAX_PAYLOAD), log=bytes(MAX_LOG), receipt=bytes(MAX_RECEIPT), content_type="x" * 128
    )
    parts = msgspec.structs.replace(sealed(body), attestation=bytes(MAX_ATTESTATION))

    assert opened(split_result(join_result(parts))).output == body.output
    with pytest.raises(ProtocolError):
        split_result(bytes(MAX_RESULT + 1))


HINT = Hint(v=1, hint="key_unknown", session_id=KEYS.session_id, sequence=7)


def test_a_hint_is_a_map_and_a_result_an_array() -> None:
    """One byte tells them apart, whatever a broker says about the message."""
    assert is_hint(encode_hint(HINT))
    assert is_hint(encode_hint(msgspec.structs.replace(HINT, session_id=None, sequence=None)))
    assert not is_hint(MESSAGE)
    assert not is_hint(b"")
    with pytest.raises(ProtocolError):
        split_result(encode_hint(HINT))
    with pytest.raises(ProtocolError):
        decode_hint(MESSAGE)


@pytest.mark.parametrize("code", ["key_unknown", "session_unknown", "malformed"])
def test_a_good_hint_is_read(code: str) -> None:
    """Three words, no more."""
    assert decode_hint(encode(msgspec.structs.asdict(HINT) | {"hint": code})).hint == code


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 0},
        {"hint": "ok"},
        {"hint": None},
        {"session_id": bytes(15)},
        {"session_id": "a" * 16},
        {"sequence": -1},
        {"sequence": 1 << 63},
        {"x": 1},
    ],
    ids=str,
)
def test_a_hint_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """Anybody can send one."""
    with pytest.raises(ProtocolError):
        decode_hint(encode(msgspec.structs.asdict(HINT) | changes))


@given(
    st.builds(
        ResultHeader,
        v=st.just(1),
        key_id=st.binary(min_size=16, max_size=16),
        session_id=st.binary(min_size=16, max_size=16),
        sequence=st.integers(0, MAX_SEQUENCE),
        salt=st.binary(min_size=32, max_size=32),
    )
)
def test_every_header_survives_the_round_trip(header: ResultHeader) -> None:
    """Whatever is encoded is decoded to the same value."""
    assert decode_result_header(encode(header)) == header


@given(st.binary(max_size=2000), st.binary(max_size=100))
def test_every_output_survives_sealing(output: bytes, log: bytes) -> None:
    """Whatever is sealed opens to the same value."""
    again = opened(sealed(msgspec.structs.replace(RESULT_BODY, output=output, log=log)))

    assert (again.output, again.log) == (output, log)


@given(st.integers(0, len(MESSAGE) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_mutated_message_raises_nothing_but_our_errors(position: int, byte: int, cut: int) -> None:
    """No mutation escapes as another exception, and what still opens is the answer."""
    mutated = MESSAGE[:position] + bytes([byte]) + MESSAGE[position + 1 + cut :]
    with contextlib.suppress(Error):
        assert opened(split_result(mutated)).output == b"hello"


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """No input escapes as another exception."""
    for read in (split_result, decode_result_header, decode_hint, is_hint):
        with contextlib.suppress(Error):
            read(data)
    with contextlib.suppress(Error):
        opened(ResultParts(header=PARTS.header, ciphertext=data, attestation=None))
