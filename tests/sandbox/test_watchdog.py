"""A watchdog interrupts what takes too long, and nothing else."""

from __future__ import annotations

import threading

from enclaved.sandbox.watchdog import Watchdog

_PATIENCE_S = 10


def test_what_takes_too_long_is_interrupted() -> None:
    """Again and again, until it ends."""
    interrupts = threading.Semaphore(0)
    watchdog = Watchdog(interrupts.release, seconds=0.01)

    with watchdog.watching():
        assert all(interrupts.acquire(timeout=_PATIENCE_S) for _ in range(3))


def test_each_watch_has_its_own_time() -> None:
    """Many short ones in a row are not one long one; after a rest it watches as before."""
    interrupts: list[None] = []
    watchdog = Watchdog(lambda: interrupts.append(None), seconds=60)

    for _ in range(1000):
        with watchdog.watching():
            pass

    assert interrupts == []


def test_nothing_is_interrupted_that_comes_later() -> None:
    """Once a watch has ended, no interrupt of it is under way."""
    interrupts = threading.Semaphore(0)
    watchdog = Watchdog(interrupts.release, seconds=0.001)
    for _ in range(20):
        with watchdog.watching():
            interrupts.acquire(timeout=_PATIENCE_S)
        while interrupts.acquire(blocking=False):
            pass

        assert not interrupts.acquire(timeout=0.005)
