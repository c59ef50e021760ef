"""Two runtimes in one namespace, on one trigger topic: each runs what names it, and leaves the rest alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from brokers import LoopbackProcess, MosquittoServer, Server
from enclaved.caller.caller import Caller
from enclaved.caller.outcome import Result
from enclaved.mqtt.transport import Message
from hostile_caller import HostileCaller, hostile_caller
from whole_runtime import Up, run, up, write_function

pytestmark = pytest.mark.timeout(180)

TRIGGER = "plant/7/readings"
INVOCATIONS = 50
MARKING = 'def handle(payload):\n    return b"%s ran " + payload\n'


class Scene(NamedTuple):
    """Two runtimes on one broker."""

    runtimes: dict[str, Up]

    @property
    def broker(self) -> str:
        """The broker's URL."""
        return next(iter(self.runtimes.values())).broker

    def policy(self, folder: Path) -> Path:
        """Write a policy that accepts both; each alone pins its own function's digest and its own root."""
        first, second = (runtime.policy.read_text() for runtime in self.runtimes.values())
        path = folder / "both.toml"
        path.write_text(_merged(first, second))
        return path


def _merged(first: str, second: str) -> str:
    """Add to each list of one policy what the other policy has there."""
    lines = []
    for one, other in zip(first.splitlines(), second.splitlines(), strict=True):
        same_key = one.partition("=")[0] == other.partition("=")[0]
        lines.append(one if one == other or not same_key else f"{one.rpartition(']')[0]}, {other.partition('[')[2]}")
    return "\n".join(lines)


@pytest.fixture(scope="module", params=["loopback", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run two runtimes whose functions differ only in the mark that they leave."""
    folder = tmp_path_factory.mktemp("two")
    broker: Server = MosquittoServer(folder) if request.param == "mosquitto" else LoopbackProcess()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(broker)
        runtimes = {}
        for name in ("north", "south"):
            own = folder / name
            trigger = f'trigger.topics = ["{TRIGGER}"]\n'
            write_function(own / "functions", "mark", MARKING % name, manifest=trigger)
            options = (f"--broker={broker.url}", f"--runtime={name}")
            runtimes[name] = await stack.enter_async_context(up(own, *options, functions=own / "functions"))
        yield Scene(runtimes)


async def test_each_invocation_is_run_by_the_runtime_that_it_names(scene: Scene, tmp_path: Path) -> None:
    """Directly and through the shared topic, all at once: mark, receipt and evidence are the named runtime's."""
    results: dict[tuple[str, int], Result] = {}
    async with Caller.connect(scene.broker, namespace="demo", policy=scene.policy(tmp_path)) as caller:

        async def invoke(name: str, number: int) -> None:
            topic = TRIGGER if number % 2 else None
            payload = b"%d" % number
            results[name, number] = await caller.invoke("mark", payload, timeout=60, runtime=name, topic=topic)

        async with anyio.create_task_group() as tasks:
            for number in range(INVOCATIONS):
                tasks.start_soon(invoke, ("north", "south")[number // 2 % 2], number)

    assert len(results) == INVOCATIONS
    for (name, number), result in results.items():
        assert result.output == b"%s ran %d" % (name.encode(), number)
        assert (result.receipt.runtime_id, result.attestation.bundle.runtime_id) == (name, name)


async def test_caller_that_names_none_reaches_either(scene: Scene, tmp_path: Path) -> None:
    """It picks at random among those that its policy accepts: forty picks of one alone come once in 10^12."""
    ran = Counter[str]()
    async with Caller.connect(scene.broker, namespace="demo", policy=scene.policy(tmp_path)) as caller:
        for _ in range(40):
            ran[(await caller.invoke("mark", b"", timeout=30)).receipt.runtime_id] += 1

    assert set(ran) == {"north", "south"}


async def test_policy_pinned_to_one_never_reaches_the_other(scene: Scene) -> None:
    """The other's function has another digest and its evidence another root: nothing is sealed to it."""
    north, south = scene.runtimes["north"], scene.runtimes["south"]
    done = await north.invoke("mark", "--data=x")
    options = (*south.access, f"--policy={north.policy}", "--runtime=south", "--data=x", "--json")
    crossed = await run("invoke", "mark", *options, cwd=south.folder)

    assert done.code == 0, done.out
    assert (crossed.code, crossed.document["error"]["code"]) == (4, "refused")


async def test_only_the_named_runtime_hints_or_dead_letters(scene: Scene) -> None:
    """On a shared topic, what nobody can open is the named one's to tell, once."""
    async with hostile_caller(scene.broker, "north") as caller:
        hinted = caller.seal("mark", key_id=bytes(16))
        await _publish(caller, hinted.message(), reply=hinted.reply)
        lost = caller.seal("mark", response_topic=None, key_id=bytes(16))
        await _publish(caller, lost.message())
        both = []
        for name in ("north", "south"):  # after these, each has dealt with what came before
            async with hostile_caller(scene.broker, name) as other:
                good = other.seal("mark", os.urandom(8))
                await _publish(other, good.message(), reply=good.reply)
                both.append(good.open((await other.ears.hear(good.reply))[0]).output[:5])

        assert both == [b"north", b"south"]
        assert len(await caller.ears.hear(hinted.reply)) == 1
        assert await caller.ears.hear(caller.dead_topic("mark")) == [lost.message()]
        assert caller.dead_topic("mark").replace("north", "south") not in caller.ears.heard


async def _publish(caller: HostileCaller, payload: bytes, *, reply: str | None = None) -> None:
    await caller.publisher.publish(Message(topic=TRIGGER, payload=payload, response_topic=reply))


async def test_each_has_counted_what_was_anothers(scene: Scene) -> None:
    """Comes last, and ends both: what named the other was acknowledged in silence."""
    for runtime in scene.runtimes.values():
        await runtime.stop()

    north, south = (runtime.counters for runtime in scene.runtimes.values())
    assert min(north["foreign"], south["foreign"]) >= INVOCATIONS // 4
    assert (north["hinted"], north["dead"]) == (1, 1)
    assert (south["hinted"], south["dead"], south["malformed"]) == (0, 0, 0)
