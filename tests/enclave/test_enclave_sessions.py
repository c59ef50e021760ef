"""Who gets a place among the sessions, and who loses it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from enclaved.clock import system_random
from enclaved.enclave.answers import CachedAnswer
from enclaved.enclave.sessions import Pending, Session, SessionBounds, SessionTable, SessionTableFullError
from enclaved.wire.session import SessionKeys
from hypothesis import given
from hypothesis import strategies as st

LISTED = bytes([1]) * 32
ALSO_LISTED = bytes([2]) * 32
UNLISTED = bytes([3]) * 32


def table(**bounds: int) -> SessionTable:
    """Return a table with small bounds."""
    small = {"sessions": 8, "per_key": 4, "evicted": 100}
    return SessionTable(SessionBounds(**{**small, **bounds}), listed_callers=frozenset({LISTED, ALSO_LISTED}))


def keys(caller: bytes | None = None, *, session_id: bytes | None = None) -> SessionKeys:
    """Return a session's secrets."""
    return SessionKeys(
        session_id=session_id or system_random(16), request_key=bytes(32), result_secret=bytes(32), caller=caller
    )


def opened(sessions: SessionTable, count: int, caller: bytes | None = None) -> list[Session]:
    """Open sessions of one caller."""
    return [sessions.open(keys(caller)) for _ in range(count)]


def is_open(sessions: SessionTable, session: Session) -> bool:
    """Tell whether a session is still there."""
    return sessions.get(session.keys.session_id) is session


def test_a_session_is_found_by_its_id() -> None:
    """Strangers' and listed callers' alike."""
    sessions = table()
    for caller in (None, UNLISTED, LISTED):
        (session,) = opened(sessions, 1, caller)
        assert is_open(sessions, session)

    assert sessions.get(bytes(16)) is None


def test_strangers_get_half_of_the_table() -> None:
    """The fifth of four stranger's places drops the oldest stranger."""
    sessions = table()
    first, *others = opened(sessions, 5)

    assert not is_open(sessions, first)
    assert all(is_open(sessions, other) for other in others)


def test_a_proven_key_on_no_list_is_a_strangers() -> None:
    """Anybody can make a key; being listed is what counts."""
    sessions = table()
    first, *_ = opened(sessions, 5, UNLISTED)

    assert not first.listed
    assert not is_open(sessions, first)


def test_strangers_never_drop_a_listed_session() -> None:
    """However many come."""
    sessions = table()
    kept = opened(sessions, 4, LISTED)
    opened(sessions, 40)

    assert all(is_open(sessions, session) for session in kept)


def test_listed_callers_drop_strangers_first() -> None:
    """Half is what strangers get at most, not at least."""
    sessions = table()
    strangers = opened(sessions, 4)
    kept = [*opened(sessions, 4, LISTED), *opened(sessions, 2, ALSO_LISTED)]

    assert all(is_open(sessions, session) for session in kept)
    assert [is_open(sessions, session) for session in strangers] == [False, False, True, True]


def test_a_listed_caller_drops_anothers_when_there_is_no_stranger() -> None:
    """The one unused longest."""
    sessions = table(per_key=8)
    first, *_ = opened(sessions, 8, LISTED)
    (new,) = opened(sessions, 1, ALSO_LISTED)

    assert not is_open(sessions, first)
    assert is_open(sessions, new)


def test_one_key_has_a_quota() -> None:
    """A listed caller that floods drops its own."""
    sessions = table(sessions=100)
    (other,) = opened(sessions, 1, ALSO_LISTED)
    first, *_ = opened(sessions, 5, LISTED)

    assert not is_open(sessions, first)
    assert is_open(sessions, other)


def test_a_quota_drops_the_keys_own_session_unused_longest() -> None:
    """Use counts, not age."""
    sessions = table()
    first, second, *_ = opened(sessions, 4, LISTED)
    sessions.used(first)
    opened(sessions, 1, LISTED)

    assert is_open(sessions, first)
    assert not is_open(sessions, second)


def test_a_session_with_something_under_way_is_not_idle() -> None:
    """Its invocation would run, and nobody could get the answer."""
    sessions = table()
    first, second, *_ = opened(sessions, 4)
    first.pending[0] = Pending(request_digest=bytes(32))
    opened(sessions, 1)

    assert is_open(sessions, first)
    assert not is_open(sessions, second)


