"""Sealed answers are kept for repeats, within bounds that nobody but their own session pays for."""

from __future__ import annotations

from enclaved.enclave.answers import AnswerBudget, AnswerCache, CachedAnswer
from enclaved.wire.frames import Output
from hypothesis import given
from hypothesis import strategies as st

OVERHEAD = 512


def answer(size: int, *, output: int = 0) -> CachedAnswer:
    """Return an answer that counts `size` bytes, and an output beside it."""
    outputs = (Output(topic="t", payload=bytes(output)),) if output else ()
    return CachedAnswer(request_digest=bytes(32), reply=bytes(size - OVERHEAD), outputs=outputs, refused=False)


def cache(*, limit: int = 3000, pool: AnswerBudget | None = None) -> AnswerCache:
    """Return an empty cache."""
    return AnswerCache(pool=pool or AnswerBudget(100_000), limit=limit)


def kept(answers: AnswerCache, upto: int = 50) -> list[int]:
    """Return the sequences whose answers are there."""
    return [sequence for sequence in range(upto) if answers.get(sequence) is not None]


def test_an_answer_is_kept_as_it_is() -> None:
    """A repeat gets the very same value."""
    answers, value = cache(), answer(600)
    answers.put(0, value)

    assert answers.get(0) is value
    assert answers.get(1) is None


def test_a_full_cache_drops_its_own_oldest() -> None:
    """Three of a thousand bytes fit; the fourth drops the first."""
    answers = cache()
    for sequence in range(4):
        answers.put(sequence, answer(1000))

    assert kept(answers) == [1, 2, 3]


def test_oldest_is_who_was_answered_first() -> None:
    """Not the lowest sequence: invocations may end in any order."""
    answers = cache()
    for sequence in (7, 3, 5, 9):
        answers.put(sequence, answer(1000))

    assert kept(answers) == [3, 5, 9]


def test_outputs_count() -> None:
    """An event's sealed outputs are kept as well, and take as much."""
    answers = cache()
    answers.put(0, answer(1000))
    answers.put(1, answer(1000, output=2000))

    assert kept(answers) == [1]


def test_an_answer_larger_than_the_share_is_not_kept() -> None:
    """Its repeat is told so; nothing is refused."""
    answers = cache()
    answers.put(0, answer(3001))

    assert kept(answers) == []


def test_what_the_caller_has_verified_is_dropped() -> None:
    """Below, not at."""
    answers = cache(limit=10_000)
    for sequence in range(4):
        answers.put(sequence, answer(1000))
    answers.drop_below(2)

    assert kept(answers) == [2, 3]


def test_a_full_pool_costs_another_session_nothing() -> None:
    """One that comes when the pool is full keeps nothing, and drops nobody else's."""
    pool = AnswerBudget(3000)
    first, second = cache(pool=pool), cache(pool=pool)
    for sequence in range(3):
        first.put(sequence, answer(1000))
    second.put(0, answer(1000))

    assert (kept(first), kept(second)) == ([0, 1, 2], [])


def test_a_full_pool_makes_a_session_drop_its_own() -> None:
    """It has a share already, and its newest answer is worth more than its oldest."""
    pool = AnswerBudget(3000)
    first, second = cache(pool=pool), cache(pool=pool)
    second.put(0, answer(1000))
    for sequence in range(2):
        first.put(sequence, answer(1000))
    second.put(1, answer(1000))

    assert (kept(first), kept(second)) == ([0, 1], [1])


def test_a_session_that_ends_gives_everything_back() -> None:
    """To the pool, for others."""
    pool = AnswerBudget(3000)
    first, second = cache(pool=pool), cache(pool=pool)
    for sequence in range(3):
        first.put(sequence, answer(1000))
    first.clear()
    second.put(0, answer(3000))

    assert (kept(first), kept(second)) == ([], [0])


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sampled_from(["put", "verified", "clear"]), st.integers(OVERHEAD, 2000)),
        max_size=60,
    )
)
def test_no_order_of_events_breaks_the_bounds(steps: list[tuple[bool, str, int]]) -> None:
    """What the pool counts is what its sessions hold, and never more than its limit."""
    pool = AnswerBudget(5000)
    caches = {True: cache(pool=pool), False: cache(pool=pool)}
    held: dict[bool, dict[int, int]] = {True: {}, False: {}}
    for number, (which, step, size) in enumerate(steps):
        match step:
            case "put":
                caches[which].put(number, answer(size))
                held[which][number] = size
            case "verified":
                caches[which].drop_below(number // 2)
            case _:
                caches[which].clear()
        sizes = {each: _held(caches[each], held[each]) for each in caches}
        assert sum(sizes.values()) == pool.used <= 5000
        assert max(sizes.values()) <= 3000


def _held(answers: AnswerCache, sizes: dict[int, int]) -> int:
    return sum(size for sequence, size in sizes.items() if answers.get(sequence) is not None)
