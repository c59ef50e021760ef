"""The strict MessagePack codec: one shape, one value, bounded work."""

from __future__ import annotations

import contextlib
from typing import Literal

import msgpack
import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.limits import MAX_VALUES
from hypothesis import given
from hypothesis import strategies as st


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message with a field of each kind."""

    number: int
    text: str
    data: bytes
    maybe: bytes | None
    several: tuple[bytes, ...]


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message with a word of a closed set."""

    word: Literal["a", "b"]


GOOD = Sample(number=1, text="a", data=b"b", maybe=None, several=(b"c",))
GOOD_BYTES = encode(GOOD)
GOOD_MAP = {"number": 1, "text": "a", "data": b"b", "maybe": None, "several": [b"c"]}


def read(data: bytes, *, max_size: int = 1 << 20, max_depth: int = 8) -> Sample:
    """Decode a sample."""
    return decode(data, Sample, what="sample", max_size=max_size, max_depth=max_depth)


def test_what_is_encoded_is_decoded_again() -> None:
    """The good value of these tests is good."""
    assert read(GOOD_BYTES) == GOOD
    assert read(msgpack.packb(GOOD_MAP)) == GOOD


def test_a_message_over_its_size_is_refused_unread() -> None:
    """Size comes before contents: a stranger's bytes cost no more than their count."""
    with pytest.raises(ProtocolError, match="at most 10"):
        read(GOOD_BYTES, max_size=10)


@pytest.mark.parametrize("cut", range(len(GOOD_BYTES)))
def test_a_message_cut_anywhere_is_refused(cut: int) -> None:
    """No prefix of a message is a message."""
    with pytest.raises(ProtocolError):
        read(GOOD_BYTES[:cut])


def test_bytes_after_the_value_are_refused() -> None:
    """What stands behind a message belongs to nobody."""
    with pytest.raises(ProtocolError, match="trailing"):
        read(GOOD_BYTES + b"\xc0")


def test_a_key_that_comes_twice_is_refused() -> None:
    """Two readers could believe two different values."""
    pairs = [*GOOD_MAP.items(), ("number", 2)]
    twice = bytes([0x80 | len(pairs)]) + b"".join(msgpack.packb(part) for pair in pairs for part in pair)
    with pytest.raises(ProtocolError, match="duplicate"):
        read(twice)


@pytest.mark.parametrize("key", [1, b"number", None, 1.5, True])
def test_a_key_that_is_not_text_is_refused(key: object) -> None:
    """A map's keys are its fields' names."""
    with pytest.raises(ProtocolError):
        read(msgpack.packb(GOOD_MAP | {key: 1}))


@pytest.mark.parametrize("field", sorted(GOOD_MAP))
def test_a_missing_field_is_refused(field: str) -> None:
    """Nothing has a default: absence never means a value."""
    with pytest.raises(ProtocolError, match="missing"):
        read(msgpack.packb({name: value for name, value in GOOD_MAP.items() if name != field}))


def test_an_unknown_field_is_refused_and_not_repeated() -> None:
    """The sender's text stays out of the error, which is logged."""
    with pytest.raises(ProtocolError) as refused:
        read(msgpack.packb(GOOD_MAP | {"s3cret": 1}))

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", 1.0),
        ("number", float("nan")),
        ("number", True),
        ("number", "1"),
        ("number", b"7"),
        ("number", None),
        ("text", b"a"),
        ("text", 1),
        ("data", "b"),
        ("data", "Yg=="),
        ("maybe", "c"),
        ("maybe", False),
        ("several", b"c"),
        ("several", {"c": b"c"}),
        ("several", ["c"]),
    ],
)
def test_a_field_of_another_type_is_refused(field: str, value: object) -> None:
    """An integer is never a float, a boolean or text; bytes are never text, base64 or not."""
    with pytest.raises(ProtocolError):
        read(msgpack.packb(GOOD_MAP | {field: value}))


