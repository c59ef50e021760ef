"""All lanes: which run, which start and which end as the enclave announces its functions anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from enclaved.gateway.lane import LaneRunner
from enclaved.gateway.latest import Latest
from enclaved.wire.frames import Announce, Lane

__all__ = ["Lanes"]


class Lanes:
    """The lanes that run.

    Args:
        group: the parent of their tasks.
        make: makes the runner of an announced lane.
        grace_s: how long a lane that ends may finish what is under way.

    Attributes:
        running: the runners, in the order of their announcement.
    """

    def __init__(self, group: TaskGroup, *, make: Callable[[Lane], LaneRunner], grace_s: float) -> None:
        self._group = group
        self._make = make
        self._grace_s = grace_s
        self._runners: dict[str, LaneRunner] = {}
        self.running: Latest[tuple[LaneRunner, ...]] = Latest()

    async def follow(self, announced: Latest[Announce]) -> None:
        """Run the lanes that were announced last, for ever."""
        number = 0
        while True:
            number, announce = await announced.after(number)
            await self._apply(announce.lanes)

    async def stop(self, *, within_s: float) -> bool:
        """End all lanes.

        Args:
            within_s: how long they may finish what is under way.

        Returns:
            Whether all of it was finished.
        """
        return await self._end(list(self._runners.values()), within_s=within_s)

    async def _apply(self, lanes: tuple[Lane, ...]) -> None:
        wanted = {lane.function: lane for lane in lanes}
        # A lane that changes ends first: its client id is the same, and the broker would throw one out.
        await self._end(
            [runner for function, runner in self._runners.items() if wanted.get(function) != runner.lane],
            within_s=self._grace_s,
        )
        for function, lane in wanted.items():
            if function not in self._runners:
                runner = self._runners[function] = self._make(lane)
                self._group.start_soon(runner.run, name=f"lane {function}")
        running = tuple(self._runners[function] for function in wanted)
        self.running.put(running)

    async def _end(self, runners: Iterable[LaneRunner], *, within_s: float) -> bool:
        for runner in runners:
            runner.stop_taking()
        with anyio.move_on_after(within_s) as patience:
            for runner in runners:
                await runner.ended.wait()
        for runner in runners:
            runner.abandon()
            await runner.ended.wait()
            del self._runners[runner.lane.function]
        return not patience.cancelled_caught
