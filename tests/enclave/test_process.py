"""The real process: bytes over its link, signals, and what the host can read of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from enclave_process import RUNTIME_PATH, EnclaveProcess, Gateway, bundle_of, caller_of, gone, write_function
from enclave_world import flipped, recipient_key
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import binding, bundle_digest
from enclaved.wire.cbor import decode_cbor
from enclaved.wire.frames import Announce, Answer, Attest, Hello, Invoke, encode_frame
from enclaved.wire.hint import decode_hint
from enclaved.wire.hpke import PrivateKey
from enclaved.wire.limits import MAX_FRAME
from enclaved.wire.sealed_output import open_output

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


@pytest.fixture(scope="module")
def recipient() -> tuple[PrivateKey, str]:
    """The key of who gets the alarms."""
    return recipient_key()


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory, recipient: tuple[PrivateKey, str]) -> Iterator[EnclaveProcess]:
    """One enclave for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("e")
    write_function(folder / "functions", "echo", ECHO)
    write_function(folder / "functions", "act", ACT, "[limits]\ntime_ms = 700\nmemory_mib = 64\n")
    write_function(
        folder / "functions",
        "alarm",
        ECHO,
        f'[trigger]\ntopics = ["ward/+/vitals"]\n[output]\ntopic = "alarms"\nrecipients = ["{recipient[1]}"]\n',
    )
    with EnclaveProcess(folder) as enclave:
        yield enclave


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with one function, for enclaves that a test ends."""
    write_function(tmp_path / "functions", "echo", ECHO)
    return tmp_path


# --- what it says


def test_it_says_when_it_is_ready(enclave: EnclaveProcess) -> None:
    """One line of JSON, once it listens; who starts it reads the digests from there."""
    ready = enclave.ready

    assert (ready["event"], ready["runtime_id"], ready["namespace"]) == ("ready", "r1", "demo")
    assert ready["device"] == "simulated"
    assert [function["name"] for function in ready["functions"]] == ["act", "alarm", "echo"]  # type: ignore[attr-defined]


def test_hello_is_answered_by_the_announcement(enclave: EnclaveProcess) -> None:
    """Everything that the gateway needs, and no key."""
    gateway, announce = Gateway.greeted(enclave.link)
    with gateway:
        bundle = bundle_of(announce)

    assert (announce.namespace, announce.runtime_id) == ("demo", "r1")
    assert [lane.function for lane in announce.lanes] == ["act", "alarm", "echo"]
    assert announce.lanes[1].triggers == ("ward/+/vitals",)
    assert 0 < announce.expires_in_ms <= 3_600_000
    assert {entry.isolation for entry in bundle.functions} in ({"full"}, {"restricted"})  # what this machine gives


def test_an_invocation_is_answered(enclave: EnclaveProcess) -> None:
    """The whole path, with real bytes."""
    gateway, announce = Gateway.greeted(enclave.link)
    with gateway:
        result = gateway.result(caller_of(announce).call(b"hello"))

    assert (result.status, result.code, result.output, result.log) == ("ok", "ok", b"hello", b"")
    assert result.receipt is not None


def test_two_invocations_at_once_are_both_answered(enclave: EnclaveProcess) -> None:
    """In one piece on the stream; each answer carries its number."""
    gateway, announce = Gateway.greeted(enclave.link)
    caller = caller_of(announce)
    calls = {number: caller.call(b"number %d" % number, sequence=number) for number in (0, 1)}
    with gateway:
        gateway.send(*(Invoke(id=number, message=call.message) for number, call in calls.items()))
        answers = [gateway.receive(), gateway.receive()]

    for answer in answers:
        assert isinstance(answer, Answer)
        assert answer.reply is not None
        assert calls[answer.id].opened(answer.reply).output == b"number %d" % answer.id


def test_frames_may_come_in_any_pieces(enclave: EnclaveProcess) -> None:
    """A stream has no messages."""
    gateway, announce = Gateway.greeted(enclave.link)
    call = caller_of(announce).call(b"in pieces")
    with gateway:
        for byte in encode_frame(Invoke(id=5, message=call.message)):
            gateway.socket.sendall(bytes([byte]))
        answer = gateway.receive()

    assert isinstance(answer, Answer)
    assert answer.reply is not None
    assert call.opened(answer.reply).output == b"in pieces"


def test_what_cannot_be_answered_is_told_to_the_host_in_one_word(enclave: EnclaveProcess) -> None:
    """As much as a host may know, and has to, to acknowledge."""
    gateway, announce = Gateway.greeted(enclave.link)
    caller = caller_of(announce)
    call = caller.call()
    with gateway:
        outcomes = [
            gateway.answer(b"garbage").outcome,
            gateway.answer(caller.call(runtime_id="r2").message).outcome,
            gateway.answer(caller.call(key_id=bytes(16)).message).outcome,
            gateway.answer(caller.call(key_id=bytes(16), response_topic=None).message).outcome,
            gateway.answer(call.with_offer(None)).outcome,
            gateway.answer(call.with_ciphertext(flipped(call.sealed.ciphertext))).outcome,
            gateway.answer(caller.call(function="nothing").message).outcome,
            gateway.answer(caller.call(sequence=1).message).outcome,
        ]

    assert outcomes == ["dropped", "dropped", "hinted", "dead", "hinted", "hinted", "refused", "answered"]


def test_a_challenge_is_answered_by_evidence_over_its_nonce(enclave: EnclaveProcess) -> None:
    """Fresh evidence for the same keys: what a caller trusts."""
    gateway, announce = Gateway.greeted(enclave.link)
    nonce = os.urandom(32)
    with gateway:
        fresh = gateway.challenge(nonce)

    assert fresh is not None
    attestation = decode_attestation(fresh)
    assert attestation.bundle == decode_attestation(announce.attestation).bundle
    assert attestation.challenge is not None
    assert attestation.challenge.nonce == nonce
    signed = decode_cbor(attestation.evidence.report, what="report", max_size=1 << 16)
    payload = decode_cbor(signed[0], what="payload", max_size=1 << 16)  # type: ignore[index,arg-type]
    assert payload["bound_data"] == binding(bundle_digest(attestation.bundle), nonce)  # type: ignore[index,call-overload]


def test_a_flood_of_challenges_is_told_to_wait(enclave: EnclaveProcess) -> None:
    """The device makes a few quotes a second; what waits for it is bounded, and every challenge is answered."""
    gateway, _ = Gateway.greeted(enclave.link)
    with gateway:
        gateway.send(*(Attest(id=number, nonce=bytes(32)) for number in range(100)))
        answers = [gateway.receive() for _ in range(100)]

    assert {answer.id for answer in answers} == set(range(100))  # type: ignore[union-attr]
    assert any(answer.attestation for answer in answers)  # type: ignore[union-attr]
    assert any(answer.attestation is None for answer in answers)  # type: ignore[union-attr]


def test_an_events_output_is_for_its_recipients(enclave: EnclaveProcess, recipient: tuple[PrivateKey, str]) -> None:
    """The producer's acknowledgement shows that it ran, and not what came out."""
    gateway, announce = Gateway.greeted(enclave.link)
    call = caller_of(announce).call(b"vitals", function="alarm")
    with gateway:
        answer = gateway.answer(call.message)

    assert answer.reply is not None
    acknowledgement = call.opened(answer.reply)
    assert (acknowledgement.output, acknowledgement.result_salt) == (b"", None)
    assert [output.topic for output in answer.outputs] == ["alarms"]
    assert open_output(answer.outputs[0].payload, key=recipient[0])[1].output == b"vitals"


