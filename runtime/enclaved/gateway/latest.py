"""A value that is replaced now and then, and tasks that want the newest one.

A queue would have to be bounded and could fill up; here a slow reader simply
misses what was replaced before it looked.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import anyio

__all__ = ["Latest"]

_T = TypeVar("_T")


class Latest(Generic[_T]):
    """The newest value, numbered from 1; number 0 means that there is none yet."""

    def __init__(self) -> None:
        self._number = 0
        self._value: _T | None = None
        self._changed = anyio.Event()

    @property
    def number(self) -> int:
        """The newest value's number."""
        return self._number

    def put(self, value: _T) -> None:
        """Replace the value and wake whoever waits for it."""
        self._number += 1
        self._value = value
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def after(self, number: int) -> tuple[int, _T]:
        """Wait for a value newer than that number.

        Returns:
            Its number and the value.
        """
        while self._value is None or self._number <= number:
            await self._changed.wait()
        return self._number, self._value
