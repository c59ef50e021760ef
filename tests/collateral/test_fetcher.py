"""The fetcher: what is kept and for how long, who asks, how often, and what is never served."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from enclaved.collateral.cache import Cache
from enclaved.collateral.error import CollateralError
from enclaved.collateral.fetcher import Fetcher
from enclaved.collateral.resource import Files, Resource
from enclaved.collateral.response import Head, Response
from enclaved.collateral.retries import Retries
from enclaved.collateral.status import check_status
from simulation import NOON

HOUR = timedelta(hours=1)
BUSY = CollateralError("x", "busy", remedy="Wait.", passing=True)
UNKNOWN = CollateralError("x", "unknown", remedy="Check.")


@dataclass
class MovedClock:
    """A clock that a test moves."""

    at: datetime = NOON

    def now(self) -> datetime:
        """Return where it was moved to."""
        return self.at

    def monotonic(self) -> float:
        """Return zero."""
        return 0.0


@dataclass
class FakeService:
    """Answers with what it was given, in order; the last answer stays."""

    answers: list[bytes | CollateralError]
    asked: int = 0
    gate: anyio.Event | None = None
    entered: anyio.Event = field(default_factory=anyio.Event)

    async def get(self, url: str, *, most: int) -> Response:
        """Return or raise the next answer, once the gate is open."""
        self.asked += 1
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, CollateralError):
            raise given
        assert len(given) <= most
        return Response(head=Head(status=200, headers={"content-type": "text/html"}), body=given)


def ends(files: Files) -> datetime:
    """Read the end of a thing: it holds nothing else."""
    return datetime.fromisoformat(files["thing"].decode())


def thing(url: str = "https://service/x") -> Resource:
    """Return a thing that is fresh for an hour and ends when it says."""
    return Resource(
        url=url, title="thing", most=100, files=lambda r: {"thing": r.body}, ends=ends, fresh_for=HOUR
    )  # fmt: skip


def until(at: datetime) -> bytes:
    """Return a thing that ends then."""
    return at.isoformat().encode()


@dataclass
class Scene:
    """A fetcher with its surroundings."""

    folder: Path
    clock: MovedClock = field(default_factory=MovedClock)

    def fetcher(self, service: FakeService | None) -> Fetcher:
        """Return a fetcher over the one cache, as a process that starts anew has it."""
        retries = Retries(attempts=3, first_s=0.001, longest_s=0.01)
        return Fetcher(service, cache=Cache(self.folder), retries=retries, clock=self.clock)


def uncached(service: FakeService) -> Fetcher:
    """Return a fetcher that keeps nothing, and so has no thread under way when its tasks are blocked."""
    return Fetcher(service, cache=None, clock=MovedClock())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A cache that is empty, at noon."""
    return Scene(folder=tmp_path / "cache")


async def test_what_is_fresh_is_not_asked_for_again(scene: Scene) -> None:
    """Nor by another process."""
    good = until(NOON + 2 * HOUR)
    service = FakeService([good])
    for _ in range(3):
        assert await scene.fetcher(service).get(thing()) == {"thing": good}
    assert service.asked == 1


async def test_what_is_no_longer_fresh_is_asked_for(scene: Scene) -> None:
    """A newer list may be out before the old one ends."""
    old, new = until(NOON + 9 * HOUR), until(NOON + 10 * HOUR)
    service = FakeService([old, new])
    await scene.fetcher(service).get(thing())
    scene.clock.at = NOON + 2 * HOUR

    assert await scene.fetcher(service).get(thing()) == {"thing": new}


async def test_what_is_in_force_is_served_where_the_service_fails(scene: Scene) -> None:
    """The vendor says how long a list may be used, and the network's weather does not."""
    good = until(NOON + 9 * HOUR)
    await scene.fetcher(FakeService([good])).get(thing())
    scene.clock.at = NOON + 2 * HOUR

    assert await scene.fetcher(FakeService([UNKNOWN])).get(thing()) == {"thing": good}
    assert await scene.fetcher(None).get(thing()) == {"thing": good}


async def test_what_is_past_its_end_is_never_served(scene: Scene) -> None:
    """A stale revocation list shows nothing, whether or not there is a newer one."""
    await scene.fetcher(FakeService([until(NOON + HOUR)])).get(thing())
    scene.clock.at = NOON + HOUR + timedelta(seconds=1)

    for service in (FakeService([UNKNOWN]), None):
        with pytest.raises(CollateralError):
            await scene.fetcher(service).get(thing())


async def test_what_ends_while_the_service_is_asked_is_not_served(scene: Scene) -> None:
    """Its end is looked at when it is served, not only when it is found."""
    await scene.fetcher(FakeService([until(NOON + 2 * HOUR)])).get(thing())
    scene.clock.at = NOON + 2 * HOUR - timedelta(seconds=1)
    service = FakeService([UNKNOWN], gate=anyio.Event())

    async def let_it_end() -> None:
        await service.entered.wait()
        scene.clock.at += timedelta(seconds=2)
        service.gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(let_it_end)
        with pytest.raises(CollateralError, match="unknown"):
            await scene.fetcher(service).get(thing())


