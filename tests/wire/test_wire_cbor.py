"""Deterministic CBOR: one encoding for each value, and no value but ours."""

from __future__ import annotations

import cbor2
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.cbor import CborValue, decode_cbor, encode_cbor
from hypothesis import given
from hypothesis import strategies as st

VALUES: st.SearchStrategy[CborValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.text(max_size=30) | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-(1 << 64), (1 << 64) - 1) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=8,
)


def _depth(value: CborValue) -> int:
    """Return how deep the deepest value lies."""
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return 1 + max(map(_depth, inner), default=0) if inner else 0


def read(data: bytes) -> CborValue:
    """Decode a value of any size up to a kilobyte."""
    return decode_cbor(data, what="value", max_size=1024)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("1801", "a number in more bytes than it needs"),
        ("190010", "the same"),
        ("1a0000ffff", "the same"),
        ("1b00000000ffffffff", "the same"),
        ("580101", "a length in more bytes than it needs"),
        ("9800", "a count in more bytes than it needs"),
        ("9fff", "an array of indefinite length"),
        ("bfff", "a map of indefinite length"),
        ("5f4101ff", "bytes of indefinite length"),
        ("7f6161ff", "text of indefinite length"),
        ("1c" + "ff" * 16, "a reserved width"),
        ("1f" + "ff" * 128, "a number of indefinite width"),
        ("c11a00000000", "a tag: a date"),
        ("c24101", "a tag: a bignum"),
        ("d8238161", "a tag: a regular expression"),
        ("d82361285b", "the same"),
        ("d81c80", "a tag: a shared value"),
        ("d9010280", "a tag: a set"),
        ("d90104440a000001", "a tag: an address"),
        ("d9d9f700", "a tag: self-described"),
        ("fb3ff0000000000000", "a float"),
        ("f93c00", "a float that is whole"),
        ("f97e00", "not a number"),
        ("f7", "undefined"),
        ("e0", "a simple value"),
        ("f8ff", "the same"),
        ("f814", "false, the long way"),
        ("ff", "a break alone"),
        ("a2020001 00".replace(" ", ""), "keys out of order"),
        ("a201000100", "a key twice"),
        ("a2181800 2000".replace(" ", ""), None),
        ("a2200018180 0".replace(" ", ""), "keys in the order of RFC 7049"),
        ("a1f500", "true as a key"),
        ("a1f600", "null as a key"),
        ("a1f93c0000", "a float as a key"),
        ("a1410000", "bytes as a key"),
        ("a18000", "an array as a key"),
        ("61ff", "text that is not UTF-8"),
        ("0000", "trailing bytes"),
        ("", "nothing"),
        ("818181818100", "nested deeper than four"),
        ("9bffffffffffffffff", "a count beyond the message"),
        ("bb7fffffffffffffff", "the same"),
        ("5bffffffffffffffff", "a length beyond the message"),
    ],
)
def test_what_has_another_encoding_or_is_no_value_of_ours_is_refused(data: str, why: str | None) -> None:
    """Two readers of one receipt must not see two different claims."""
    if why is None:
        assert read(bytes.fromhex(data)) == {24: 0, -1: 0}
        return
    with pytest.raises(ProtocolError):
        read(bytes.fromhex(data))


def test_a_message_over_its_size_is_refused_unread() -> None:
    """Size comes before contents."""
    with pytest.raises(ProtocolError, match="at most 1024"):
        read(b"\x59\x04\x00" + bytes(1024))


@given(VALUES)
def test_every_value_survives_the_round_trip(value: CborValue) -> None:
    """Whatever is encoded within the depth is decoded to the same value; and another library agrees."""
    data = encode_cbor(value)
    if _depth(value) > 4:
        with pytest.raises(ProtocolError, match="deeper"):
            decode_cbor(data, what="value", max_size=1 << 20)
    else:
        assert decode_cbor(data, what="value", max_size=1 << 20) == value
    assert cbor2.loads(data) == value


@given(st.binary(max_size=64))
def test_random_bytes_raise_nothing_but_our_errors_and_have_one_encoding(data: bytes) -> None:
    """No input escapes as another exception, and what is read is encoded to the same bytes."""
    try:
        value = read(data)
    except Error:
        return
    assert encode_cbor(value) == data
