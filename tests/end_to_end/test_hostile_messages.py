"""A hostile caller's requests against real processes: each gets its code and nothing more, and the runtime goes on.

Whatever opens is refused under seal; what does not is hinted at where anybody could be
told, and otherwise answered with silence, which only the gateway's counts tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire.codec import encode
from enclaved.wire.hint import Hint
from hostile_caller import NAMESPACE, Shot
from hostile_offers import session_with_proof
from hostile_scene import LISTED, Scene, hostile_scene, turned

pytestmark = pytest.mark.timeout(120)

STRANGER = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run a runtime with functions to attack."""
    async with hostile_scene(tmp_path_factory.mktemp("hostile")) as scene:
        yield scene


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


TURNED_HEADERS: dict[str, Callable[[Shot], dict[str, object]]] = {
    "session_id": lambda shot: {"session_id": turned(shot.header.session_id)},
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
    "first byte": turned,
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


async def test_expired_invocation_is_refused(scene: Scene) -> None:
    """It is not started any more, and that is said under seal."""
    await scene.is_refused(scene.caller.seal("once", expires_at=int(time.time() * 1000) - 1), "expired")


async def test_retained_invocation_is_ignored(scene: Scene) -> None:
    """It would run again at each subscription."""
    await scene.is_ignored(scene.caller.seal("once"), "retained", retain=True)
    await scene.caller.send("once", b"", retain=True)  # takes it back
    scene.expected["retained"] += 1


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

    await scene.is_ignored(shot, "dropped", shot.message(ciphertext=turned(shot.sealed.ciphertext)))


async def test_unknown_function_is_refused(scene: Scene) -> None:
    """What the bundle does not list is not looked for."""
    await scene.is_refused(scene.caller.seal("absent"), "function_unknown")


async def test_input_over_the_limit_is_refused(scene: Scene) -> None:
    """The limit is the function's own; one byte less runs."""
    await scene.runs(scene.caller.seal("small", bytes(16)))

    await scene.is_refused(scene.caller.seal("small", bytes(17)), "input_too_large", on="small")


async def test_all_that_was_sent_is_counted(scene: Scene) -> None:
    """Comes last, and ends the runtime: what was answered with silence shows in its gateway's counts."""
    await scene.has_counted_all()
