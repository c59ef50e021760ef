"""`enclaved up` in one terminal and `enclaved invoke` in another, as README says it."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from brokers import MosquittoServer
from whole_runtime import FUNCTIONS, descendants, is_running, run, up, wait_until_gone

SAMPLE = FUNCTIONS / "redact" / "sample.txt"
EXPECTED = (FUNCTIONS / "redact" / "expected.txt").read_bytes()


@asynccontextmanager
async def _broker_option(kind: str, folder: Path) -> AsyncIterator[tuple[str, ...]]:
    if kind == "loopback":
        yield ()
        return
    async with MosquittoServer(folder) as mosquitto:
        yield (f"--broker={mosquitto.url}",)


@pytest.mark.parametrize("kind", ["loopback", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def test_a_function_is_invoked_and_its_receipt_verified_offline(kind: str, tmp_path: Path) -> None:
    """The main job: the output is what the function makes, and anybody can verify the receipt afterwards."""
    async with _broker_option(kind, tmp_path) as option, up(tmp_path, *option) as runtime:
        receipt = tmp_path / "r.cbor"
        done = await runtime.invoke("redact", f"--file={SAMPLE}", f"--receipt-out={receipt}")
        assert done.code == 0, done.err
        assert base64.b64decode(done.document["output_base64"]) == EXPECTED
        assert done.document["verdict"]["accepted"] is True
        assert done.document["verdict"]["claims"]["simulated"] is True

    verified = await run("receipt", "verify", str(receipt), f"--policy={runtime.policy}", "--json", cwd=tmp_path)
    assert verified.code == 0, verified.out
    assert verified.document["receipt"] == done.document["receipt"]
    assert verified.document["verdict"]["accepted"] is True


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_every_process_within_five_seconds(how: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C ends all and leaves none: enclave, gateway, launcher, zygotes, spares."""
    async with up(tmp_path) as runtime:
        processes = descendants(runtime.process.pid)
        assert len(processes) >= 5

        seconds = await runtime.stop(how)

        assert runtime.process.returncode == 0
        assert seconds < 5
        assert [pid for pid in processes if is_running(pid)] == []


async def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    """Kill -9 of `up` itself: the kernel tells the others, and they end."""
    async with up(tmp_path) as runtime:
        processes = descendants(runtime.process.pid)
        runtime.process.kill()
        await runtime.process.wait()

        await wait_until_gone(processes, within_s=8)


@pytest.mark.parametrize("victim", ["enclaved.gateway", "enclaved.enclave"])
async def test_a_killed_process_is_started_again_and_serves(victim: str, tmp_path: Path) -> None:
    """What dies comes back; a caller that waits gets its answer, sealed anew where the key went with it."""
    async with up(tmp_path) as runtime:
        assert (await runtime.invoke("echo", "--data=before")).code == 0
        os.kill(_process(runtime.process.pid, victim), signal.SIGKILL)

        done = await runtime.invoke("echo", "--data=after", "--timeout=20")

        assert base64.b64decode(done.document["output_base64"]) == b"after", done.out


async def test_the_output_alone_is_on_standard_output(tmp_path: Path) -> None:
    """A pipe gets the function's bytes and nothing else; the verdict, marked SIMULATED, goes to standard error."""
    async with up(tmp_path) as runtime:
        options = (f"--policy={runtime.policy}", *runtime.access)
        done = await run("invoke", "echo", "-", *options, cwd=tmp_path, stdin=b"\x00bytes\xff")

    assert done.out == b"\x00bytes\xff"
    assert "SIMULATED" in done.err
    assert "ACCEPTED" in done.err


async def test_without_a_policy_nothing_is_sealed(tmp_path: Path) -> None:
    """No policy, no invocation: usage, whatever else is right."""
    done = await run("invoke", "echo", "--data=x", "--broker=mqtt://127.0.0.1:1", "--json", cwd=tmp_path)

    assert done.code == 2
    assert done.document["error"]["code"] == "usage"


async def test_an_unreachable_broker_is_said_so(tmp_path: Path) -> None:
    """Exit code 7, and one JSON document all the same."""
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n[freshness]\nmax_age = "1h"\n')
    options = (f"--policy={policy}", "--broker=mqtt://127.0.0.1:1", "--json")
    done = await run("invoke", "echo", "--data=x", *options, cwd=tmp_path)

    assert (done.code, done.document["error"]["code"]) == (7, "broker_unreachable")


def _process(parent: int, module: str) -> int:
    for pid in descendants(parent):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if module.encode() in words:
            return pid
    raise AssertionError(f"{module} does not run")
