"""How the real process starts wrongly, ends, and follows one epoch by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from enclave_process import (
    ACT,
    RUNTIME_PATH,
    EnclaveProcess,
    Gateway,
    bundle_of,
    caller_of,
    gone,
    write_function,
)
from enclaved.wire.frames import Announce, Invoke
from enclaved.wire.hint import decode_hint


def test_sigterm_ends_it_and_all_that_it_started(small: Path) -> None:
    """Within three seconds, and nothing is left: no process, no folder, no socket that answers."""
    with EnclaveProcess(small) as enclave:
        gateway, _ = Gateway.greeted(enclave.link)
        started = enclave.descendants()
        assert len(started) >= 3  # launcher, zygote, spare
        began = time.monotonic()
        assert enclave.stop() == 0

        assert time.monotonic() - began < 3
        assert gone(started, within_s=1)
        with gateway:
            assert gateway.receive() is None
        assert list(enclave.temporary.iterdir()) == []


def test_sigterm_ends_it_in_the_middle_of_an_invocation(small: Path) -> None:
    """A function that will not end does not keep it."""
    write_function(small / "functions", "act", ACT, "[limits]\ntime_ms = 600000\n")
    with EnclaveProcess(small) as enclave:
        gateway, announce = Gateway.greeted(enclave.link)
        caller = caller_of(announce)
        with gateway:
            gateway.send(Invoke(id=1, message=caller.call(b"loop", function="act").message))
            assert gateway.result(caller.call(b"it has begun", sequence=1)).output == b"it has begun"
        started = enclave.descendants()
        began = time.monotonic()
        assert enclave.stop() == 0

        assert time.monotonic() - began < 3
        assert gone(started, within_s=1)
        assert list(enclave.temporary.iterdir()) == []


def test_a_killed_enclave_leaves_no_process(small: Path) -> None:
    """Nobody has a chance to clean up; the kernel does."""
    with EnclaveProcess(small) as enclave:
        started = enclave.descendants()
        enclave.process.kill()
        enclave.process.wait()

        assert len(started) >= 3
        assert gone(started, within_s=5)


def test_an_enclave_without_its_launcher_ends(small: Path) -> None:
    """A second launcher would come from a process that holds keys: so the enclave is started anew instead."""
    with EnclaveProcess(small) as enclave:
        started = enclave.descendants()
        os.kill(started[0], signal.SIGKILL)
        enclave.process.wait(timeout=10)

        assert enclave.process.returncode == 1
        assert b"the launcher died" in enclave.log.read_bytes()
        assert b"Traceback" not in enclave.log.read_bytes()
        assert gone(started, within_s=5)
        assert list(enclave.temporary.iterdir()) == []


def test_it_ends_with_the_process_that_it_was_told_of(small: Path) -> None:
    """A supervisor that is killed leaves no enclave behind."""
    starter = (
        "import os, subprocess, sys\n"
        "process = subprocess.Popen([sys.executable, '-m', 'enclaved.enclave', '--parent', str(os.getpid()),"
        " *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "process.stdout.readline()\n"
        "print(process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    arguments = ["--runtime-id", "r1", "--functions", small / "functions", "--link", f"unix:{small / 'link'}"]
    with subprocess.Popen(
        [sys.executable, "-c", starter, *arguments, "--device", "simulated", "--state", small / "state"],
        env={**os.environ, "PYTHONPATH": str(RUNTIME_PATH), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as supervisor:
        assert supervisor.stdout is not None
        enclave = int(supervisor.stdout.readline())
        supervisor.kill()

    assert gone([enclave], within_s=5)


def test_a_parent_that_is_gone_already_ends_it_at_once(small: Path) -> None:
    """It died between starting the enclave and the enclave's telling the kernel."""
    ended = _run_once(small, "--parent", "1")

    assert ended.returncode == 1
    assert b"is gone" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--device", "auto"], b"no attestation device"),
        (["--device", "nothing"], b"there is no device"),
        (["--functions", "/nonexistent"], b"/nonexistent"),
        (["--link", "tcp:1"], b"link"),
        (["--runtime-id", "No Name"], b"--runtime-id"),
        (["--lifetime", "1", "--overlap", "2"], b"--lifetime"),
    ],
    ids=lambda value: value[0].removeprefix("--") if isinstance(value, list) else None,
)
def test_a_wrong_start_is_told_in_one_line(small: Path, arguments: list[str], named: bytes) -> None:
    """What was wrong and where, no traceback, and nothing is left."""
    ended = _run_once(small, *arguments)

    assert ended.returncode in (1, 2)
    assert named in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert ended.stdout == b""
    assert list((small / "tmp").iterdir()) == []


def test_epochs_follow_one_another(small: Path) -> None:
    """The next is announced while the old one still answers; then the old one's messages are hinted at."""
    with EnclaveProcess(small, "--lifetime", "6", "--overlap", "3") as enclave:
        gateway, first = Gateway.greeted(enclave.link)
        old = caller_of(first)
        with gateway:
            assert gateway.result(old.call(b"first")).output == b"first"
            second = gateway.receive()
            assert isinstance(second, Announce)
            assert bundle_of(second).epoch == 2
            assert gateway.result(old.call(b"still", sequence=1)).output == b"still"
            assert gateway.result(caller_of(second).call(b"new")).output == b"new"
            third = gateway.receive()  # comes when the second has lived for three seconds, so the first for six
            assert isinstance(third, Announce)
            late = gateway.answer(old.call(b"late", sequence=2).message)

    assert bundle_of(first).boot_id == bundle_of(second).boot_id
    assert bundle_of(first).receipt_public_key != bundle_of(second).receipt_public_key
    assert late.outcome == "hinted"
    assert late.reply is not None
    assert decode_hint(late.reply).hint == "key_unknown"


def _run_once(small: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    (small / "tmp").mkdir()
    good = ["--runtime-id", "r1", "--functions", small / "functions", "--link", f"unix:{small / 'link'}"]
    return subprocess.run(
        [sys.executable, "-m", "enclaved.enclave", *good, "--device", "simulated", "--state", small / "s", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(RUNTIME_PATH),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(small / "tmp"),
        },
        capture_output=True,
        timeout=30,
        check=False,
    )