def test_where_nothing_is_idle_nothing_opens() -> None:
    """The new session waits for the next epoch; what runs is not disturbed."""
    sessions = table()
    for session in opened(sessions, 4):
        session.pending[0] = Pending(request_digest=bytes(32))

    with pytest.raises(SessionTableFullError):
        opened(sessions, 1)


def test_an_evicted_id_is_remembered() -> None:
    """An offer opens once; its session is gone, its id is not."""
    sessions = table()
    first, *others = opened(sessions, 5)

    assert sessions.was_evicted(first.keys.session_id)
    assert not any(sessions.was_evicted(other.keys.session_id) for other in others)


def test_strangers_use_up_half_of_the_memory_of_evictions() -> None:
    """So listed callers can still be moved about under the same bundle."""
    sessions = table(evicted=4, per_key=8)
    opened(sessions, 4 + 2)
    with pytest.raises(SessionTableFullError):
        opened(sessions, 1)

    opened(sessions, 6, LISTED)
    with pytest.raises(SessionTableFullError):
        opened(sessions, 1, LISTED)


def test_there_is_room_until_neither_a_place_nor_a_memory_is_left() -> None:
    """Asked before public-key work: it may only say no when nobody could get a session."""
    sessions = table(sessions=4, evicted=2, per_key=4)
    opened(sessions, 2)
    opened(sessions, 2, LISTED)
    assert sessions.has_room()
    opened(sessions, 2, LISTED)

    assert not sessions.has_room()


def test_there_is_room_for_listed_callers_when_strangers_have_filled_theirs() -> None:
    """Who knocks is not known before the offer is opened."""
    sessions = table(evicted=0)
    opened(sessions, 4)

    assert sessions.has_room()
    opened(sessions, 4, LISTED)
    assert not sessions.has_room()


def test_an_evicted_sessions_answers_give_their_memory_back() -> None:
    """The pool is shared: what a dropped session held is others' to use."""
    sessions = table(answer_bytes=4000, session_answer_bytes=4000)
    first, *_ = opened(sessions, 4)
    first.answers.put(0, answer(1000))
    (new,) = opened(sessions, 1)
    new.answers.put(0, answer(1400))

    assert new.answers.get(0) is not None


def test_strangers_answers_do_not_take_the_listed_callers_memory() -> None:
    """Each half has a pool of its own."""
    sessions = table(answer_bytes=4000, session_answer_bytes=4000)
    (stranger,) = opened(sessions, 1)
    (listed,) = opened(sessions, 1, LISTED)
    stranger.answers.put(0, answer(1400))
    listed.answers.put(0, answer(1400))

    assert stranger.answers.get(0) is not None
    assert listed.answers.get(0) is not None


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([None, UNLISTED, LISTED, ALSO_LISTED]),
            st.sampled_from(["open", "use", "start", "finish"]),
            st.integers(min_value=0, max_value=30),
        ),
        max_size=120,
    )
)
def test_the_table_keeps_its_bounds_and_its_memory(
    steps: list[tuple[bytes | None, str, int]],
) -> None:
    """Whatever comes: bounds hold, what runs stays, and an id that was ever open is open or remembered."""
    bounds = SessionBounds(sessions=8, per_key=3, evicted=12)
    sessions = SessionTable(bounds, listed_callers=frozenset({LISTED, ALSO_LISTED}))
    ever: list[Session] = []
    for caller, step, which in steps:
        there = [session for session in ever if is_open(sessions, session)]
        if step == "open":
            with suppress(SessionTableFullError):
                ever.append(sessions.open(keys(caller)))
        elif there:
            session = there[which % len(there)]
            _do(step, sessions, session)
        open_now = [session for session in ever if is_open(sessions, session)]
        assert len(sessions) == len(open_now) <= bounds.sessions
        assert sum(not session.listed for session in open_now) <= bounds.sessions // 2
        for key in (LISTED, ALSO_LISTED):
            assert sum(session.keys.caller == key for session in open_now) <= bounds.per_key
        for session in ever:
            assert is_open(sessions, session) != sessions.was_evicted(session.keys.session_id)
            assert is_open(sessions, session) or not session.pending
        assert sum(not is_open(sessions, session) for session in ever) <= bounds.evicted


def _do(step: str, sessions: SessionTable, session: Session) -> None:
    match step:
        case "use":
            sessions.used(session)
        case "start":
            session.pending[0] = Pending(request_digest=bytes(32))
        case _:
            session.pending.clear()


def answer(size: int) -> CachedAnswer:
    """Return a sealed answer of a size."""
    return CachedAnswer(request_digest=bytes(32), reply=bytes(size), outputs=(), refused=False)
