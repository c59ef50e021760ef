"""The gateway's end of the link: requests survive the connection on which they were sent.

The enclave may die and come back at any moment, and so may this link. A request
that was under way is then sent again: execution is at least once, and an enclave
that lives recognises the repeat. Nobody above needs to know.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import NoReturn, TypeVar

import anyio

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import LinkError
from enclaved.gateway.announcement import check_announce, check_same_runtime
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.events import GatewayObserver, LinkChanged, ignore
from enclaved.gateway.exchange import Exchange, Request
from enclaved.gateway.latest import Latest
from enclaved.gateway.pauses import RECONNECT, Pacing, Pauses
from enclaved.gateway.stream import LinkStream
from enclaved.wire.frames import Announce, Answer, Attest, Attested, Invoke

__all__ = ["Dial", "Link", "LinkDeadlines"]

_log = logging.getLogger(__name__)
_Reply = TypeVar("_Reply", Answer, Attested)

Dial = Callable[[], Awaitable[LinkStream]]
"""Makes one connection to the enclave, or raises `LinkError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDeadlines:
    """How long the link waits, in seconds.

    Attributes:
        handshake_s: for a connection, and again for its first announcement; devices can be slow.
        answer_s: for an answer. The enclave sets functions their own deadlines, so this
            one only ends what hangs.
        pacing: between attempts to connect.
    """

    handshake_s: float = 30.0
    answer_s: float = 900.0
    pacing: Pacing = RECONNECT


class Link:
    """The link to one enclave, over any number of connections.

    Args:
        dial: makes one connection.
        counters: where losses are counted.
        deadlines: how long to wait for what.
        observer: told of connections made and lost.
        random: for jitter.

    Attributes:
        announced: the enclave's latest announcement.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        counters: Counters,
        deadlines: LinkDeadlines | None = None,
        observer: GatewayObserver = ignore,
        random: RandomBytes = system_random,
    ) -> None:
        self._dial = dial
        self._counters = counters
        self._deadlines = deadlines or LinkDeadlines()
        self._observer = observer
        self._random = random
        self._numbers = count(1)
        self._first: Announce | None = None
        self._exchange: Latest[Exchange] = Latest()
        self.announced: Latest[Announce] = Latest()

    async def run(self) -> NoReturn:
        """Keep a connection to the enclave up, for ever.

        Raises:
            ConfigurationError: an enclave of another name answers.
        """
        pauses = Pauses(self._deadlines.pacing, random=self._random)
        while True:
            before, began = self._exchange.number, anyio.current_time()
            try:
                await self._connection()
            except LinkError as error:
                self._report_loss(str(error), was_ready=self._exchange.number != before)
            if anyio.current_time() - began > self._deadlines.pacing.longest_s:
                pauses.reset()  # not before: an enclave that breaks each link at once must not keep us busy
            await pauses.pause()

    async def invoke(self, message: bytes) -> Answer:
        """Have the enclave deal with an invocation, over as many connections as it takes.

        Args:
            message: the invocation message, at most `MAX_INVOCATION`.
        """
        return await self._request(Invoke(id=next(self._numbers), message=message), Answer)

    async def attest(self, nonce: bytes) -> bytes | None:
        """Ask for evidence over a nonce, over as many connections as it takes.

        Returns:
            The attestation, or None where the device is overrun.
        """
        attested = await self._request(Attest(id=next(self._numbers), nonce=nonce), Attested)
        return attested.attestation

    async def _connection(self) -> NoReturn:
        try:
            with anyio.fail_after(self._deadlines.handshake_s):
                stream = await self._dial()
        except TimeoutError as error:
            raise LinkError("no connection in time") from error
        exchange = Exchange(stream, on_announce=self._take_announce, answer_s=self._deadlines.answer_s)

        def ready() -> None:
            self._counters.add(Counter.LINK_CONNECTED)
            self._observer(LinkChanged(state="connected"))
            self._exchange.put(exchange)

        await exchange.run(handshake_s=self._deadlines.handshake_s, ready=ready)

    async def _request(self, request: Request, wanted: type[_Reply]) -> _Reply:
        lost = 0
        while True:
            lost, exchange = await self._exchange.after(lost)
            if exchange.ended:
                continue  # between two connections: the latest is a lost one
            try:
                return await exchange.request(request, wanted)
            except LinkError:
                _log.debug("request waits for the next link: id=%d", request.id)
            self._counters.add(Counter.RESENT)

    def _take_announce(self, announce: Announce) -> None:
        check_announce(announce)
        self._first = self._first or announce
        check_same_runtime(announce, self._first)
        self.announced.put(announce)

    def _report_loss(self, reason: str, *, was_ready: bool) -> None:
        if was_ready:
            self._counters.add(Counter.LINK_LOST)
            _log.warning("link lost: reason=%a", reason)
        else:
            _log.info("link not made: reason=%a", reason)
        self._observer(LinkChanged(state="lost" if was_ready else "failed", reason=reason))