@pytest.mark.parametrize(
    "extension",
    [
        "d40000",  # fixext 1
        "d5000000",
        "d60000000000",
        "d6ff00000000",  # timestamp 32
        "d7ff0000000000000000",  # timestamp 64
        "c70cff000000000000000000000000",  # timestamp 96
        "d8" + "00" * 17,
        "c70000",
        "c8000000",
        "c90000000000",
        "c1",
    ],
)
def test_extension_types_are_refused(extension: str) -> None:
    """A timestamp, and whatever else a library would make of them, has no place in a message."""
    with pytest.raises(ProtocolError, match="extension"):
        decode(b"\x91" + bytes.fromhex(extension), list[object], what="list", max_size=100)


def test_text_that_is_not_utf_8_is_refused() -> None:
    """Text is Unicode, or it is bytes."""
    with pytest.raises(ProtocolError):
        read(msgpack.packb(GOOD_MAP).replace(b"\xa1a", b"\xa1\xff"))
    with pytest.raises(ProtocolError):
        read(msgpack.packb(GOOD_MAP | {"text": "xyz"}).replace(b"xyz", b"\xed\xa0\x80"))  # a surrogate


@pytest.mark.parametrize(
    "announced", ["dbffffffff", "c6ffffffff", "ddffffffff", "dfffffffff", "dfc0000000", "da", "dc00"]
)
def test_an_announced_length_beyond_the_message_reserves_nothing(announced: str) -> None:
    """Five bytes cannot make a reader take gigabytes."""
    with pytest.raises(ProtocolError, match="truncated"):
        decode(bytes.fromhex(announced), object, what="value", max_size=100)


@pytest.mark.parametrize("depth", [9, 1_000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    """Depth is counted before anything recurses."""
    with pytest.raises(ProtocolError, match="deeper than 8"):
        decode(b"\x91" * depth + b"\xc0", object, what="value", max_size=1 << 20)


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit is the last depth allowed, for arrays and maps alike."""
    assert decode(b"\x91" * 7 + b"\x80", object, what="value", max_size=100, max_depth=7) is not None
    with pytest.raises(ProtocolError, match="deeper than 7"):
        decode(b"\x91" * 7 + b"\x91\xc0", object, what="value", max_size=100, max_depth=7)


def test_too_many_values_are_refused() -> None:
    """A megabyte of nils would take a second to walk; no message has so many."""
    most = b"\xdd" + MAX_VALUES.to_bytes(4, "big") + bytes(MAX_VALUES)
    assert len(decode(most, list[int], what="list", max_size=1 << 20)) == MAX_VALUES
    with pytest.raises(ProtocolError, match="values"):
        decode(b"\xdd" + (1 << 20).to_bytes(4, "big") + b"\xc0" * (1 << 20), object, what="list", max_size=2 << 20)


def test_a_word_of_no_closed_set_is_not_repeated_in_the_error() -> None:
    """What does not belong to a set of words is the sender's text."""
    with pytest.raises(ProtocolError) as refused:
        decode(msgpack.packb({"word": "s3cret"}), Closed, what="word", max_size=100)

    assert "s3cret" not in str(refused.value)


SAMPLES = st.builds(
    Sample,
    number=st.integers(-(1 << 63), (1 << 64) - 1),
    text=st.text(max_size=40),
    data=st.binary(max_size=300),
    maybe=st.none() | st.binary(max_size=3),
    several=st.lists(st.binary(max_size=3), max_size=20).map(tuple),
)


@given(SAMPLES)
def test_every_value_survives_the_round_trip(sample: Sample) -> None:
    """Whatever is encoded is decoded to the same value."""
    assert read(encode(sample)) == sample


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    """No input escapes as another exception."""
    for kind in (Sample, list[object], object):
        with contextlib.suppress(Error):
            decode(data, kind, what="value", max_size=150)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 64) - 1)
        | st.floats()
        | st.text(max_size=3)
        | st.binary(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_any_messagepack_raises_nothing_but_our_errors(value: object) -> None:
    """Well-formed messages of a wrong shape are refused like the rest."""
    data = msgpack.packb(value)
    with contextlib.suppress(Error):
        read(data)