# --- links that misbehave


@pytest.mark.parametrize(
    "data",
    [
        encode_frame(Hello(v=2)),
        encode_frame(Invoke(id=1, message=b"")),
        encode_frame(Attest(id=1, nonce=bytes(32))),
        encode_frame(Answer(id=1, outcome="answered", reply=None, outputs=())),
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x00",
        (MAX_FRAME + 1).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\n\r\n",
        encode_frame(Hello(v=1))[:-1] + b"\xff",
    ],
    ids=["version", "invoke-first", "attest-first", "answer", "garbage", "empty", "huge", "http", "turned"],
)
def test_who_does_not_keep_to_the_protocol_loses_only_the_link(enclave: EnclaveProcess, data: bytes) -> None:
    """Every other link goes on."""
    good, announce = Gateway.greeted(enclave.link)
    with good, Gateway(enclave.link) as bad:
        bad.socket.sendall(data)
        assert bad.receive() is None
        assert good.result(caller_of(announce).call(b"still here")).output == b"still here"


def test_a_frame_of_the_gateways_that_only_an_enclave_may_send_closes_a_greeted_link(enclave: EnclaveProcess) -> None:
    """Having said hello changes nothing about that."""
    gateway, announce = Gateway.greeted(enclave.link)
    with gateway:
        gateway.send(announce)
        assert gateway.receive() is None


