"""Forged messages change nothing."""

from __future__ import annotations

from enclave_world import (
    CallerSide,
    World,
    executed,
    flipped,
    reencoded,
)
from enclaved.enclave.core import Replied, Run
from enclaved.enclave.sessions import SessionBounds
from enclaved.enclave.window import WINDOW_WIDTH


def test_a_forged_message_does_not_move_the_window(world: World, caller: CallerSide) -> None:
    """Or anybody could shut a session's sequences out."""
    call = caller.call()
    world.answer(call)
    header = reencoded(caller.header(), sequence=100 * WINDOW_WIDTH)
    assert world.hint(call.with_header(header)) == "malformed"

    assert isinstance(world.admit(caller.call(sequence=1).message), Run)


def test_a_forged_message_does_not_drop_answers(world: World, caller: CallerSide) -> None:
    """`verified_below` is the caller's word, once it is authentic."""
    call = caller.call()
    reply = world.answer(call)
    world.hint(call.with_header(reencoded(caller.header(), sequence=9, verified_below=9)))

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_forged_message_uses_up_no_sequence(world: World, caller: CallerSide) -> None:
    """The genuine message under that number still runs."""
    call = caller.call()
    world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext)))

    assert isinstance(world.admit(call.message), Run)


def test_a_forged_message_joins_nothing(world: World, caller: CallerSide) -> None:
    """The answer goes to those who handed in the genuine request."""
    call = caller.call()
    run = world.start(call, waiter="genuine")
    world.core.admit(call.with_ciphertext(flipped(call.sealed.ciphertext)), waiter="forger")

    assert world.core.finish(run, executed())[1] == ["genuine"]


def test_a_copied_offer_with_a_forged_text_opens_no_session(world: World, caller: CallerSide) -> None:
    """Offers are public: a place in the table is for who can also seal."""
    call = caller.call()
    world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext)))

    assert len(world.epoch.sessions) == 0


def test_a_forged_message_does_not_keep_a_session_alive() -> None:
    """Who is evicted is decided by authentic messages alone."""
    world = World(bounds=SessionBounds(sessions=4))
    first, second, third = world.caller(), world.caller(), world.caller()
    world.answer(first.call())
    world.answer(second.call())
    forged = first.call(sequence=1)
    world.hint(forged.with_ciphertext(flipped(forged.sealed.ciphertext)))
    world.answer(third.call())

    assert world.hint(first.call(sequence=2).with_offer(None)) == "session_unknown"
    assert isinstance(world.admit(second.call(sequence=1).with_offer(None)), Run)


def test_an_authentic_message_keeps_a_session_alive() -> None:
    """The one unused longest goes first."""
    world = World(bounds=SessionBounds(sessions=4))
    first, second, third = world.caller(), world.caller(), world.caller()
    world.answer(first.call())
    world.answer(second.call())
    world.answer(first.call(sequence=1))
    world.answer(third.call())

    assert world.hint(second.call(sequence=1).with_offer(None)) == "session_unknown"
