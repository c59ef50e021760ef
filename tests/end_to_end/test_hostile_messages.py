"""A hostile caller's bytes against real processes: each gets its code and nothing more, and the runtime goes on.

Whatever opens is refused under seal; what does not is hinted at where anybody could be
told, and otherwise answered with silence, which only the gateway's counts tell.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.mqtt.transport import Message
from enclaved.wire.codec import encode
from enclaved.wire.hint import Hint
from enclaved.wire.key_text import caller_key_text
from enclaved.wire.limits import MAX_INVOCATION
from enclaved.wire.session import session_id
from hostile_caller import NAMESPACE, HostileCaller, Shot, hostile_caller
from hostile_offers import session_of_secret, session_with_proof
from hostile_scene import Scene
from whole_runtime import up, write_function

pytestmark = pytest.mark.timeout(120)

LISTED, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
EXTENSION = b"\xd4\x01\x00"  # fixext 1
TIMESTAMP = b"\xd6\xff\x00\x00\x00\x00"
ONCE = """\
import os
RUN = os.urandom(16)


def handle(payload):
    return RUN + payload
"""
SLOW = "import os, time\n\n\ndef handle(payload):\n    time.sleep(1.0)\n    return os.urandom(16)\n"


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run a runtime with functions to attack."""
    folder = tmp_path_factory.mktemp("hostile")
    functions = folder / "functions"
    write_function(functions, "once", ONCE)
    write_function(functions, "slow", SLOW, manifest="limits.time_ms = 20000\n")
    write_function(functions, "small", ONCE, manifest="limits.input_bytes = 16\n")
    allowed = caller_key_text(LISTED.public_key().public_bytes_raw())
    write_function(functions, "listed", ONCE, manifest=f'callers = ["{allowed}"]\n')
    write_function(functions, "shared", ONCE, manifest='trigger.topics = ["victim/trigger"]\n')
    async with up(folder, functions=functions) as runtime, hostile_caller(runtime.broker, runtime.runtime_id) as caller:
        yield Scene(runtime, caller, Counter())


async def test_replayed_invocation_gets_the_same_answer_and_no_second_run(scene: Scene) -> None:
    """The very bytes again, with and without the offer: the very sealed answer, from the one run."""
    shot = scene.caller.seal("once", b"replayed")
    first = await scene.caller.shoot(shot)
    again = [await scene.caller.shoot(shot), await scene.caller.shoot(shot, shot.message(offer=False))]
    fresh = await scene.runs(scene.caller.seal("once", b"replayed"))

    scene.expected["answered"] += 3
    assert again == [first, first]
    assert fresh.output != shot.open(first).output  # each run makes its own random number


async def test_repeat_of_a_running_invocation_joins_it(scene: Scene) -> None:
    """A repeat that comes while the first is under way starts nothing."""
    shot = scene.caller.seal("slow")
    for _ in range(3):
        await scene.caller.send("slow", shot.message(), reply=shot.reply)
    answers = await scene.caller.ears.hear(shot.reply, count=3)

    scene.expected["answered"] += 3
    assert len(set(answers)) == 1
    assert shot.open(answers[0]).code == "ok"


