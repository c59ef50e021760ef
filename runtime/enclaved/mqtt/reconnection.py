"""Keeping a connection up: try, live, wait a little, try again, for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from enclaved.clock import RandomBytes
from enclaved.errors import TransportError
from enclaved.mqtt.link import Link
from enclaved.mqtt.transport import ConnectionEvent, ConnectionState, FirstConnection, Observer, Role

__all__ = ["Backoff", "Reconnection", "run_beside"]

_SHORTEST_S = 0.05
_LONGEST_S = 5.0
_STABLE_S = 5.0  # a connection that lasted this long was a good one


class Backoff:
    """Pauses between attempts: doubling, and drawn at random, so that a crowd does not return at once.

    A connection that did not last does not begin the series anew: a broker that accepts and
    then throws out (a client id taken over, for one) would be tried without pause.
    """

    def __init__(self, random: RandomBytes) -> None:
        self._random = random
        self._ceiling = _SHORTEST_S

    def next_pause(self, *, lasted_s: float) -> float:
        """Return the seconds to wait after a connection that lasted that long; 0 if there was none."""
        if lasted_s >= _STABLE_S:
            self._ceiling = _SHORTEST_S
        self._ceiling = min(_LONGEST_S, self._ceiling * 2)
        share = int.from_bytes(self._random(4), "big") / 0xFFFFFFFF
        return _SHORTEST_S + share * (self._ceiling - _SHORTEST_S)


class Reconnection:
    """One connection that is kept up, and tells an observer what happens to it."""

    def __init__(
        self, *, role: Role, client_id: str, first: FirstConnection, observer: Observer, random: RandomBytes
    ) -> None:
        self._role = role
        self._client_id = client_id
        self._first = first
        self._observer = observer
        self._backoff = Backoff(random)
        self._connected_at: float | None = None
        self._ever = False

    async def run(
        self, live: Callable[[], Awaitable[TransportError]], *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Call `live` again and again; each call is one connection, from its attempt to its loss.

        Args:
            live: connects, calls `connected`, and returns how the connection was lost; raises
                `TransportError` where it could not be made.
            task_status: started after the first connection, or at once where it may wait.

        Raises:
            TransportError: the first connection had to succeed and did not.
        """
        self._started = task_status
        if self._first is FirstConnection.KEEP_TRYING:
            task_status.started()
        while True:
            self._connected_at = None
            try:
                error = await live()
            except TransportError as failure:
                if self._first is FirstConnection.MUST_SUCCEED and not self._ever:
                    self._tell(ConnectionState.FAILED, failure)
                    raise
                error = failure
            lasted = self._lasted_s()
            self._tell(ConnectionState.FAILED if lasted is None else ConnectionState.LOST, error)
            await anyio.sleep(self._backoff.next_pause(lasted_s=lasted or 0.0))

    def connected(self, link: Link) -> None:
        """Note that a connection stands and can be used."""
        self._connected_at = anyio.current_time()
        self._observer(
            ConnectionEvent(
                role=self._role,
                client_id=self._client_id,
                state=ConnectionState.CONNECTED,
                session_present=link.session_present,
            )
        )
        if not self._ever and self._first is FirstConnection.MUST_SUCCEED:
            self._started.started()
        self._ever = True

    def _lasted_s(self) -> float | None:
        """Return how long the last attempt's connection stood, or None where it never did."""
        return None if self._connected_at is None else anyio.current_time() - self._connected_at

    def _tell(self, state: ConnectionState, error: TransportError) -> None:
        self._observer(
            ConnectionEvent(
                role=self._role,
                client_id=self._client_id,
                state=state,
                reason=str(error),
                reason_code=error.reason_code,
            )
        )


@asynccontextmanager
async def run_beside(run: Callable[..., Coroutine[Any, Any, None]], *, name: str) -> AsyncIterator[None]:
    """Run a task beside the body, from its `task_status.started()` to the body's end.

    What the body raises leaves as it is, without an ExceptionGroup round it: the task is
    ours, and its caller does not know of it. So does what the task raises before it started.
    """
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await tasks.start(run, name=name)
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            raised = error
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised
