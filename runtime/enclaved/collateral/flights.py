"""Requests for the same thing, made one: whoever comes while it is under way waits for that answer.

Whoever came first does the work. If that one is cancelled, the next in line does it
instead: nobody fails because another gave up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from enclaved.collateral.error import CollateralError

__all__ = ["Flights"]

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.outcome: T | CollateralError | None = None


class Flights(Generic[T]):
    """What is under way, by key."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Flight[T]] = {}

    async def share(self, key: str, fly: Callable[[], Awaitable[T]]) -> T:
        """Return what `fly` returns, or what another's returned that was under way.

        Args:
            key: what is asked for.
            fly: does the work.

        Raises:
            CollateralError: the one attempt failed, and so for all who waited for it.
        """
        while (flight := self._under_way.get(key)) is not None:
            await flight.landed.wait()
            if isinstance(flight.outcome, CollateralError):
                raise flight.outcome
            if flight.outcome is not None:
                return flight.outcome
        flight = self._under_way[key] = _Flight()
        try:
            flight.outcome = outcome = await fly()
        except CollateralError as error:
            flight.outcome = error
            raise
        finally:
            del self._under_way[key]
            flight.landed.set()
        return outcome
