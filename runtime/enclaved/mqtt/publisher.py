"""A publisher that outlives its connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from enclaved.clock import RandomBytes
from enclaved.errors import ConfigurationError, ProtocolError, TransportError
from enclaved.mqtt.link import Dial, Link, LinkLostError, Opening, Received
from enclaved.mqtt.message_rules import check_message
from enclaved.mqtt.reconnection import Reconnection, run_beside
from enclaved.mqtt.transport import FirstConnection, Message, Observer, Publisher, Role

__all__ = ["publish_by"]

_FIRST_ERROR = 0x80  # reason codes from here on are failures (section 2.4)


@asynccontextmanager
async def publish_by(
    dial: Dial,
    *,
    client_id: str,
    window: int,
    first: FirstConnection,
    observer: Observer,
    random: RandomBytes,
) -> AsyncIterator[Publisher]:
    """Keep a publishing connection up, as `Transport.publish` promises.

    Raises:
        ConfigurationError: the window is empty.
        TransportError: the first connection had to succeed and did not.
    """
    if window < 1:
        raise ConfigurationError("window", "is empty", remedy="Give at least 1")
    reconnection = Reconnection(role=Role.PUBLISHER, client_id=client_id, first=first, observer=observer, random=random)
    publisher = _Publisher(dial, window=window, reconnection=reconnection)
    async with run_beside(publisher.run, name=f"mqtt publisher {client_id}"):
        yield publisher


class _Publisher:
    def __init__(self, dial: Dial, *, window: int, reconnection: Reconnection) -> None:
        self._dial = dial
        self._window = window
        self._reconnection = reconnection
        self._flight: _Flight | None = None
        self._changed = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep the connection up."""
        await self._reconnection.run(self._live, task_status=task_status)

    async def publish(self, message: Message) -> None:
        """Publish, and return once the broker has acknowledged success."""
        check_message(message)
        code: int | None = None
        while code is None:
            flight = await self._present_flight()
            code = await flight.publish(message)
        if code >= _FIRST_ERROR:
            raise TransportError(f"the broker refused the message with reason code {code:#04x}", reason_code=code)

    async def _present_flight(self) -> _Flight:
        while self._flight is None or self._flight.closed:
            await self._changed.wait()
        return self._flight

    async def _live(self) -> TransportError:
        """Live one connection and return how it was lost."""
        opening = Opening(clean_start=True, session_expiry_s=0, receive_maximum=1, received=_ignore)
        async with self._dial(opening) as link:
            flight = self._flight = _Flight(link, min(self._window, link.receive_maximum))
            changed, self._changed = self._changed, anyio.Event()
            changed.set()
            try:
                self._reconnection.connected(link)
                return await link.lost()
            finally:
                flight.close()


class _Flight:
    """What is under way on one connection: never more than its window.

    A place is given back by the PUBACK alone. A cancelled publish keeps its place until
    then, because the broker still counts it (section 4.9).
    """

    def __init__(self, link: Link, window: int) -> None:
        self.closed = False
        self._link = link
        self._places = anyio.Semaphore(window, fast_acquire=True)
        self._pending: set[_Answer] = set()

    async def publish(self, message: Message) -> int | None:
        """Send once; return the reason code of the answer, or None where the connection was lost first."""
        await self._places.acquire()
        if self.closed:
            self._places.release()  # wakes the next in line, which sees the same
            return None
        answer = _Answer()

        def settled(code: int) -> None:
            self._pending.discard(answer)
            self._places.release()
            answer.settle(code)

        self._pending.add(answer)
        try:
            self._link.publish(message, settled)
        except LinkLostError:
            self.close()
            return None
        except (TransportError, ProtocolError):
            self._pending.discard(answer)
            self._places.release()
            raise
        return await answer.wait()

    def close(self) -> None:
        """The connection is lost: nobody will be answered any more."""
        if self.closed:
            return
        self.closed = True
        self._places.release()
        for answer in self._pending:
            answer.settle(None)
        self._pending.clear()


class _Answer:
    """A PUBACK that is awaited."""

    __slots__ = ("_arrived", "_code")

    def __init__(self) -> None:
        self._arrived = anyio.Event()
        self._code: int | None = None

    def settle(self, code: int | None) -> None:
        self._code = code
        self._arrived.set()

    async def wait(self) -> int | None:
        await self._arrived.wait()
        return self._code


def _ignore(received: Received) -> None:
    """Drop a message: a publisher subscribes to nothing."""
    received.acknowledge()
