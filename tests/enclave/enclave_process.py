"""The real enclave process, and a gateway that speaks frames to it over its Unix link."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from enclave_world import Call, CallerSide
from enclaved.clock import SystemClock
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import KeyBundle, decode_bundle
from enclaved.wire.frames import Announce, Answer, Attest, Attested, Frame, FrameReader, Hello, Invoke, encode_frame
from enclaved.wire.result import ResultBody

__all__ = ["ACT", "ECHO", "SECRET", "EnclaveProcess", "Gateway", "gone", "write_function"]

SECRET = "correct-horse-battery-staple"

ECHO = "def handle(payload):\n    return payload\n"
ACT = f"""
import ctypes, os, signal, sys

def handle(payload):
    word = payload.decode()
    if word == "raise":
        raise ValueError("{SECRET} raised")
    if word == "loop":
        while True:
            pass
    if word == "memory":
        return bytes(1 << 34)
    if word == "large":
        return bytes(2 << 20)
    if word == "megabyte":
        return bytes(1 << 20)
    if word == "exit":
        sys.exit(1)
    if word == "os-exit":
        os._exit(3)
    if word == "crash":
        ctypes.string_at(0)
    if word == "kill":
        signal.raise_signal(9)
    print("{SECRET} printed")
    print("{SECRET} complained", file=sys.stderr)
    return b"done"
"""

RUNTIME_PATH = Path(__file__).parents[2] / "runtime"
PATIENCE_S = 20.0


class EnclaveProcess:
    """One enclave process, its files in a folder of the test's."""

    def __init__(self, folder: Path, *arguments: str, python: Iterable[str] = ()) -> None:
        self.link = folder / "link"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.log = folder / "stderr"
        environment = {
            **os.environ,
            "PYTHONPATH": str(RUNTIME_PATH),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.temporary),
        }
        command = [
            *(sys.executable, *python, "-m", "enclaved.enclave"),
            *("--runtime-id", "r1", "--functions", str(folder / "functions"), "--link", f"unix:{self.link}"),
            *("--device", "simulated", "--state", str(folder / "state"), *arguments),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert self.said, self.log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ready(self) -> dict[str, object]:
        """What it said when it was ready."""
        ready: dict[str, object] = json.loads(self.said)
        return ready

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code; everything that it said is then in `said`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        self.said += rest or b""
        return self.process.returncode

    def descendants(self) -> list[int]:
        """Return every process that it started, and that those started."""
        found, unseen = [], [self.process.pid]
        while unseen:
            children = _children(unseen.pop())
            found += children
            unseen += children
        return found

    def memory_kib(self) -> int:
        """Return what it has resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


class Gateway:
    """One connection to an enclave."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._frames = FrameReader()
        self._received: list[Frame] = []
        self._numbers = iter(range(1, 1 << 30))

    @classmethod
    def greeted(cls, path: Path) -> tuple[Gateway, Announce]:
        """Connect and say hello."""
        gateway = cls(path)
        gateway.send(Hello(v=1))
        announce = gateway.receive()
        assert isinstance(announce, Announce)
        return gateway, announce

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *frames: Frame) -> None:
        """Send frames in one piece."""
        self.socket.sendall(b"".join(map(encode_frame, frames)))

    def receive(self) -> Frame | None:
        """Return the next frame; None at the end of the connection."""
        while not self._received:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._received += self._frames.feed(data)
        return self._received.pop(0)

    def answer(self, message: bytes) -> Answer:
        """Hand an invocation in and wait for what becomes of it."""
        number = next(self._numbers)
        self.send(Invoke(id=number, message=message))
        answer = self.receive()
        assert isinstance(answer, Answer)
        assert answer.id == number
        return answer

    def result(self, call: Call) -> ResultBody:
        """Hand a call in and open its sealed answer."""
        answer = self.answer(call.message)
        assert answer.reply is not None
        return call.opened(answer.reply)

    def challenge(self, nonce: bytes) -> bytes | None:
        """Ask for evidence over a nonce."""
        self.send(Attest(id=1, nonce=nonce))
        attested = self.receive()
        assert isinstance(attested, Attested)
        return attested.attestation


def bundle_of(announce: Announce) -> KeyBundle:
    """Return the bundle that was announced."""
    return decode_bundle(decode_attestation(announce.attestation).bundle)


def caller_of(announce: Announce) -> CallerSide:
    """Return a new session of an anonymous caller."""
    return CallerSide.of(decode_attestation(announce.attestation).bundle, clock=SystemClock())


def gone(pids: list[int], *, within_s: float) -> bool:
    """Wait until processes are gone, and tell whether they are."""
    with ExitStack() as files:
        poll = select.poll()
        alive = 0
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            files.callback(os.close, descriptor)
            poll.register(descriptor, select.POLLIN)
            alive += 1
        while alive:
            ended = poll.poll(within_s * 1000)
            if not ended:
                return False
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                alive -= 1
    return True


def write_function(functions: Path, name: str, code: str, more: str = "") -> None:
    """Write a function's folder."""
    folder = functions / name
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text(code)
    (folder / "function.toml").write_text(
        f'name = "{name}"\nversion = "1"\nengine = "python"\nentrypoint = "handler:handle"\ncallers = "any"\n{more}'
    )


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