def test_links_that_say_nothing_do_not_keep_gateways_out(enclave: EnclaveProcess) -> None:
    """Their number is bounded, and the ones that are too many are closed."""
    good, announce = Gateway.greeted(enclave.link)
    with good:
        silent = [Gateway(enclave.link) for _ in range(40)]
        assert silent[-1].receive() is None
        assert good.result(caller_of(announce).call(b"still here")).output == b"still here"
        for link in silent:
            link.socket.close()
    with Gateway.greeted(enclave.link)[0]:
        pass  # and there is room again


def test_after_a_lost_link_a_repeat_gets_the_same_answer(enclave: EnclaveProcess) -> None:
    """A gateway that died after handing in hands in again."""
    gateway, announce = Gateway.greeted(enclave.link)
    call = caller_of(announce).call(b"once")
    with gateway:
        first = gateway.answer(call.message)
    again, _ = Gateway.greeted(enclave.link)
    with again:
        second = again.answer(call.message)

    assert (first.reply, first.outputs) == (second.reply, second.outputs)


def test_an_answer_is_kept_for_who_comes_back(enclave: EnclaveProcess) -> None:
    """The link was lost while the function ran: the repeat joins it or gets its answer, and nothing runs twice."""
    gateway, announce = Gateway.greeted(enclave.link)
    call = caller_of(announce).call(b"loop", function="act")
    with gateway:
        gateway.send(Invoke(id=1, message=call.message))
    again, _ = Gateway.greeted(enclave.link)
    with again:
        assert again.result(call).code == "time_limit"


def test_who_does_not_read_gets_no_more_memory(enclave: EnclaveProcess) -> None:
    """Repeats are small and their answers large; while nobody takes these, those are not looked at."""
    gateway, announce = Gateway.greeted(enclave.link)
    call = caller_of(announce).call(b"megabyte", function="act")
    with gateway:
        first = gateway.answer(call.message)
        repeat = encode_frame(Invoke(id=1, message=call.with_offer(None)))
        before = enclave.memory_kib()
        gateway.socket.sendall(repeat * 300)
        other, announced = Gateway.greeted(enclave.link)
        with other:  # by the time it is answered, the enclave has read what it will read of the other link
            assert other.result(caller_of(announced).call(b"meanwhile")).output == b"meanwhile"
        assert enclave.memory_kib() - before < 64 << 10
        answers = [gateway.receive() for _ in range(300)]

    assert all(isinstance(answer, Answer) and answer.reply == first.reply for answer in answers)


# --- functions that misbehave


@pytest.mark.parametrize(
    ("word", "code", "text"),
    [
        ("raise", "function_failed", f"{SECRET} raised"),
        ("loop", "time_limit", "700 ms"),
        ("memory", "memory_limit", "memory"),
        ("large", "output_too_large", "longer"),
        ("exit", "function_failed", "status 1"),
        ("os-exit", "function_failed", "status 3"),
        ("crash", "function_failed", "SIGSEGV"),
        ("kill", "function_failed", "SIGKILL"),
    ],
)
def test_what_a_function_does_is_told_to_its_caller_alone(
    enclave: EnclaveProcess, word: str, code: str, text: str
) -> None:
    """Sealed `failed`, its code, its own words; and the runtime goes on."""
    gateway, announce = Gateway.greeted(enclave.link)
    caller = caller_of(announce)
    call = caller.call(word.encode(), function="act")
    with gateway:
        answer = gateway.answer(call.message)
        assert answer.reply is not None
        result = call.opened(answer.reply)
        assert gateway.result(caller.call(b"on", sequence=1)).output == b"on"

    assert (answer.outcome, result.status, result.code) == ("answered", "failed", code)
    assert text in result.output.decode() + result.log.decode()
    assert result.receipt is not None


