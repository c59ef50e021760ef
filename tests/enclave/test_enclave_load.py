"""A function's load says early what could not start in time."""

from __future__ import annotations

from enclaved.enclave.load import FunctionLoad


def load(*, admitted: int = 0, took_s: float = 0.0) -> FunctionLoad:
    """Return the load of a function that runs two at once and lets three wait."""
    busy = FunctionLoad(parallel=2, waiting=3)
    for _ in range(200 if took_s else 0):
        busy.admit()
        busy.finish(took_s)
    for _ in range(admitted):
        busy.admit()
    return busy


def test_a_free_process_starts_at_once() -> None:
    """However long the function takes."""
    assert load(admitted=1, took_s=100).start_in_s() == 0


def test_nothing_waits_without_a_deadline() -> None:
    """Who has no time left is not admitted even by an idle function."""
    assert not load().can_start_within(0)


def test_who_waits_waits_for_those_before() -> None:
    """Two run; the third waits half a run on average, the fourth a whole one."""
    assert 4 < load(admitted=2, took_s=10).start_in_s() <= 5
    assert 9 < load(admitted=3, took_s=10).start_in_s() <= 10


def test_who_would_start_too_late_is_told() -> None:
    """Its caller would have stopped waiting."""
    busy = load(admitted=3, took_s=10)

    assert not busy.can_start_within(5)
    assert busy.can_start_within(16)


def test_who_might_just_start_in_time_is_told_as_well() -> None:
    """An average is exceeded half of the time, and a late start helps nobody."""
    assert not load(admitted=3, took_s=10).can_start_within(11)


def test_more_than_may_wait_is_told() -> None:
    """Two and three are five, even of a function that takes no time."""
    assert load(admitted=4).can_start_within(1)
    assert not load(admitted=5).can_start_within(1)


def test_what_ends_makes_room() -> None:
    """Whether it ran or was taken back."""
    busy = load(admitted=5)
    busy.finish(0.0)
    assert busy.can_start_within(1)
    busy.admit()
    busy.abandon()

    assert busy.can_start_within(1)


def test_what_was_not_started_teaches_nothing() -> None:
    """Its duration is not a duration."""
    busy = load(admitted=3, took_s=10)
    expected = busy.start_in_s()
    busy.admit()
    busy.abandon()

    assert busy.start_in_s() == expected
