"""A thousand forged hints at a real caller: they cost it a few messages, and never a nonce, its policy or the wait.

Session and sequence are the key and the nonce of AES-GCM. A caller that sealed two
texts under one of them would show the host their difference and the key of every tag.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import NamedTuple, get_args

import anyio
import pytest
from brokers import LoopbackServer
from enclaved.attester.simulated_root import make_root
from enclaved.caller.caller import Caller
from enclaved.caller.reactions import MAX_REACTIONS
from enclaved.clock import SystemClock
from enclaved.wire.hint import HintCode
from forger import FLOOD, Forger, Plan
from pretended_runtime import Lie, PretendedRuntime
from simulation import make_device
from whole_runtime import Up, up, write_function

pytestmark = pytest.mark.timeout(120)

CODES: tuple[HintCode, ...] = get_args(HintCode)
SHOUT = "def handle(payload):\n    return payload.upper()\n"
_LATE_S = 1.2  # the answer comes in the middle of the flood


class Scene(NamedTuple):
    """A runtime on a broker that forges."""

    runtime: Up
    forger: Forger


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run a runtime on a broker that forges as a test tells it."""
    folder, forger = tmp_path_factory.mktemp("forged"), Forger()
    write_function(folder / "functions", "shout", SHOUT)
    async with (
        LoopbackServer(interceptor=forger) as broker,
        up(folder, f"--broker={broker.url}", functions=folder / "functions") as runtime,
    ):
        yield Scene(runtime, forger)


def _nothing_is_sealed_twice(forger: Forger, *, invocations: int = 1) -> None:
    """Each key and nonce sealed one text, however often that was sent; and the work was bounded."""
    assert forger.forged >= FLOOD
    assert [name for name, texts in forger.texts().items() if len(texts) != 1] == []
    assert len(forger.texts()) <= invocations * (1 + MAX_REACTIONS)
    assert forger.challenges <= 1


@pytest.mark.parametrize("codes", [*((code,) for code in CODES), CODES], ids=[*CODES, "all"])
async def test_answer_arrives_through_a_flood_of_forged_hints(codes: tuple[HintCode, ...], scene: Scene) -> None:
    """The genuine answer comes late, in the middle of a thousand hints, and is taken."""
    scene.forger.begin(Plan(codes=codes, answers=_LATE_S))
    done = await scene.runtime.invoke("shout", "--data=through the flood", "--timeout=25")

    assert done.code == 0, done.out
    assert base64.b64decode(done.document["output_base64"]) == b"THROUGH THE FLOOD"
    _nothing_is_sealed_twice(scene.forger)


@pytest.mark.parametrize("named", [True, False], ids=["named", "by correlation data"])
async def test_flood_without_an_answer_ends_in_time(named: bool, scene: Scene) -> None:  # noqa: FBT001 - a parameter
    """Where no runtime answers, hints do not keep the caller busy for ever: exit 6 when its time is over."""
    scene.forger.begin(Plan(codes=CODES, named=named, answers=None))
    done = await scene.runtime.invoke("shout", "--data=nobody answers", "--timeout=4")

    assert (done.code, done.document["error"]["code"]) == (6, "no_answer"), done.out
    _nothing_is_sealed_twice(scene.forger)
    assert len(scene.forger.sealed) <= 2 * (1 + MAX_REACTIONS)


async def test_hints_never_lower_the_policy(scene: Scene) -> None:
    """Told that the key is gone, and shown a runtime of another root in its place, it seals nothing to that one."""
    other = make_device(root=make_root(host_time=SystemClock().now()), at=SystemClock().now())
    intruder = PretendedRuntime(scene.runtime.runtime_id, Lie(), device=other)
    scene.forger.begin(Plan(codes=("key_unknown",), answers=None, announcement=intruder.announced))
    done = await scene.runtime.invoke("shout", "--data=not for intruders", "--timeout=4")

    assert done.code == 6, done.out
    assert intruder.digest[:16] not in {each.header.key_id for each in scene.forger.sealed}
    _nothing_is_sealed_twice(scene.forger)


async def test_many_invocations_survive_the_flood(scene: Scene) -> None:
    """Thirty at once in one session, hinted at a thousand times and more: each gets its own answer."""
    scene.forger.begin(Plan(codes=CODES, flood=FLOOD // 30 + 1, answers=0.3))
    outputs: dict[int, bytes] = {}
    async with Caller.connect(
        scene.runtime.broker, namespace="demo", policy=scene.runtime.policy, runtime=scene.runtime.runtime_id
    ) as caller:

        async def invoke(number: int) -> None:
            outputs[number] = (await caller.invoke("shout", f"n{number}".encode(), timeout=60)).output

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(invoke, number)

    assert outputs == {number: f"N{number}".encode() for number in range(30)}
    _nothing_is_sealed_twice(scene.forger, invocations=30)
    assert len({session for session, _ in scene.forger.texts()}) < 30


async def test_runtime_ran_nothing_twice_for_one_sealing(scene: Scene) -> None:
    """The control: an honest broker again, one message and one answer; the runtime has lived through all of it."""
    scene.forger.begin(Plan())
    done = await scene.runtime.invoke("shout", "--data=calm", "--timeout=25")

    assert (done.code, done.document["attempts"]) == (0, 1), done.out
    assert len(scene.forger.sealed) == 1
