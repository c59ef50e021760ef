"""What a repeat gets: never a second run."""

from __future__ import annotations

import pytest
from enclave_world import (
    CallerSide,
    World,
    executed,
    function,
    recipient_key,
    reencoded,
)
from enclaved.enclave.core import Joined, Replied, Run
from enclaved.enclave.sessions import SessionBounds
from enclaved.enclave.window import WINDOW_WIDTH
from enclaved.wire.codec import encode
from enclaved.wire.limits import MAX_SEQUENCE
from hypothesis import given, settings
from hypothesis import strategies as st


def test_a_repeat_of_a_running_invocation_joins_it(world: World, caller: CallerSide) -> None:
    """It does not run twice, and both deliveries get the answer."""
    call = caller.call()
    run = world.start(call, waiter="first")

    assert isinstance(world.admit(call.message, waiter="second"), Joined)
    _, waiters = world.core.finish(run, executed())
    assert waiters == ["first", "second"]


def test_a_repeat_of_an_answered_invocation_gets_the_same_bytes(world: World, caller: CallerSide) -> None:
    """A second run could have a second effect, and a second answer could differ."""
    call = caller.call()
    reply = world.answer(call)

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_repeat_without_the_offer_gets_the_same_bytes(world: World, caller: CallerSide) -> None:
    """Only header and ciphertext name a request; the offer may come and go."""
    call = caller.call()
    reply = world.answer(call)

    assert world.admit(call.with_offer(None)) == Replied(reply=reply, outputs=(), refused=False)


def test_a_repeat_of_an_event_gets_its_outputs_again() -> None:
    """The host may have died before it published them; recipients drop repeats by the invocation id."""
    _, recipient = recipient_key()
    world = World([function("echo", more=f'[output]\ntopic = "alarms"\nrecipients = ["{recipient}"]\n')])
    call = world.caller().call()
    answered, _ = world.core.finish(world.start(call), executed())

    repeated = world.admit(call.message)

    assert isinstance(repeated, Replied)
    assert (repeated.reply, repeated.outputs) == (answered.reply, answered.outputs)
    assert [output.topic for output in repeated.outputs] == ["alarms"]


def test_a_repeat_of_what_the_caller_has_verified_is_told_that_it_is_gone(world: World, caller: CallerSide) -> None:
    """The caller said that it needs it no more; to send it again is the network's doing."""
    call = caller.call()
    world.answer(call)
    world.answer(caller.call(sequence=1, verified_below=1))

    assert world.code(call) == "answer_gone"


def test_a_repeat_of_an_answer_that_the_full_cache_dropped_is_told_so() -> None:
    """Nothing is refused because the cache is full; the caller seals anew under the same invocation id."""
    world = World(bounds=SessionBounds(session_answer_bytes=3000))
    caller = world.caller()
    first = caller.call()
    for call in [first, *(caller.call(sequence=number) for number in range(1, 5))]:
        world.answer(call, b"x" * 600)

    assert world.code(first) == "answer_gone"


def test_a_sequence_outside_the_window_is_replayed(world: World, caller: CallerSide) -> None:
    """It is too old to tell new from seen, and so is not run."""
    old = caller.call()
    world.answer(caller.call(sequence=WINDOW_WIDTH))

    assert world.code(old) == "replayed"


def test_the_last_sequence_inside_the_window_is_new(world: World, caller: CallerSide) -> None:
    """The window's edge, from within."""
    old = caller.call(sequence=1)
    world.answer(caller.call(sequence=WINDOW_WIDTH))

    assert isinstance(world.admit(old.message), Run)


def test_the_greatest_sequence_is_taken(world: World, caller: CallerSide) -> None:
    """The window's arithmetic holds where the numbers end."""
    assert isinstance(world.admit(caller.call(sequence=MAX_SEQUENCE).message), Run)
    assert world.code(caller.call(sequence=MAX_SEQUENCE - WINDOW_WIDTH)) == "replayed"


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "running"])
def test_another_text_under_a_used_sequence_is_replayed(world: World, caller: CallerSide, *, answered: bool) -> None:
    """One sequence is sealed once; whoever seals it twice gets neither answer."""
    first = caller.call(b"one text")
    if answered:
        world.answer(first)
    else:
        world.start(first)

    assert world.code(caller.call(b"another")) == "replayed"


def test_another_text_does_not_join_the_one_that_runs(world: World, caller: CallerSide) -> None:
    """The one that runs is answered as if nothing had come between."""
    first = caller.call(b"one text")
    run = world.start(first)
    world.admit(caller.call(b"another").message, waiter="other")

    answered, waiters = world.core.finish(run, executed(b"done"))

    assert waiters == ["waiter"]
    assert first.opened(answered.reply).output == b"done"


def test_one_session_never_gets_anothers_answer(world: World) -> None:
    """Sequence and invocation id may be the same: the session is not, and its request runs itself."""
    first, second = world.caller(), world.caller()
    world.answer(first.call(b"secret"), b"of the first")

    admission = world.admit(second.call(b"secret").message)

    assert isinstance(admission, Run)


def test_a_request_under_another_sessions_id_is_malformed(world: World) -> None:
    """A caller cannot reach into another's session, even when it knows its id and offer."""
    victim, thief = world.caller(), world.caller()
    world.answer(victim.call())
    header = reencoded(thief.header(), session_id=victim.keys.session_id, sequence=1)
    call = thief.call(sequence=1)

    assert world.hint(call.with_header(header)) == "malformed"
    assert world.hint(encode((header, victim.offer, call.sealed.ciphertext))) == "malformed"


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["deliver", "finish", "refuse"]), st.integers(0, 11)), min_size=5, max_size=60
    )
)
def test_whatever_the_network_repeats_nothing_runs_twice(steps: list[tuple[str, int]]) -> None:
    """Twelve sealed calls of two sessions, delivered in any order and number: one run and one answer each."""
    world = World(parallel=100, waiting=100)
    callers = [world.caller(), world.caller()]
    calls = [caller.call(sequence=number) for number in range(6) for caller in callers]
    runs: dict[int, Run] = {}
    waiting: dict[int, int] = {}
    replies: dict[int, bytes] = {}
    for step, which in steps:
        if step == "deliver":
            match world.admit(calls[which].message, waiter=which):
                case Run() as run:
                    assert which not in waiting
                    runs[which], waiting[which] = run, 1
                case Joined():
                    assert which in runs
                    waiting[which] += 1
                case Replied(reply=reply):
                    assert reply == replies[which]
                case other:
                    pytest.fail(f"{other}")
        elif which in runs:
            run = runs.pop(which)
            answered, waiters = (
                world.core.finish(run, executed())
                if step == "finish"
                else world.core.refuse_unstarted(run, "overloaded")
            )
            assert waiters == [which] * waiting[which]
            replies[which] = answered.reply
    for which, reply in replies.items():
        assert calls[which].opened(reply).code in ("ok", "overloaded")
