"""`python -m enclaved.gateway` as a process, between real brokers and an enclave on a real socket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest
from brokers import LoopbackProcess, MosquittoServer, Server
from enclaved.wire.frames import Answer, Invoke
from gateway_enclave import FakeEnclave, answered
from gateway_process import ENVIRONMENT, caller, enclave_at, gateway, take
from gateway_world import ATTESTATION, REPLY, announce, lane, request


@pytest.fixture(params=["loopback", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """Each broker, listening."""
    server: Server = LoopbackProcess() if request.param == "loopback" else MosquittoServer(tmp_path)
    async with server:
        yield server


async def test_a_gateway_serves_and_leaves_at_sigterm(tmp_path: Path, broker: Server) -> None:
    """The whole way of one invocation; then nothing is left behind, and the exit code is 0."""
    async with enclave_at(tmp_path) as enclave, gateway(broker, enclave) as running:
        serving = await running.event("serving")
        assert serving == {"event": "serving", "namespace": "demo", "runtime_id": "ward-1", "functions": ["echo"]}
        async with caller(broker, REPLY, ATTESTATION) as (publisher, consumer):
            kept = await take(consumer)
            assert (kept.payload, kept.retain) == (b"attestation 1", True)

            await publisher.publish(request())
            result = await take(consumer)
            assert (result.payload, result.correlation_data) == (b"result of sealed 1", b"c-sealed 1")

            assert await running.end() == 0
            assert (await take(consumer)).payload == b""
        stopped = await running.event("stopped")

    assert stopped["finished"]
    counters = stopped["counters"]
    assert isinstance(counters, dict)
    assert (counters["received"], counters["answered"]) == (1, 1)


async def test_a_killed_gateway_loses_no_invocation(tmp_path: Path, broker: Server) -> None:
    """What was under way comes again from the broker, and so does what arrived meanwhile."""

    async def keep_silent(invoke: Invoke) -> Answer | None:
        return None

    async with enclave_at(tmp_path) as enclave, caller(broker, REPLY) as (publisher, consumer):
        enclave.behaviour = keep_silent
        async with gateway(broker, enclave) as first:
            await first.event("serving")
            for number in range(3):
                await publisher.publish(request(b"sealed %d" % number))
            await enclave.until(lambda: len(enclave.invocations) == 3)
            await first.end(signal.SIGKILL)
        for number in range(3, 20):
            await publisher.publish(request(b"sealed %d" % number))
        enclave.behaviour = answered
        async with gateway(broker, enclave) as second:
            await second.event("serving")
            results = {(await take(consumer)).correlation_data for _ in range(20)}
            assert await second.end() == 0

    assert results == {b"c-sealed %d" % number for number in range(20)}


async def test_a_backlog_of_before_the_start_waits_in_the_broker(tmp_path: Path, broker: Server) -> None:
    """Sixteen MiB wait while no gateway runs; it takes what it has slots for, and answers all of it."""
    count = 1000
    payload = bytes(16 * 1024)
    async with enclave_at(tmp_path) as enclave, caller(broker, REPLY) as (publisher, consumer):
        async with gateway(broker, enclave) as first:
            await first.event("serving")
            grown_from = first.peak_kib()
            await first.end(signal.SIGKILL)
        async with anyio.create_task_group() as publishing:
            for number in range(count):
                publishing.start_soon(publisher.publish, request(payload + b"%08d" % number))
        async with gateway(broker, enclave) as second:
            results = set()
            while len(results) < count:
                results.add((await take(consumer)).payload)
            grown_kib = second.peak_kib() - grown_from
            assert await second.end() == 0

    assert results == {b"result of %08d" % number for number in range(count)}
    assert grown_kib < 8 * 1024


async def test_a_slow_function_holds_up_no_other_on_real_connections(tmp_path: Path, broker: Server) -> None:
    """More of its invocations wait than it has slots; the other function's are all answered before any of them."""
    release = anyio.Event()

    async def slow_reports(invoke: Invoke) -> Answer:
        if b"slow" in invoke.message:
            await release.wait()
        return await answered(invoke)

    slow = "enclaved/v1/demo/runtime/ward-1/function/report/invoke"
    enclave = FakeEnclave(
        tmp_path / "link.sock", announce(lane("echo", slots=2), lane("report", slots=2)), behaviour=slow_reports
    )
    async with anyio.create_task_group() as group, caller(broker, REPLY) as (publisher, consumer):
        await group.start(enclave.run)
        async with gateway(broker, enclave) as running:
            await running.event("serving")
            for number in range(6):
                await publisher.publish(request(b"slow %03d" % number, topic=slow, function="report"))
            for number in range(40):
                await publisher.publish(request(b"fast %03d" % number))
            first = [(await take(consumer)).payload for _ in range(40)]
            handed_in = [message for message in enclave.invocations if b"slow" in message]
            release.set()
            rest = [(await take(consumer)).payload for _ in range(6)]
            assert await running.end() == 0
        group.cancel_scope.cancel()

    assert first == [b"result of fast %03d" % number for number in range(40)]
    assert rest == [b"result of slow %03d" % number for number in range(6)]
    assert len(handed_in) == 2


