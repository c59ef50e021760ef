"""Bytes that are no message of the protocol, from a hostile caller to real processes: nothing of them is used.

What parses on a function's own topic and does not open is hinted at, as is what does not
parse; which of the two it was, and at which byte, is not told.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import msgspec
import pytest
from enclaved.mqtt.transport import Message
from enclaved.wire.codec import encode
from enclaved.wire.limits import MAX_INVOCATION
from enclaved.wire.session import session_id
from hostile_caller import NAMESPACE, HostileCaller, Shot
from hostile_offers import session_of_secret
from hostile_scene import Scene, hostile_scene

pytestmark = pytest.mark.timeout(120)

EXTENSION = b"\xd4\x01\x00"  # fixext 1
TIMESTAMP = b"\xd6\xff\x00\x00\x00\x00"


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run a runtime with functions to attack."""
    async with hostile_scene(tmp_path_factory.mktemp("malformed")) as scene:
        yield scene


def _offer_of(name: str, caller: HostileCaller) -> bytes:
    """Return bytes that are no offer to this bundle."""
    good = caller.session().offer
    secret = os.urandom(32)
    bad_secrets = {
        "secret with an unknown field": encode({"secret": secret, "caller_proof": None, "more": 1}),
        "secret too short": encode({"secret": secret[:16], "caller_proof": None}),
        "secret with trailing bytes": encode({"secret": secret, "caller_proof": None}) + b"\0",
    }
    offers = {
        "cut": lambda: good[:-1],
        "trailing bytes": lambda: good + b"\0",
        "unknown suite": lambda: encode({"suite": "none", "sealed": b""}),
        "other suite": lambda: good.replace(b"\xa6x25519", b"\xafmlkem768-x25519"),
        "extension": lambda: EXTENSION,
        "too large": lambda: encode({"suite": "x25519", "sealed": bytes(5000)}),
        "empty": lambda: b"",
    }
    if name in bad_secrets:
        return session_of_secret(caller, secret, bad_secrets[name]).offer
    return offers[name]()


OFFERS = (
    "cut",
    "trailing bytes",
    "unknown suite",
    "other suite",
    "extension",
    "empty",
    "secret with an unknown field",
    "secret too short",
    "secret with trailing bytes",
)


@pytest.mark.parametrize("name", OFFERS)
async def test_offer_that_does_not_open_is_malformed(name: str, scene: Scene) -> None:
    """The offer's id fits the header, and it opens no session all the same."""
    offer = _offer_of(name, scene.caller)
    session = scene.caller.session()
    keys = replace(session.keys, session_id=session_id(offer))
    shot = scene.caller.seal("once", session=replace(session, offer=offer, keys=keys))

    await scene.is_malformed(shot, shot.message())


async def test_offer_that_is_too_large_is_not_forwarded(scene: Scene) -> None:
    """The gateway reads the sizes; more than an offer can have is not handed to the enclave."""
    shot = scene.caller.seal("once")

    await scene.is_malformed(shot, shot.message(offer_bytes=_offer_of("too large", scene.caller)), named=False)


@pytest.mark.parametrize("topic", ["victim/topic", None, f"enclaved/v1/{NAMESPACE}/reply/"])
async def test_unreadable_message_with_a_foreign_response_topic_is_not_hinted_at(
    topic: str | None, scene: Scene
) -> None:
    """MQTT's own response topic lends no rights either."""
    await scene.caller.send("once", b"unreadable", reply=topic)

    scene.expected["malformed"] += 1
    await scene.still_serves()
    assert topic not in scene.caller.ears.heard


async def test_unreadable_message_on_a_shared_topic_is_not_hinted_at(scene: Scene) -> None:
    """On a trigger topic each runtime would answer."""
    reply = scene.caller.reply_topic()
    await scene.caller.publisher.publish(Message(topic="victim/trigger", payload=b"unreadable", response_topic=reply))
    await scene.runs(scene.caller.seal("shared"))

    scene.expected["malformed"] += 1
    assert reply not in scene.caller.ears.heard


async def test_oversize_message_is_ignored(scene: Scene) -> None:
    """One byte more than an invocation can have is not looked at."""
    shot = scene.caller.seal("once")
    size = MAX_INVOCATION + 1 - len(shot.message(ciphertext=bytes(70_000))) + 70_000
    message = shot.message(ciphertext=bytes(size))
    assert len(message) == MAX_INVOCATION + 1

    await scene.is_ignored(shot, "oversize", message)