def _other_bytes(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


TURNED_HEADERS: dict[str, Callable[[Shot], dict[str, object]]] = {
    "session_id": lambda shot: {"session_id": _other_bytes(shot.header.session_id)},
    "sequence": lambda _: {"sequence": 7},
    "verified_below": lambda _: {"sequence": 7, "verified_below": 3},
    "function": lambda _: {"function": "small"},
    "response_topic": lambda shot: {"response_topic": shot.reply + "/elsewhere"},
    "expires_at": lambda shot: {"expires_at": shot.header.expires_at + 1},
    "evidence": lambda _: {"evidence": "full"},
}


@pytest.mark.parametrize("field", TURNED_HEADERS)
async def test_tampered_header_does_not_open(field: str, scene: Scene) -> None:
    """The host can read the header; a change in any field of it is as good as a forgery."""
    shot = scene.caller.seal("once", b"tampered")
    header = msgspec.structs.replace(shot.header, **TURNED_HEADERS[field](shot))
    named = replace(shot, header=header, reply=header.response_topic or "")

    await scene.is_malformed(named, shot.message(header=encode(header)))


async def test_tampered_verified_below_does_not_make_it_forget(scene: Scene) -> None:
    """What is not authentic changes nothing: the answer is still there."""
    session = scene.caller.session()
    first, second = (scene.caller.seal("once", session=session) for _ in range(2))
    answer = await scene.caller.shoot(first)
    header = msgspec.structs.replace(second.header, verified_below=1)
    await scene.is_malformed(second, second.message(header=encode(header)))

    assert await scene.caller.shoot(first) == answer
    scene.expected["answered"] += 2


async def test_header_of_another_version_is_malformed(scene: Scene) -> None:
    """Readers of version 1 refuse what they do not know."""
    shot = scene.caller.seal("once")
    header = encode(msgspec.structs.replace(shot.header, v=2))

    await scene.is_malformed(shot, shot.message(header=header), named=False)


async def test_header_that_names_another_runtime_is_left_alone(scene: Scene) -> None:
    """Several may share a topic: who is not meant says nothing."""
    shot = scene.caller.seal("once")
    header = encode(msgspec.structs.replace(shot.header, runtime_id="another"))

    await scene.is_ignored(shot, "foreign", shot.message(header=header))


CIPHERTEXTS: dict[str, Callable[[bytes], bytes]] = {
    "first byte": _other_bytes,
    "tag": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    "cut": lambda sealed: sealed[:-1],
    "longer": lambda sealed: sealed + b"\0",
    "empty": lambda _: b"",
    "of another invocation": lambda sealed: os.urandom(len(sealed)),
}


@pytest.mark.parametrize("how", CIPHERTEXTS)
async def test_tampered_ciphertext_does_not_open(how: str, scene: Scene) -> None:
    """Any change of the sealed half is noticed, and which one is not told."""
    shot = scene.caller.seal("once")

    await scene.is_malformed(shot, shot.message(ciphertext=CIPHERTEXTS[how](shot.sealed.ciphertext)))


async def test_wrong_sequence_does_not_open(scene: Scene) -> None:
    """The header is authenticated, but the nonce is another sequence's."""
    body = encode({"invocation_id": bytes(16), "content_type": "", "payload": b"", "padding": b""})
    shot = scene.caller.seal_raw("once", body, nonce=1)

    await scene.is_malformed(shot, shot.message())


async def test_repeat_of_a_dropped_answer_is_told_so(scene: Scene) -> None:
    """Once the caller says that it has verified an answer, it is forgotten; a repeat does not run again."""
    session = scene.caller.session()
    first = scene.caller.seal("once", session=session)
    await scene.runs(first)
    await scene.runs(scene.caller.seal("once", session=session, verified_below=1))

    await scene.is_refused(first, "answer_gone")


@pytest.mark.parametrize("sequence", [0, 5])
async def test_sequence_outside_the_window_is_replayed(sequence: int, scene: Scene) -> None:
    """Too far back to tell whether it ran: it does not run, whether it had or not."""
    session = scene.caller.session()
    first = scene.caller.seal("once", session=session)
    await scene.runs(first)
    session.sequence = 6000
    await scene.runs(scene.caller.seal("once", session=session))
    late = first if sequence == 0 else scene.caller.seal("once", session=session, sequence=sequence)

    await scene.is_refused(late, "replayed")


async def test_same_sequence_with_another_text_is_replayed(scene: Scene) -> None:
    """A number belongs to the request that took it; another one under it gets neither a run nor that one's answer."""
    session = scene.caller.session()
    await scene.runs(scene.caller.seal("once", b"one", session=session))
    other = scene.caller.seal("once", b"two", session=session, sequence=0)

    await scene.is_refused(other, "replayed")


@pytest.mark.parametrize("key", [None, STRANGER], ids=["no proof", "wrong key"])
async def test_caller_that_is_not_listed_is_refused(key: Ed25519PrivateKey | None, scene: Scene) -> None:
    """Nobody and the wrong one are told the same, under seal."""
    shot = scene.caller.seal("listed", session=scene.caller.session(key))

    await scene.is_refused(shot, "caller_refused", on="listed")


async def test_listed_caller_runs(scene: Scene) -> None:
    """The control: the same with the right key."""
    await scene.runs(scene.caller.seal("listed", session=scene.caller.session(LISTED)))


async def test_function_is_authorised_from_the_header_and_never_from_the_topic(scene: Scene) -> None:
    """The topic of an open function does not open a listed one."""
    shot = scene.caller.seal("listed", session=scene.caller.session(STRANGER))

    await scene.is_refused(shot, "caller_refused", on="once")


async def test_header_decides_what_runs(scene: Scene) -> None:
    """On another function's topic, what the header names is run."""
    body = await scene.runs(scene.caller.seal("once", b"more than sixteen bytes"), on="small")

    assert body.output.endswith(b"more than sixteen bytes")


@pytest.mark.parametrize("lifted", ["from another session", "from another bundle", "not lifted"])
async def test_lifted_proof_is_void(lifted: str, scene: Scene) -> None:
    """Whoever opened a session's offer holds its proof; it holds for no other secret, and under no other bundle."""
    session = session_with_proof(
        scene.caller,
        key=LISTED,
        of_secret=os.urandom(32) if lifted == "from another session" else None,
        bundle_digest=os.urandom(32) if lifted == "from another bundle" else None,
    )
    shot = scene.caller.seal("listed", session=session)

    if lifted == "not lifted":
        await scene.runs(shot)
    else:
        await scene.is_malformed(shot, shot.message())


async def test_offer_under_the_header_of_another_session_is_malformed(scene: Scene) -> None:
    """Neither session is opened by it, nor looked up: the enclave computes the id itself."""
    shot, other = scene.caller.seal("once"), scene.caller.session()

    await scene.is_malformed(shot, shot.message(offer_bytes=other.offer))


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


OUTSIDE = (
    "victim/topic",
    "enclaved/v1/another/reply/x",
    f"enclaved/v1/{NAMESPACE}/reply/",
    f"enclaved/v1/{NAMESPACE}/replyx",
    f"enclaved/v1/{NAMESPACE}/runtime/r/attestation",
)


@pytest.mark.parametrize("topic", OUTSIDE)
async def test_response_topic_outside_the_prefix_borrows_no_rights(topic: str, scene: Scene) -> None:
    """The gateway may write where the caller may not; so it writes for it under the reply prefix only."""
    shot = scene.caller.seal("once", response_topic=topic)
    await scene.caller.send("once", shot.message())

    scene.expected["bad_reply_topic"] += 1
    await scene.still_serves()
    assert topic not in scene.caller.ears.heard


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


async def test_expired_invocation_is_refused(scene: Scene) -> None:
    """It is not started any more, and that is said under seal."""
    await scene.is_refused(scene.caller.seal("once", expires_at=int(time.time() * 1000) - 1), "expired")


async def test_retained_invocation_is_ignored(scene: Scene) -> None:
    """It would run again at each subscription."""
    await scene.is_ignored(scene.caller.seal("once"), "retained", retain=True)
    await scene.caller.send("once", b"", retain=True)  # takes it back
    scene.expected["retained"] += 1


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


@pytest.mark.parametrize("which", ["key_unknown", "session_unknown"])
async def test_what_is_not_held_is_hinted_at(which: str, scene: Scene) -> None:
    """A key of another bundle, and a session without its offer: the caller can mend both."""
    shot = scene.caller.seal("once", **({"key_id": bytes(16)} if which == "key_unknown" else {}))
    hint = await scene.caller.hint_at(shot, shot.message(offer=which == "key_unknown"))

    assert hint == Hint(v=1, hint=which, session_id=shot.header.session_id, sequence=shot.header.sequence)
    scene.expected["hinted"] += 1
    await scene.still_serves()


@pytest.mark.parametrize("which", ["key_unknown", "session_unknown"])
async def test_event_that_nobody_can_open_is_dead_lettered(which: str, scene: Scene) -> None:
    """Nobody can be told, so the loss is recorded, still sealed."""
    turned = {"response_topic": None} | ({"key_id": bytes(16)} if which == "key_unknown" else {})
    message = scene.caller.seal("once", **turned).message(offer=which == "key_unknown")
    dead = scene.caller.dead_topic("once")
    before = len(scene.caller.ears.heard.get(dead, []))
    await scene.caller.send("once", message)

    assert (await scene.caller.ears.hear(dead, count=before + 1))[before:] == [message]
    scene.expected["dead"] += 1
    await scene.still_serves()


async def test_event_that_does_not_open_is_dropped(scene: Scene) -> None:
    """A forged event is not worth a record."""
    shot = scene.caller.seal("once", response_topic=None)

    await scene.is_ignored(shot, "dropped", shot.message(ciphertext=_other_bytes(shot.sealed.ciphertext)))


async def test_unknown_function_is_refused(scene: Scene) -> None:
    """What the bundle does not list is not looked for."""
    await scene.is_refused(scene.caller.seal("absent"), "function_unknown")


async def test_input_over_the_limit_is_refused(scene: Scene) -> None:
    """The limit is the function's own; one byte less runs."""
    await scene.runs(scene.caller.seal("small", bytes(16)))

    await scene.is_refused(scene.caller.seal("small", bytes(17)), "input_too_large", on="small")


async def test_all_that_was_sent_is_counted(scene: Scene) -> None:
    """Comes last, and ends the runtime: its gateway has counted each message once, and nothing else."""
    await scene.runtime.stop()

    counted = {name: count for name, count in scene.runtime.counters.items() if count}
    for name in ("received", "announced", "link_connected", "challenges", "challenges_answered"):
        counted.pop(name, None)
    assert counted == dict(scene.expected)
