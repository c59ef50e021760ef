"""The window tells new from seen, as a plain set would that never forgot."""

from __future__ import annotations

from enclaved.enclave.window import WINDOW_WIDTH, Place, ReplayWindow
from enclaved.wire.limits import MAX_SEQUENCE
from hypothesis import given
from hypothesis import strategies as st

_near = st.integers(0, 2 * WINDOW_WIDTH + 10)
_far = st.integers(0, MAX_SEQUENCE)


@given(sequences=st.lists(st.one_of(st.integers(0, 20), _near, _far), max_size=60))
def test_it_agrees_with_a_set(sequences: list[int]) -> None:
    """Nothing is new twice, nothing inside the window is lost, nothing outside it is taken."""
    window = ReplayWindow()
    accepted: set[int] = set()
    for sequence in sequences:
        place = window.place(sequence)
        assert place is _expected(accepted, sequence)
        if place is Place.NEW:
            window.accept(sequence)
            accepted.add(sequence)
            assert window.place(sequence) is Place.SEEN
    for sequence in accepted:
        assert window.place(sequence) is _expected(accepted, sequence)


def test_asking_changes_nothing() -> None:
    """Only what is authentic is accepted; asking comes before that is known."""
    window = ReplayWindow()
    window.place(MAX_SEQUENCE)

    assert window.place(0) is Place.NEW


def test_the_windows_edge() -> None:
    """The last that is told apart, and the first that is not."""
    window = ReplayWindow()
    window.accept(WINDOW_WIDTH)

    assert window.place(1) is Place.NEW
    assert window.place(0) is Place.OUTSIDE


def test_a_jump_by_the_whole_width_forgets_all_before() -> None:
    """Forgotten is outside, never new."""
    window = ReplayWindow()
    window.accept(0)
    window.accept(WINDOW_WIDTH)

    assert window.place(0) is Place.OUTSIDE
    assert window.place(WINDOW_WIDTH) is Place.SEEN


def test_it_takes_constant_memory() -> None:
    """A session costs the same after any number of messages."""
    window = ReplayWindow()
    for sequence in (*range(0, 5 * WINDOW_WIDTH, 7), MAX_SEQUENCE - WINDOW_WIDTH + 1, MAX_SEQUENCE):
        window.accept(sequence)
        assert window._bits.bit_length() <= WINDOW_WIDTH


def _expected(accepted: set[int], sequence: int) -> Place:
    if sequence in accepted and sequence > max(accepted) - WINDOW_WIDTH:
        return Place.SEEN
    return Place.OUTSIDE if accepted and sequence <= max(accepted) - WINDOW_WIDTH else Place.NEW