async def test_a_service_that_gives_what_is_past_its_end_is_refused(scene: Scene) -> None:
    """It is neither served nor kept, and the error says that a clock may be wrong."""
    with pytest.raises(CollateralError, match="clock"):
        await scene.fetcher(FakeService([until(NOON - HOUR)])).get(thing())
    with pytest.raises(CollateralError, match="not asked"):
        await scene.fetcher(None).get(thing())


async def test_garbage_is_refused_and_not_kept(scene: Scene) -> None:
    """The error says what came in place of what was asked for."""
    with pytest.raises(CollateralError, match="text/html of 6 bytes that is no thing"):
        await scene.fetcher(FakeService([b"<html>"])).get(thing())
    with pytest.raises(CollateralError, match="not asked"):
        await scene.fetcher(None).get(thing())


async def test_what_was_kept_in_the_future_is_asked_for(scene: Scene) -> None:
    """A clock that was set back does not make anything fresh for longer."""
    service = FakeService([until(NOON + 9 * HOUR)])
    scene.clock.at = NOON + 3 * HOUR
    await scene.fetcher(service).get(thing())
    scene.clock.at = NOON
    await scene.fetcher(service).get(thing())

    assert service.asked == 2


async def test_failures_that_pass_are_tried_again(scene: Scene) -> None:
    """A busy service answers a little later."""
    good = until(NOON + HOUR)
    service = FakeService([BUSY, BUSY, good])

    assert await scene.fetcher(service).get(thing()) == {"thing": good}
    assert service.asked == 3


async def test_a_service_that_stays_busy_is_given_up_on(scene: Scene) -> None:
    """The error says how often it was asked."""
    service = FakeService([BUSY])
    with pytest.raises(CollateralError, match="tried 3 times") as raised:
        await scene.fetcher(service).get(thing())
    assert service.asked == raised.value.attempts == 3


async def test_failures_that_stay_are_not_tried_again(scene: Scene) -> None:
    """What the service does not know now, it will not know in a second."""
    service = FakeService([UNKNOWN])
    with pytest.raises(CollateralError, match="unknown"):
        await scene.fetcher(service).get(thing())
    assert service.asked == 1


async def test_requests_for_the_same_thing_are_one() -> None:
    """However many evidence folders of one platform are completed at the same time."""
    good = until(NOON + HOUR)
    service = FakeService([good], gate=anyio.Event())
    fetcher = uncached(service)
    found: list[Files] = []

    async def ask() -> None:
        found.append(await fetcher.get(thing()))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await service.entered.wait()
        await anyio.wait_all_tasks_blocked()
        service.gate.set()

    assert found == [{"thing": good}] * 10
    assert service.asked == 1


async def test_a_shared_failure_fails_all_of_them_once() -> None:
    """Ten who wait do not make ten times the attempts."""
    service = FakeService([UNKNOWN], gate=anyio.Event())
    fetcher = uncached(service)
    failed: list[CollateralError] = []

    async def ask() -> None:
        try:
            await fetcher.get(thing())
        except CollateralError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await service.entered.wait()
        await anyio.wait_all_tasks_blocked()
        service.gate.set()

    assert len(failed) == 10
    assert service.asked == 1


async def test_nobody_fails_because_the_first_gave_up() -> None:
    """The next in line asks in the place of one that was cancelled."""
    good = until(NOON + HOUR)
    service = FakeService([good], gate=anyio.Event())
    fetcher = uncached(service)
    found: list[Files] = []

    async def ask() -> None:
        found.append(await fetcher.get(thing()))

    async with anyio.create_task_group() as group, anyio.create_task_group() as first:
        first.start_soon(ask)
        await service.entered.wait()
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
        service.gate.set()

    assert found == [{"thing": good}]
    assert service.asked == 2


def wait_of(retry_after: str | None, *, status: int = 429, attempt: int = 1) -> float | None:
    """Return the wait before asking again a service that answered so."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    with pytest.raises(CollateralError) as raised:
        check_status("x", Head(status=status, headers=headers), now=NOON)
    return Retries(attempts=4, first_s=0.5, longest_s=20.0).wait_after(attempt, raised.value, random=lambda n: bytes(n))


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        ("7", 7.0),
        ("0", 0.25),
        ("Sat, 21 Nov 2026 12:00:09 GMT", 9.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.25),
        ("21", None),
        ("9" * 500, None),
        ("soon", 0.25),
        ("-7", 0.25),
        ("²", 0.25),
        (None, 0.25),
    ],
)
def test_a_service_is_left_alone_for_as_long_as_it_asks(retry_after: str | None, wait_s: float | None) -> None:
    """As seconds or as a date; where that is longer than anybody waits, it is not asked again at all."""
    assert wait_of(retry_after) == wait_s


def test_waits_double_and_are_never_longer_than_the_longest() -> None:
    """Half of each is chance, so that those who failed together do not ask together."""
    retries = Retries(attempts=99, first_s=0.5, longest_s=20.0)
    shortest = [retries.wait_after(n, BUSY, random=lambda n: bytes(n)) for n in (1, 2, 3, 50)]
    longest = [retries.wait_after(n, BUSY, random=lambda n: b"\xff" * n) for n in (1, 2, 3, 50)]

    assert shortest == [0.25, 0.5, 1.0, 10.0]
    assert [round(each, 6) for each in longest] == [0.5, 1.0, 2.0, 20.0]
