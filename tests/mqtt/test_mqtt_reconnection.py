"""Pauses between attempts."""

from __future__ import annotations

from enclaved.mqtt.reconnection import Backoff


def largest(size: int) -> bytes:
    """Draw the largest number."""
    return b"\xff" * size


def smallest(size: int) -> bytes:
    """Draw the smallest number."""
    return b"\0" * size


def test_pauses_double_up_to_five_seconds() -> None:
    """From a twentieth of a second."""
    backoff = Backoff(largest)
    pauses = [backoff.next_pause(lasted_s=0) for _ in range(9)]

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_no_pause_is_shorter_than_a_twentieth() -> None:
    """However the draw falls."""
    backoff = Backoff(smallest)

    assert {backoff.next_pause(lasted_s=0) for _ in range(9)} == {0.05}


def test_a_connection_that_lasted_begins_the_series_anew() -> None:
    """One that did not last does not: its broker throws us out."""
    backoff = Backoff(largest)
    for _ in range(6):
        backoff.next_pause(lasted_s=1)

    assert backoff.next_pause(lasted_s=1) == 5.0
    assert backoff.next_pause(lasted_s=6) == 0.1
