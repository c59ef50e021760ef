"""The gateway's end of the link, against an enclave that breaks it in every way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from enclaved.errors import ConfigurationError, Error, LinkError, ProtocolError
from enclaved.gateway.address import UnixAddress
from enclaved.gateway.announcement import check_announce
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.link import Link, LinkDeadlines
from enclaved.gateway.stream import connect
from enclaved.wire.frames import Announce, Answer, Attested, Frame, Hello, Invoke, encode_frame
from enclaved.wire.limits import MAX_FRAME, MAX_INVOCATION
from gateway_enclave import FakeEnclave, answered
from gateway_world import QUICK, announce, invocation, lane

RESULT = b"result of sealed 1"


class Linked:
    """A link and the enclave at its other end."""

    def __init__(self, folder: Path, deadlines: LinkDeadlines) -> None:
        self.enclave = FakeEnclave(folder / "link.sock", announce())
        self.counters = Counters()
        address = UnixAddress(path=self.enclave.path)
        self.link = Link(lambda: connect(address), counters=self.counters, deadlines=deadlines)


@asynccontextmanager
async def linked(folder: Path, deadlines: LinkDeadlines = QUICK) -> AsyncIterator[Linked]:
    """Run a link to an enclave."""
    here = Linked(folder, deadlines)
    async with anyio.create_task_group() as group:
        await group.start(here.enclave.run)
        group.start_soon(here.link.run, name="link")
        with anyio.fail_after(10):
            yield here
        group.cancel_scope.cancel()


async def test_the_gateway_says_hello_first_and_waits_for_the_announcement(tmp_path: Path) -> None:
    """The versions are compared before anything else is said."""
    async with linked(tmp_path) as here:
        _, announced = await here.link.announced.after(0)

        assert here.enclave.received == [Hello(v=1)]
        assert announced == announce()


async def test_answers_come_in_any_order(tmp_path: Path) -> None:
    """A fast invocation does not wait for a slow one."""
    answers: list[bytes | None] = []
    release = anyio.Event()

    async def second_first(invoke: Invoke) -> Answer:
        if b"sealed 1" in invoke.message:
            await release.wait()
        return await answered(invoke)

    async with linked(tmp_path) as here, anyio.create_task_group() as group:
        here.enclave.behaviour = second_first

        async def ask(text: bytes) -> None:
            answers.append((await here.link.invoke(invocation(text))).reply)
            release.set()

        group.start_soon(ask, b"sealed 1")
        await here.enclave.until(lambda: here.enclave.invocations)
        group.start_soon(ask, b"sealed 2")
        await release.wait()
        await here.enclave.until(lambda: len(here.enclave.invocations) == 2)

    assert answers == [b"result of sealed 2", RESULT]


async def test_the_largest_invocation_fits(tmp_path: Path) -> None:
    """It takes many writes, and arrives whole."""
    async with linked(tmp_path) as here:
        await here.link.invoke(bytes(MAX_INVOCATION))

        assert here.enclave.invocations == [bytes(MAX_INVOCATION)]


async def test_a_request_waits_for_an_enclave_that_is_not_there_yet(tmp_path: Path) -> None:
    """Gateway and enclave start in any order."""
    enclave = FakeEnclave(tmp_path / "link.sock", announce())
    address = UnixAddress(path=enclave.path)
    link = Link(lambda: connect(address), counters=Counters(), deadlines=QUICK)
    async with anyio.create_task_group() as group:
        group.start_soon(link.run, name="link")
        group.start_soon(group.start, enclave.run)
        with anyio.fail_after(10):
            assert (await link.invoke(invocation())).reply == RESULT
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    "frame",
    [
        Hello(v=1),
        Invoke(id=1, message=b""),
        Answer(id=7, outcome="answered", reply=b"x", outputs=()),
        Answer(id=0, outcome="answered", reply=b"x", outputs=()),
        Attested(id=1, attestation=b"x"),
        announce(lane("echo", slots=0)),
    ],
    ids=["hello", "invoke", "unasked", "number 0", "another kind", "no slots"],
)
async def test_a_frame_out_of_place_costs_the_connection_and_no_request(tmp_path: Path, frame: Frame) -> None:
    """A broken enclave is met again from the start, and what was under way is sent again."""

    async def misbehave_once(invoke: Invoke) -> Answer | None:
        if here.enclave.connections > 1:
            return await answered(invoke)
        await here.enclave.say(frame)
        return None

    async with linked(tmp_path) as here:
        here.enclave.behaviour = misbehave_once
        answer = await here.link.invoke(invocation())

        assert answer.reply == RESULT
        assert here.counters[Counter.LINK_LOST] == 1


@pytest.mark.parametrize(
    "data",
    [(MAX_FRAME + 1).to_bytes(4, "big"), b"\0\0\0\1\xc1", b"\0\0\0\0"],
    ids=["too long", "not MessagePack", "empty"],
)
async def test_bytes_that_are_no_frame_cost_the_connection_and_no_request(tmp_path: Path, data: bytes) -> None:
    """Nothing is made room for that was announced too large."""

    async def garble_once(invoke: Invoke) -> Answer | None:
        if here.enclave.connections > 1:
            return await answered(invoke)
        await here.enclave.say_bytes(data)
        return None

    async with linked(tmp_path) as here:
        here.enclave.behaviour = garble_once

        assert (await here.link.invoke(invocation())).reply == RESULT


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped(tmp_path: Path) -> None:
    """Whoever asked has given up; the link goes on."""
    async with linked(tmp_path) as here:
        here.enclave.behaviour = _keep_silent
        with anyio.CancelScope() as giving_up:
            async with anyio.create_task_group() as group:
                group.start_soon(here.link.invoke, invocation())
                await here.enclave.until(lambda: here.enclave.invocations)
                giving_up.cancel()
        await here.enclave.say(Answer(id=1, outcome="answered", reply=b"late", outputs=()))
        here.enclave.behaviour = answered

        assert (await here.link.invoke(invocation())).reply == RESULT
        assert here.enclave.connections == 1


async def test_an_overdue_answer_costs_the_connection_and_is_asked_for_again(tmp_path: Path) -> None:
    """An enclave that hangs must not hold a slot for ever."""

    async def hang_once(invoke: Invoke) -> Answer | None:
        return await answered(invoke) if here.enclave.connections > 1 else None

    async with linked(tmp_path, replace(QUICK, answer_s=0.05)) as here:
        here.enclave.behaviour = hang_once

        assert (await here.link.invoke(invocation())).reply == RESULT
        assert here.counters[Counter.LINK_LOST] == 1


async def test_an_enclave_that_does_not_announce_is_met_again(tmp_path: Path) -> None:
    """The handshake has a deadline."""
    listening = await anyio.create_unix_listener(tmp_path / "mute.sock")
    met: list[int] = []
    twice = anyio.Event()

    async def keep_mute(stream: anyio.abc.SocketStream) -> None:
        met.append(1)
        if len(met) == 2:
            twice.set()
        async with stream:
            async for _ in stream:
                pass

    address = UnixAddress(path=tmp_path / "mute.sock")
    link = Link(lambda: connect(address), counters=Counters(), deadlines=replace(QUICK, handshake_s=0.05))
    async with listening, anyio.create_task_group() as group:
        group.start_soon(listening.serve, keep_mute)
        group.start_soon(link.run)
        with anyio.fail_after(10):
            await twice.wait()
        group.cancel_scope.cancel()

    assert link.announced.number == 0


async def test_an_enclave_that_does_not_read_stops_the_sender_and_costs_no_memory(tmp_path: Path) -> None:
    """What it does not take waits in the tasks that ask, which the slots bound."""
    mute = await anyio.create_unix_listener(tmp_path / "full.sock")
    stuck, release = anyio.Event(), anyio.Event()

    async def announce_and_stop_reading(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(encode_frame(announce()))
            stuck.set()
            await release.wait()

    address = UnixAddress(path=tmp_path / "full.sock")
    link = Link(lambda: connect(address), counters=Counters(), deadlines=QUICK)
    async with mute, anyio.create_task_group() as group:
        group.start_soon(mute.serve, announce_and_stop_reading)
        group.start_soon(link.run)
        await stuck.wait()
        with anyio.move_on_after(0.05) as patience:
            async with anyio.create_task_group() as asking:
                for _ in range(8):
                    asking.start_soon(link.invoke, bytes(MAX_INVOCATION))
        release.set()
        group.cancel_scope.cancel()

    assert patience.cancelled_caught


async def test_nobody_listening_is_a_link_error(tmp_path: Path) -> None:
    """The link tries again after it; nothing else escapes."""
    with pytest.raises(LinkError):
        await connect(UnixAddress(path=tmp_path / "nobody.sock"))


@pytest.mark.parametrize(
    "wrong",
    [
        announce(attestation=b""),
        announce(attestation=bytes((1 << 20) + 1)),
        announce(expires_in_ms=0),
        announce(lane("echo"), lane("echo")),
        announce(lane("echo", slots=0)),
        announce(lane("echo", slots=1 << 20)),
        announce(lane("echo", "a/#/b")),
        announce(lane("echo", "")),
        announce(lane("echo", "x" * 300)),
        announce(lane("echo", *["a/b"] * 65)),
    ],
    ids=["empty", "huge", "expired", "twice", "no slots", "slots", "filter", "no filter", "long filter", "filters"],
)
def test_an_announcement_that_cannot_be_served_is_refused(wrong: Announce) -> None:
    """A broken enclave must not make the gateway subscribe for ever to what no broker grants."""
    with pytest.raises(ProtocolError):
        check_announce(wrong)


def test_the_links_errors_are_ours() -> None:
    """Whoever catches enclaved's errors catches these."""
    assert issubclass(LinkError, Error)
    assert issubclass(ConfigurationError, Error)


async def _keep_silent(invoke: Invoke) -> None:
    """Answer nothing."""
