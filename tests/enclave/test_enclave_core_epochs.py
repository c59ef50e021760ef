"""Which epoch answers, which sessions are gone, and when the attestation rides along."""

from __future__ import annotations

from enclave_world import (
    CallerSide,
    World,
    caller_key,
    executed,
    function,
)
from enclaved.enclave.core import Replied, Run
from enclaved.enclave.sessions import SessionBounds
from enclaved.wire.header import split_result


def test_an_epoch_whose_bundle_ended_by_the_wall_clock_opens_nothing(world: World, caller: CallerSide) -> None:
    """A bundle is good until its end, and no message later."""
    world.clock.at = world.clock.at.replace(hour=13)

    assert world.hint(caller.call().message) == "key_unknown"


def test_an_epoch_whose_bundle_ended_by_the_monotonic_clock_opens_nothing(world: World, caller: CallerSide) -> None:
    """A host that sets its clock back does not make keys live longer."""
    world.clock.seconds += 3600
    world.clock.at = world.clock.at.replace(hour=11)

    assert world.hint(caller.call().message) == "key_unknown"


def test_the_old_epoch_answers_until_its_end(world: World, caller: CallerSide) -> None:
    """What was sealed to it before the new one came is not lost."""
    world.clock.pass_s(3000)
    world.begin_epoch()

    assert isinstance(world.admit(caller.call().message), Run)
    world.clock.pass_s(601)
    world.core.end_epochs()
    assert len(world.core.epochs) == 1
    assert world.hint(caller.call(sequence=1).message) == "key_unknown"


def test_a_session_belongs_to_one_epoch(world: World, caller: CallerSide) -> None:
    """The new epoch's keys do not open what was sealed to the old one's."""
    world.answer(caller.call())
    new = world.begin_epoch()

    assert world.hint(caller.call(sequence=1, key_id=new.key_id).message) == "malformed"
    assert world.hint(caller.call(sequence=1, key_id=new.key_id).with_offer(None)) == "session_unknown"


def test_the_number_of_epochs_is_bounded(world: World) -> None:
    """Strangers can make new epochs come early; each holds sessions and answers until it ends."""
    first = world.caller()
    for _ in range(50):
        world.begin_epoch()

    assert len(world.core.epochs) <= 4
    assert world.hint(first.call().message) == "key_unknown"


def test_an_invocation_outlives_its_epoch(world: World, caller: CallerSide) -> None:
    """It started in time; its caller gets the answer although the epoch and its functions are gone."""
    call = caller.call()
    run = world.start(call)
    world.begin_epoch()
    world.clock.pass_s(4000)
    world.core.end_epochs()
    world.loads.clear()

    answered, waiters = world.core.finish(run, executed(b"late"))

    assert call.opened(answered.reply).output == b"late"
    assert waiters == ["waiter"]


def test_an_invocation_that_could_not_start_before_its_epoch_ended_is_refused(world: World, caller: CallerSide) -> None:
    """The refusal is sealed like any other."""
    call = caller.call()
    run = world.start(call)
    world.loads.clear()

    answered, _ = world.core.refuse_unstarted(run, "isolation_unavailable")

    assert call.opened(answered.reply).code == "isolation_unavailable"


def test_the_offer_of_an_evicted_session_never_opens_again() -> None:
    """It would have a new window, and the network's old copies would run again."""
    world = World(bounds=SessionBounds(sessions=2))
    evicted = world.caller()
    call = evicted.call()
    world.answer(call)
    world.answer(world.caller().call())

    assert world.hint(call.message) == "session_unknown"


def test_a_known_offer_starts_no_new_window(world: World, caller: CallerSide) -> None:
    """It may ride along with every message; it was opened once."""
    call = caller.call()
    reply = world.answer(call)
    world.answer(caller.call(sequence=1))

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_full_table_asks_for_a_new_epoch() -> None:
    """When no more evictions can be remembered, new offers wait for the next bundle."""
    world = World(bounds=SessionBounds(sessions=2, evicted=0))
    world.answer(world.caller().call())

    assert world.hint(world.caller().call().message) == "key_unknown"
    assert world.core.wants_new_epoch
    world.begin_epoch()
    assert not world.core.wants_new_epoch


def test_strangers_leave_the_listed_callers_half_open() -> None:
    """However many offers strangers send, a listed caller still gets a session under the same bundle."""
    key, listed = caller_key()
    world = World(
        [function("echo"), function("other", callers=f'["{listed}"]')], bounds=SessionBounds(sessions=4, evicted=3)
    )
    for _ in range(8):
        world.admit(world.caller().call(function="nothing").message)

    assert isinstance(world.admit(world.caller(key=key).call(function="other").message), Run)


def test_the_attestation_comes_with_the_first_answer(world: World, caller: CallerSide) -> None:
    """That is when the caller needs it; the offer says so."""
    assert split_result(world.answer(caller.call())).attestation == world.epoch.attestation


def test_later_answers_leave_it_out(world: World, caller: CallerSide) -> None:
    """It is kilobytes, and the caller has it."""
    world.answer(caller.call())
    later = caller.call(sequence=1)
    run = world.admit(later.with_offer(None))
    assert isinstance(run, Run)

    assert split_result(world.core.finish(run, executed())[0].reply).attestation is None


def test_it_comes_whenever_it_is_asked_for(world: World, caller: CallerSide) -> None:
    """`evidence: full` in the authenticated header."""
    world.answer(caller.call())
    run = world.admit(caller.call(sequence=1, evidence="full").with_offer(None))
    assert isinstance(run, Run)

    assert split_result(world.core.finish(run, executed())[0].reply).attestation == world.epoch.attestation
