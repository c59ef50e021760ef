"""The gateway itself: which tasks run, in which order they start, and how they leave.

```
link ──announce──▶ announcer ──▶ one publishing connection ◀── replies, outputs ──┐
     ──announce──▶ lanes: one consuming connection per function ──▶ handlers ─────┤
     ◀─────────── invoke · attest ── challenges: one consuming connection ────────┘
```

Every task has a parent here. On an orderly stop the lanes take nothing new, finish
what is under way and acknowledge it; then the attestation is taken back.
"""

from __future__ import annotations

import logging

import anyio
from anyio.abc import TaskGroup

from enclaved.clock import Clock, RandomBytes, SystemClock, system_random
from enclaved.errors import Error, TransportError
from enclaved.gateway.announcer import Announcer
from enclaved.gateway.challenges import Challenges
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.events import BrokerChanged, GatewayObserver, Serving, Stopped, ignore
from enclaved.gateway.handler import Handler
from enclaved.gateway.lane import Connections, LaneRunner
from enclaved.gateway.lanes import Lanes
from enclaved.gateway.link import Dial, Link
from enclaved.gateway.options import GatewayOptions
from enclaved.gateway.outbox import Outbox
from enclaved.gateway.station import Station
from enclaved.mqtt.transport import ConnectionEvent, ConnectionState, Transport
from enclaved.wire.frames import Announce, Lane

__all__ = ["Gateway"]

_log = logging.getLogger(__name__)

_LEAVING_S = 1.0  # of an orderly stop, for what comes after the lanes
_GRACE_S = 5.0  # for a lane that ends because another announcement changes it


class Gateway:
    """One gateway, for one enclave and one broker.

    Args:
        options: what it was started with.
        transport: how it speaks to the broker.
        dial: makes one connection to the enclave.
        observer: told of its events.
        clock: for expiries.
        random: for jitter.

    Attributes:
        counters: what it has counted.
    """

    def __init__(
        self,
        options: GatewayOptions,
        *,
        transport: Transport,
        dial: Dial,
        observer: GatewayObserver = ignore,
        clock: Clock | None = None,
        random: RandomBytes = system_random,
    ) -> None:
        self._options = options
        self._observer = observer
        self._random = random
        self.counters = Counters()
        self._link = Link(dial, counters=self.counters, deadlines=options.deadlines, observer=observer, random=random)
        self._announcer = Announcer(clock=clock or SystemClock(), counters=self.counters, random=random)
        self._connections = Connections(
            transport=transport, describe=options.connection, observer=self._observe_connection
        )

    async def run(self, stop: anyio.Event) -> None:
        """Serve until told to stop, then leave in good order.

        Args:
            stop: set by whoever wants it to stop.

        Raises:
            ConfigurationError: the options do not fit, or the link belongs to another enclave now.
            TransportError: it ended without being told to.
        """
        failure: Error | None = None
        finished = True
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._link.run, name="link")
                announce = await self._first_announcement(stop)
                if announce is not None:
                    finished = await self._serve(announce, stop)
                group.cancel_scope.cancel()
        except* Error as errors:
            failure = _first(errors)
        if failure is not None:
            raise failure
        if not stop.is_set():
            # Whatever ended it, it was not asked for: a supervisor must see a failure and start it again.
            raise TransportError("a connection ended that should have lasted")
        self._observer(Stopped(finished=finished, counters=self.counters.snapshot()))

    async def _first_announcement(self, stop: anyio.Event) -> Announce | None:
        """Wait for the enclave; None when told to stop before."""
        announce: Announce | None = None
        async with anyio.create_task_group() as racing:
            racing.start_soon(_cancel_at, stop, racing.cancel_scope, name="stop")
            _, announce = await self._link.announced.after(0)
            racing.cancel_scope.cancel()
        return announce

    async def _serve(self, announce: Announce, stop: anyio.Event) -> bool:
        """Serve; returns whether all that was under way at the end was finished."""
        finished = False
        opened = self._connections.transport.publish(
            self._options.connection(f"{announce.runtime_id}/publisher"), observer=self._observe_publisher
        )
        with anyio.CancelScope() as whole:
            async with opened as publisher, anyio.create_task_group() as lane_tasks:
                outbox = Outbox(publisher, random=self._random)
                lanes = self._lanes(announce, outbox, lane_tasks)
                await self._serve_until(stop, announce, outbox=outbox, lanes=lanes, whole=whole)
                finished = await lanes.stop(within_s=self._options.stop_s - _LEAVING_S)
                with anyio.move_on_after(_LEAVING_S / 2):
                    await self._announcer.take_back(outbox)
        return finished

    async def _serve_until(
        self, stop: anyio.Event, announce: Announce, *, outbox: Outbox, lanes: Lanes, whole: anyio.CancelScope
    ) -> None:
        """Serve until told to stop; from then on, the whole has a deadline."""
        challenges = Challenges(self._link, outbox=outbox, counters=self.counters)
        namespace, runtime_id = announce.namespace, announce.runtime_id
        async with anyio.create_task_group() as group:
            group.start_soon(self._announcer.run, outbox, self._link.announced, name="announcer")
            group.start_soon(challenges.run, namespace, runtime_id, self._connections, name="challenges")
            group.start_soon(lanes.follow, self._link.announced, name="lanes")
            group.start_soon(self._report_serving, announce, challenges, lanes, name="report")
            await stop.wait()
            _log.info("stopping")
            whole.deadline = anyio.current_time() + self._options.stop_s
            group.cancel_scope.cancel()

    async def _report_serving(self, announce: Announce, challenges: Challenges, lanes: Lanes) -> None:
        """Tell once that callers can come, and again when other functions are served."""
        await self._announcer.published.wait()
        await challenges.subscribed.wait()
        number, told = 0, None
        while True:
            number, runners = await lanes.running.after(number)
            for runner in runners:
                await runner.settled.wait()
            functions = tuple(runner.lane.function for runner in runners)
            if functions != told and all(runner.subscribed for runner in runners):
                told = functions
                _log.info("serving: runtime_id=%s functions=%d", announce.runtime_id, len(functions))
                self._observer(
                    Serving(namespace=announce.namespace, runtime_id=announce.runtime_id, functions=functions)
                )

    def _lanes(self, announce: Announce, outbox: Outbox, group: TaskGroup) -> Lanes:
        def make(lane: Lane) -> LaneRunner:
            station = Station(namespace=announce.namespace, runtime_id=announce.runtime_id, function=lane.function)
            handler = Handler(station, enclave=self._link, outbox=outbox, counters=self.counters, random=self._random)
            return LaneRunner(lane, station=station, handler=handler, connections=self._connections)

        return Lanes(group, make=make, grace_s=_GRACE_S)

    def _observe_publisher(self, event: ConnectionEvent) -> None:
        self._announcer.observe(event)
        self._observe_connection(event)

    def _observe_connection(self, event: ConnectionEvent) -> None:
        if event.state is ConnectionState.LOST:
            self.counters.add(Counter.BROKER_LOST)
        if event.state is not ConnectionState.CONNECTED:
            _log.warning("broker %s: client_id=%a reason=%a", event.state.value, event.client_id, event.reason)
        self._observer(
            BrokerChanged(
                client_id=event.client_id,
                state=event.state.value,
                reason=event.reason,
                reason_code=event.reason_code,
            )
        )


async def _cancel_at(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


def _first(group: BaseExceptionGroup[Error]) -> Error:
    """Return the first error of a group; the tasks that it cancelled have none of their own."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Error) else Error(type(error).__name__)
