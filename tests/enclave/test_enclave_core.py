"""What becomes of a message before anything of it is believed, one thing turned at a time."""

from __future__ import annotations

import pytest
from enclave_world import (
    REPLY_TOPIC,
    CallerSide,
    World,
    flipped,
    reencoded,
)
from enclaved.clock import system_random
from enclaved.enclave.core import Dead, Dropped, Joined, Replied, Run
from enclaved.wire import hpke
from enclaved.wire.codec import encode
from enclaved.wire.session import make_offer, session_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_a_good_invocation_starts_its_function(world: World, caller: CallerSide) -> None:
    """The one good value that every other test here turns one thing of."""
    run = world.start(caller.call(b"hello"))

    assert run.request.body.payload == b"hello"
    assert run.function.manifest.name == "echo"


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_a_session_of_each_suite_is_answered(world: World, suite: str) -> None:
    """The bundle's keys of all suites open sessions."""
    call = world.caller(suite=suite).call()

    assert call.opened(world.answer(call, b"done")).output == b"done"


@given(data=st.binary(max_size=300))
def test_no_bytes_escape_as_an_exception(data: bytes) -> None:
    """A stranger's bytes are dropped; an exception here would be a stranger's way to stop the enclave."""
    assert isinstance(_QUIET.admit(data), Dropped)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_no_turned_bit_starts_anything(at: int, bit: int) -> None:
    """Every bit of a message is parsed, routed by, or authenticated."""
    world = World()
    message = bytearray(world.caller().call().message)
    message[at % len(message)] ^= 1 << bit

    admission = world.admit(bytes(message))

    assert not isinstance(admission, Run | Replied | Joined)
    assert len(world.epoch.sessions) == 0


_QUIET = World()


def test_another_runtimes_invocation_is_dropped(world: World, caller: CallerSide) -> None:
    """Two runtimes may serve one topic; only the one that is named says anything."""
    assert isinstance(world.admit(caller.call(runtime_id="r2").message), Dropped)


def test_an_unknown_key_is_hinted(world: World, caller: CallerSide) -> None:
    """The caller can fetch the new attestation, verify it, and seal again."""
    hint = world.hinted(caller.call(key_id=bytes(16), sequence=7).message)

    assert (hint.hint, hint.session_id, hint.sequence) == ("key_unknown", caller.keys.session_id, 7)


@pytest.mark.parametrize("turned", [{"key_id": bytes(16)}, {"session_id": bytes(16)}])
def test_an_event_that_nobody_can_be_told_about_is_dead(
    world: World, caller: CallerSide, turned: dict[str, object]
) -> None:
    """It is lost, so the host has to record it."""
    call = caller.call(response_topic=None)
    header = reencoded(caller.header(response_topic=None), **turned)
    message = call.with_header(header) if "key_id" in turned else _without_offer(call, header)

    assert isinstance(world.admit(message), Dead)


def test_a_malformed_event_is_dropped(world: World, caller: CallerSide) -> None:
    """There is no topic to hint on; what never opened anywhere is no loss."""
    call = caller.call(response_topic=None)

    assert isinstance(world.admit(call.with_ciphertext(flipped(call.sealed.ciphertext))), Dropped)


def test_an_unknown_session_without_its_offer_is_hinted(world: World, caller: CallerSide) -> None:
    """The caller sends it once more with the offer."""
    assert world.hint(caller.call().with_offer(None)) == "session_unknown"


@pytest.mark.parametrize(
    "turned",
    [
        {"sequence": 1},
        {"function": "other"},
        {"response_topic": REPLY_TOPIC + "x"},
        {"expires_at": 1},
        {"evidence": "full"},
        {"sequence": 9, "verified_below": 5},
    ],
    ids=lambda turned: "-".join(turned),
)
def test_a_tampered_header_is_malformed(world: World, caller: CallerSide, turned: dict[str, object]) -> None:
    """Every field that the host can read is authenticated with the ciphertext; a sequence is also its nonce."""
    call = caller.call()

    assert world.hint(call.with_header(reencoded(caller.header(), **turned))) == "malformed"


def test_a_header_encoded_otherwise_is_malformed(world: World, caller: CallerSide) -> None:
    """The very bytes are authenticated, not what they mean."""
    header = caller.call().sealed.header
    longer = b"\xde\x00" + bytes([header[0] & 0x0F]) + header[1:]  # map 16 in place of fixmap: the same map

    assert world.hint(caller.call().with_header(longer)) == "malformed"


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_tampered_ciphertext_is_malformed(world: World, caller: CallerSide, at: int) -> None:
    """Its first byte, its middle, its tag."""
    call = caller.call()

    assert world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext, at))) == "malformed"


@pytest.mark.parametrize("ciphertext", [b"", b"x", bytes(16)])
def test_a_ciphertext_too_short_to_be_one_is_malformed(world: World, caller: CallerSide, ciphertext: bytes) -> None:
    """The library's complaint is mapped like any other."""
    assert world.hint(caller.call().with_ciphertext(ciphertext)) == "malformed"


def test_an_offer_of_another_session_is_malformed(world: World, caller: CallerSide) -> None:
    """The id is recomputed from the offer: a header cannot borrow it."""
    assert world.hint(caller.call().with_offer(world.caller().offer)) == "malformed"


def test_an_offer_of_another_session_is_malformed_in_an_open_session_too(world: World, caller: CallerSide) -> None:
    """The check does not depend on whether the offer is needed."""
    world.answer(caller.call())

    assert world.hint(caller.call(sequence=1).with_offer(world.caller().offer)) == "malformed"


def test_an_offer_sealed_to_another_bundle_is_malformed(world: World) -> None:
    """The bundle's digest is in HPKE's info: under another bundle the offer does not open."""
    foreign = world.caller(epoch=World().epoch)

    assert world.hint(foreign.call(key_id=world.epoch.key_id).message) == "malformed"


def test_an_offer_of_a_bundle_with_the_same_keys_is_malformed(world: World) -> None:
    """Even with the very same public key, the offer belongs to the bundle that was verified."""
    public = next(each.public_key for each in world.epoch.keys.bundle.keys if each.suite == "x25519")
    offer, keys = make_offer(suite="x25519", public_key=public, bundle_digest=bytes(32), random=system_random)
    foreign = CallerSide(key_id=world.epoch.key_id, clock=world.clock, offer=offer, keys=keys)

    assert world.hint(foreign.call().message) == "malformed"


@pytest.mark.parametrize("suite", ["x25519", "none"])
def test_an_offer_that_is_none_is_malformed(world: World, caller: CallerSide, suite: str) -> None:
    """Sealed noise and an unknown suite look the same from outside."""
    offer = encode({"suite": suite, "sealed": bytes(112)})
    call = caller.call()
    header = reencoded(caller.header(), session_id=session_id(offer))
    message = encode((header, offer, call.sealed.ciphertext))

    assert world.hint(message) == "malformed"


def _without_offer(call: object, header: bytes) -> bytes:
    return encode((header, None, call.sealed.ciphertext))  # type: ignore[attr-defined]
