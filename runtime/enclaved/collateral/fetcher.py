"""Getting things from services: from the cache where that will do, else over the network.

1. What is kept, in force and fresh is served.
2. Else the service is asked, once for all who want it at that time, again after
   failures that pass, and what it says is read before it is believed or kept.
3. Where it cannot be asked, what is kept and still in force is served: a vendor
   states how long that may be.
4. Nothing past its own end is ever served.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import anyio.to_thread

from enclaved.clock import Clock, RandomBytes, SystemClock, system_random, unix_ms
from enclaved.collateral.cache import Cache, Entry
from enclaved.collateral.error import CollateralError
from enclaved.collateral.flights import Flights
from enclaved.collateral.https import Client
from enclaved.collateral.resource import Files, Resource
from enclaved.collateral.response import Response
from enclaved.collateral.retries import Retries

__all__ = ["Fetcher"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fetcher:
    """Gets things from services, and keeps them.

    Args:
        client: asks services; None to work offline, from the cache alone.
        cache: what is kept; None to keep nothing.
        retries: how often to ask.
        clock: tells the time.
        random: makes the jitter of waits.
    """

    def __init__(
        self,
        client: Client | None,
        *,
        cache: Cache | None,
        retries: Retries | None = None,
        clock: Clock | None = None,
        random: RandomBytes = system_random,
    ) -> None:
        self._client = client
        self._cache = cache
        self._retries = retries or Retries()
        self._clock = clock or SystemClock()
        self._random = random
        self._flights: Flights[Files] = Flights()

    async def get(self, resource: Resource) -> Files:
        """Return the files of a thing.

        Args:
            resource: the thing.

        Returns:
            Files by their names in an evidence folder, in force at present.

        Raises:
            CollateralError: it cannot be had.
        """
        # 1. What is kept.
        kept = await self._kept(resource)
        if kept is not None and self._is_fresh(kept, resource):
            return kept.files
        # 2. What the service says.
        try:
            return await self._flights.share(resource.url, partial(self._fetch, resource))
        except CollateralError:
            # 3. and 4. What is kept was found in force above; that was moments ago, so look again.
            if kept is None or not resource.in_force(kept.files, at=self._clock.now()):
                raise
            return kept.files

    async def _kept(self, resource: Resource) -> Entry | None:
        if self._cache is None:
            return None
        entry = await anyio.to_thread.run_sync(self._cache.get, resource.url)
        return entry if entry is not None and resource.in_force(entry.files, at=self._clock.now()) else None

    def _is_fresh(self, entry: Entry, resource: Resource) -> bool:
        age = self._clock.now() - _EPOCH - timedelta(milliseconds=entry.fetched_at)
        return timedelta(0) <= age <= resource.fresh_for  # fetched in the future: the clock was set back, so ask

    async def _fetch(self, resource: Resource) -> Files:
        if self._client is None:
            raise CollateralError(
                resource.url,
                f"no {resource.title} in force is kept, and services are not asked",
                remedy="Fetch it once while online, or put its files into the evidence folder.",
            )
        response = await self._answer(self._client, resource)
        now = self._clock.now()
        files = resource.read(response, at=now)
        if self._cache is not None:
            entry = Entry(url=resource.url, fetched_at=unix_ms(now), files=dict(files))
            await anyio.to_thread.run_sync(self._cache.put, entry)
        return files

    async def _answer(self, client: Client, resource: Resource) -> Response:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await client.get(resource.url, most=resource.most)
            except CollateralError as error:
                wait_s = self._retries.wait_after(attempt, error, random=self._random)
                if wait_s is None:
                    raise error.after(attempt) from error
            await anyio.sleep(wait_s)
