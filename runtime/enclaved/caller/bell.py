"""A bell: wakes whoever waits for something to have changed, or for a time."""

from __future__ import annotations

import anyio

__all__ = ["Bell"]


class Bell:
    """Rung after each change; who waits looks at the state before, and again after."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake all who wait now."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait(self, *, until: float) -> None:
        """Wait for the next ring, or until a time of the event loop's clock.

        Args:
            until: as `anyio.current_time` counts.
        """
        event = self._event
        with anyio.CancelScope(deadline=until):
            await event.wait()