@pytest.mark.parametrize("left", [0, 1, 2, 4, 100, 0.5, -16, -1])
async def test_truncated_message_is_malformed(left: float, scene: Scene) -> None:
    """A message that was cut anywhere does not parse, and nothing of it is used."""
    shot = scene.caller.seal("once")
    whole = shot.message()
    cut = whole[: int(len(whole) * left) if isinstance(left, float) else left]

    await scene.is_malformed(shot, cut, named=False)


def _duplicate(header: bytes) -> bytes:
    """Return a header that says twice which version it is."""
    return bytes([header[0] + 1]) + b"\xa1v\x01" + header[1:]


UNPARSED: dict[str, Callable[[Shot], bytes]] = {
    "trailing bytes": lambda shot: shot.message() + b"\0",
    "second message behind": lambda shot: shot.message() * 2,
    "deep nesting": lambda shot: b"\x91" * 1000 + shot.message(),
    "extension type in place of the offer": lambda shot: shot.message(offer=False).replace(b"\xc0", EXTENSION, 1),
    "timestamp in place of the message": lambda _: TIMESTAMP,
    "array of four": lambda shot: b"\x94" + shot.message()[1:] + b"\xc0",
    "map": lambda shot: encode({"header": shot.sealed.header, "offer": None, "ciphertext": b""}),
    "announces four gigabytes": lambda _: b"\x93\xc6\xff\xff\xff\xff",
    "announces four billion elements": lambda _: b"\xdd\xff\xff\xff\xff",
    "header with a duplicate key": lambda shot: shot.message(header=_duplicate(shot.sealed.header)),
    "header with trailing bytes": lambda shot: shot.message(header=shot.sealed.header + b"\0"),
    "header with an unknown field": lambda shot: shot.message(
        header=encode({**msgspec.structs.asdict(shot.header), "more": 1})
    ),
    "header with an extension type": lambda shot: shot.message(
        header=shot.sealed.header.replace(b"\xa8evidence\xa6digest", b"\xa8evidence" + EXTENSION)
    ),
    "header with nesting": lambda shot: shot.message(
        header=encode({**msgspec.structs.asdict(shot.header), "function": [[[["once"]]]]})
    ),
    "header with a name that is none": lambda shot: shot.message(
        header=encode({**msgspec.structs.asdict(shot.header), "function": "../once"})
    ),
    "header with a wildcard to answer on": lambda shot: shot.message(
        header=encode({**msgspec.structs.asdict(shot.header), "response_topic": f"enclaved/v1/{NAMESPACE}/reply/#"})
    ),
}


@pytest.mark.parametrize("name", UNPARSED)
async def test_message_that_is_not_strict_is_malformed(name: str, scene: Scene) -> None:
    """One value has one structure; what a lenient reader would let pass is refused before it is used."""
    shot = scene.caller.seal("once")

    await scene.is_malformed(shot, UNPARSED[name](shot), named=False)


GOOD_BODY = {"invocation_id": bytes(16), "content_type": "", "payload": b"", "padding": b""}
BODIES = {
    "duplicate key": b"\x85" + encode(GOOD_BODY)[1:] + b"\xa7payload\xc4\x01x",
    "trailing bytes": encode(GOOD_BODY) + b"\0",
    "extension type": encode(GOOD_BODY).replace(b"\xc4\x00", EXTENSION, 1),
    "deep nesting": encode({**GOOD_BODY, "payload": [[[[[[[[[[b""]]]]]]]]]]}),
    "short invocation id": encode({**GOOD_BODY, "invocation_id": bytes(15)}),
    "truncated": encode(GOOD_BODY)[:-1],
    "empty": b"",
}


@pytest.mark.parametrize("name", BODIES)
async def test_sealed_body_that_is_not_strict_is_malformed(name: str, scene: Scene) -> None:
    """Whoever holds the session's key is no more trusted to write MessagePack than anybody else."""
    shot = scene.caller.seal_raw("once", BODIES[name])

    await scene.is_malformed(shot, shot.message())


async def test_all_that_was_sent_is_counted(scene: Scene) -> None:
    """Comes last, and ends the runtime: what was answered with silence shows in its gateway's counts."""
    await scene.has_counted_all()