async def test_what_is_under_way_at_sigterm_is_answered_and_not_delivered_again(tmp_path: Path, broker: Server) -> None:
    """The gateway stops taking, finishes, acknowledges, and leaves; the next one finds only what came later."""
    release = anyio.Event()

    async def wait_first(invoke: Invoke) -> Answer:
        await release.wait()
        return await answered(invoke)

    async with enclave_at(tmp_path) as enclave, caller(broker, REPLY) as (publisher, consumer):
        enclave.behaviour = wait_first
        async with gateway(broker, enclave) as first:
            await first.event("serving")
            for number in range(3):
                await publisher.publish(request(b"sealed %d" % number))
            await enclave.until(lambda: len(enclave.invocations) == 3)
            async with anyio.create_task_group() as ending:
                ending.start_soon(first.end)
                await publisher.publish(request(b"sealed 3"))
                release.set()
        before = {(await take(consumer)).correlation_data for _ in range(3)}
        async with gateway(broker, enclave) as second:
            await second.event("serving")
            last = (await take(consumer)).correlation_data
            assert await second.end() == 0

    assert before | {last} == {b"c-sealed %d" % number for number in range(4)}
    assert len(enclave.invocations) == 4


async def test_a_broker_that_comes_back_is_served_again(tmp_path: Path) -> None:
    """It has forgotten sessions and attestation; the gateway subscribes and announces anew."""
    async with LoopbackProcess() as broker, enclave_at(tmp_path) as enclave, gateway(broker, enclave) as running:
        await running.event("serving")
        await broker.restart()
        async with caller(broker, ATTESTATION, REPLY) as (publisher, consumer):
            assert (await take(consumer)).payload == b"attestation 1"
            # The lane may subscribe after this is published: ask until answered, as a caller's library does.
            with anyio.fail_after(20):
                while True:
                    await publisher.publish(request())
                    with anyio.move_on_after(0.5):
                        assert (await anext(aiter(consumer))).message.payload == b"result of sealed 1"
                        break
        assert await running.end() == 0


def test_a_gateway_ends_with_its_parent() -> None:
    """A supervisor that is killed leaves nothing behind, not even while the gateway waits for its enclave."""
    program = (
        "import subprocess, sys, os\n"
        "subprocess.run([sys.executable, '-m', 'enclaved.gateway', '--json', '--link=unix:/nonexistent/link.sock',"
        " '--die-with-parent', str(os.getpid())])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as parent:
        assert parent.stdout is not None
        assert json.loads(parent.stdout.readline()) == {
            "event": "link",
            "state": "failed",
            "reason": "no connection: No such file or directory",
        }
        parent.kill()
        # The pipe ends when the gateway, which holds its other end, has ended.
        assert json.loads(parent.stdout.readlines()[-1])["event"] == "stopped"


def test_a_parent_that_has_died_already_is_noticed() -> None:
    """The kernel sends no signal for a death before it was asked to."""
    command = [sys.executable, "-m", "enclaved.gateway", "--link=unix:/nonexistent/link.sock", "--die-with-parent", "1"]
    ended = subprocess.run(command, env=ENVIRONMENT, timeout=20, capture_output=True, check=False)

    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("option", "where"),
    [
        ("--broker=http://x", "broker"),
        ("--link=tcp:1", "link"),
        ("--transport=pigeon", "transport"),
        ("--password-file=/nonexistent", "password-file"),
        ("--cafile=/nonexistent", "broker"),
    ],
)
def test_a_wrong_option_is_named_and_exits_2(option: str, where: str) -> None:
    """A person is told what to correct, without a traceback."""
    command = [sys.executable, "-m", "enclaved.gateway", "--link=unix:/nonexistent/link.sock", option]
    ended = subprocess.run(command, env=ENVIRONMENT, timeout=20, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"enclaved gateway: {where}: ")
    assert "Traceback" not in ended.stderr


def test_nothing_that_opens_a_message_is_in_the_process() -> None:
    """The host's process could not read an invocation if it wanted to."""
    program = "import enclaved.gateway.__main__, sys; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, timeout=20, capture_output=True, text=True, check=True
    )
    modules = set(ended.stdout.split())
    wire = {name for name in modules if name.startswith("enclaved.wire.")}

    assert not {name for name in modules if name.split(".")[0] in {"cryptography", "cbor2"}}
    assert not {"enclaved.verifier", "enclaved.enclave", "enclaved.caller", "enclaved.attester"} & modules
    allowed = {"attestation", "codec", "frames", "header", "hint", "limits", "lp", "topics"}
    assert wire <= {f"enclaved.wire.{name}" for name in allowed}