def test_printing_changes_nothing_and_is_told_to_the_caller(enclave: EnclaveProcess) -> None:
    """Both streams, sealed beside the output."""
    gateway, announce = Gateway.greeted(enclave.link)
    with gateway:
        result = gateway.result(caller_of(announce).call(b"print", function="act"))

    assert (result.status, result.output) == ("ok", b"done")
    assert f"{SECRET} printed".encode() in result.log
    assert f"{SECRET} complained".encode() in result.log


def test_the_hosts_log_holds_none_of_it(small: Path) -> None:
    """Everything that the process wrote while it served, failures included."""
    write_function(small / "functions", "act", ACT, "[limits]\ntime_ms = 700\nmemory_mib = 64\n")
    with EnclaveProcess(small) as enclave:
        gateway, announce = Gateway.greeted(enclave.link)
        caller = caller_of(announce)
        with gateway:
            gateway.result(caller.call(SECRET.encode()))
            for number, word in enumerate((b"raise", b"exit", b"crash", b"print", SECRET.encode()), start=1):
                gateway.result(caller.call(word, function="act", sequence=number))
            gateway.answer(SECRET.encode())
            gateway.answer(caller.call(function=SECRET, sequence=50).message)
        with Gateway(enclave.link) as bad:
            bad.socket.sendall(SECRET.encode())
            bad.receive()
        assert enclave.stop() == 0
        written = enclave.said + enclave.log.read_bytes()

    assert SECRET.encode() not in written
    assert b"Traceback" not in written


# --- how it ends


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


# --- epochs


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


# --- what the host may see of it


def test_it_leaves_no_core_file_and_gains_no_privilege(enclave: EnclaveProcess) -> None:
    """Keys are in its memory; a core file would be the host's to read."""
    limits = Path(f"/proc/{enclave.process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    status = Path(f"/proc/{enclave.process.pid}/status").read_text()

    assert core.split()[4:6] == ["0", "0"]
    assert "NoNewPrivs:\t1" in status


def test_what_it_gives_up_is_given_up(tmp_path: Path) -> None:
    """Asked of the kernel by a process that has done what the enclave does first."""
    asked = (
        "import ctypes, os, resource, sys\n"
        "from enclaved.enclave.hardening import harden\n"
        "harden(parent=None)\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": str(RUNTIME_PATH)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert answer.stdout.split() == [b"0", b"(0,", b"0)", b"0o77"]


def test_its_memory_is_not_its_users_to_read(enclave: EnclaveProcess) -> None:
    """A process that is not dumpable is root's in /proc, whoever runs it."""
    assert Path(f"/proc/{enclave.process.pid}/mem").stat().st_uid == 0


def test_its_link_is_its_users_alone(enclave: EnclaveProcess) -> None:
    """The folder is private as well; two doors."""
    assert enclave.link.stat().st_mode & 0o077 == 0


def test_its_state_holds_no_plaintext_and_no_session_key(enclave: EnclaveProcess) -> None:
    """What lies at rest is the simulated root, and the functions as they were measured."""
    gateway, announce = Gateway.greeted(enclave.link)
    with gateway:
        gateway.result(caller_of(announce).call(SECRET.encode()))
    written = [path for path in enclave.link.parent.rglob("*") if path.is_file() and path.parent.name != "act"]

    assert written
    assert not any(SECRET.encode() in path.read_bytes() for path in written)


def test_the_ready_line_is_all_of_its_output(small: Path) -> None:
    """Programs read it."""
    with EnclaveProcess(small) as enclave:
        enclave.stop()

        assert len(enclave.said.splitlines()) == 1
        assert json.loads(enclave.said)["event"] == "ready"


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
