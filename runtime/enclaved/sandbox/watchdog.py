"""A watchdog: interrupts what runs in this process for longer than it may.

A thread sleeps until the deadline that was set last. While nothing runs it waits
without waking, and a deadline that is met costs no change of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from enclaved.clock import Clock, SystemClock

__all__ = ["Watchdog"]

_AGAIN_S: Final = 0.001  # after an interrupt, until what it is for has ended
_STACK_BYTES: Final = 256 * 1024


class Watchdog:
    """Interrupts what runs too long.

    Args:
        interrupt: ends what runs, from another thread.
        seconds: how long something may run.
        clock: measures that.
    """

    def __init__(self, interrupt: Callable[[], None], *, seconds: float, clock: Clock | None = None) -> None:
        self._interrupt = interrupt
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._wanted = threading.Semaphore(0)
        self._due: float | None = None
        self._is_asleep = False
        threading.stack_size(_STACK_BYTES)
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Interrupt what runs inside, once its time is up; nothing that runs later."""
        with self._lock:
            self._due = self._clock.monotonic() + self._seconds
            if self._is_asleep:
                self._is_asleep = False
                self._wanted.release()
        try:
            yield
        finally:
            with self._lock:
                self._due = None

    def _watch(self) -> None:
        while True:
            with self._lock:
                due = self._due
                self._is_asleep = due is None
                left = 0.0 if due is None else due - self._clock.monotonic()
                if due is not None and left <= 0:
                    self._interrupt()  # under the lock, or it might hit what runs next
            if due is None:
                self._wanted.acquire()
            else:
                self._pause(max(left, _AGAIN_S))

    def _pause(self, seconds: float) -> None:
        threading.Event().wait(seconds)
