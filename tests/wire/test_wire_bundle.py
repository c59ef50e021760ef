"""The key bundle: what evidence speaks for."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.bundle import KeyBundle, PublicKey, binding, bundle_digest, callers_digest, decode_bundle, key_id
from enclaved.wire.codec import encode
from enclaved.wire.limits import MAX_BUNDLE, MAX_FUNCTIONS, MAX_SEQUENCE, MAX_TIME_MS
from hypothesis import given
from hypothesis import strategies as st
from wire_values import BUNDLE, BUNDLE_BYTES, BUNDLE_DIGEST, FUNCTION, flipped


def turned(**changes: Any) -> bytes:  # noqa: ANN401 - any wrong value
    """Return the good bundle's bytes with something else in a field."""
    return encode(msgspec.structs.asdict(BUNDLE) | changes)


def test_a_good_bundle_is_read() -> None:
    """The good value of these tests is good, and names its keys and functions."""
    bundle = decode_bundle(BUNDLE_BYTES)

    assert bundle == BUNDLE
    assert bundle.key("x25519") == BUNDLE.keys[1].public_key
    assert bundle.key("other") is None
    assert bundle.function("echo") == FUNCTION
    assert bundle.function("other") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": 0},
        {"namespace": "a/b"},
        {"runtime_id": "+"},
        {"runtime_id": ""},
        {"boot_id": bytes(15)},
        {"receipt_public_key": bytes(33)},
        {"epoch": 0},
        {"epoch": -1},
        {"epoch": MAX_SEQUENCE + 1},
        {"not_before": 0},
        {"not_before": 2_000},
        {"not_before": -1},
        {"not_after": MAX_TIME_MS + 1},
        {"not_after": (1 << 64) - 1},
        {"runtime_digest": ""},
        {"runtime_digest": "\x1b[31m"},
        {"runtime_digest": "x" * 65},
        {"keys": (BUNDLE.keys[0], BUNDLE.keys[0])},
        {"keys": (PublicKey(suite="../x", public_key=b""),)},
        {"functions": (FUNCTION, FUNCTION)},
        {"functions": {}},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_bundle_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """Sizes, names, times and uniqueness are checked where the bytes are read, and nowhere later."""
    with pytest.raises(ProtocolError):
        decode_bundle(turned(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "A"},
        {"version": "a\nb"},
        {"digest": ""},
        {"engine": "é"},
        {"isolation": "x" * 65},
        {"callers_digest": bytes(31)},
        {"limits": {"time_ms": -1, "memory_mib": 1, "input_bytes": 1, "output_bytes": 1}},
        {"limits": {"time_ms": 1, "memory_mib": 1, "input_bytes": 1, "output_bytes": MAX_SEQUENCE + 1}},
        {"limits": {"time_ms": 1}},
    ],
    ids=str,
)
def test_a_function_with_one_thing_turned_is_refused(changes: dict[str, object]) -> None:
    """A function's entry is what a policy and a person read."""
    with pytest.raises(ProtocolError):
        decode_bundle(turned(functions=(msgspec.structs.asdict(FUNCTION) | changes,)))


def test_too_many_functions_are_refused() -> None:
    """A bundle has a bound that a reader can rely on."""
    few = tuple(
        {
            "name": f"f{n}",
            "version": "1",
            "digest": "h",
            "engine": "e",
            "isolation": "i",
            "callers_digest": bytes(32),
            "limits": FUNCTION.limits,
        }
        for n in range(MAX_FUNCTIONS + 1)
    )
    with pytest.raises(ProtocolError, match=f"more than {MAX_FUNCTIONS} functions"):
        decode_bundle(turned(functions=few))


def test_a_bundle_over_its_size_is_refused() -> None:
    """Size comes before contents."""
    with pytest.raises(ProtocolError, match=str(MAX_BUNDLE)):
        decode_bundle(bytes(MAX_BUNDLE + 1))


def test_the_digest_is_of_the_very_bytes() -> None:
    """Another encoding of the same value is another bundle; its name is the digest's start."""
    reordered = encode(dict(reversed(msgspec.structs.asdict(BUNDLE).items())))

    assert decode_bundle(reordered) == BUNDLE
    assert bundle_digest(reordered) != BUNDLE_DIGEST
    assert key_id(BUNDLE_BYTES) == BUNDLE_DIGEST[:16]


def test_the_binding_depends_on_bundle_and_nonce() -> None:
    """Evidence over another bundle, another nonce or none speaks for something else."""
    bindings = {
        binding(BUNDLE_DIGEST),
        binding(BUNDLE_DIGEST, bytes(32)),
        binding(BUNDLE_DIGEST, b"\x01" + bytes(31)),
        binding(flipped(BUNDLE_DIGEST, 0)),
        binding(BUNDLE_DIGEST[:31], BUNDLE_DIGEST[31:]),
    }

    assert len(bindings) == 5
    assert {len(each) for each in bindings} == {64}


def test_who_may_call_has_one_digest_whatever_the_order() -> None:
    """Two lists of the same keys are equal; anybody, nobody and a key named "any" are three things."""
    assert callers_digest(("b", "a")) == callers_digest(("a", "b"))
    lists = (None, (), ("any",), ("a", "b"), ("ab",))
    assert len({callers_digest(callers) for callers in lists}) == len(lists)


@given(st.integers(0, len(BUNDLE_BYTES) - 1), st.integers(0, 255))
def test_a_mutated_bundle_raises_nothing_but_our_errors(position: int, byte: int) -> None:
    """No mutation of a good bundle escapes as another exception, and none keeps its digest."""
    mutated = BUNDLE_BYTES[:position] + bytes([byte]) + BUNDLE_BYTES[position + 1 :]
    with contextlib.suppress(Error):
        decode_bundle(mutated)
    assert (bundle_digest(mutated) == BUNDLE_DIGEST) == (mutated == BUNDLE_BYTES)


def test_a_bundle_is_a_frozen_value() -> None:
    """What was verified cannot change afterwards."""
    with pytest.raises(AttributeError):
        BUNDLE.epoch = 2  # type: ignore[misc]
    assert isinstance(BUNDLE, KeyBundle)
