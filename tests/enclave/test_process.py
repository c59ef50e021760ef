"""The real process: bytes over its link, and what the host can read of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from enclave_process import (
    RUNTIME_PATH,
    SECRET,
    EnclaveProcess,
    Gateway,
    bundle_of,
    caller_of,
)
from enclave_world import flipped
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import binding, bundle_digest
from enclaved.wire.cbor import decode_cbor
from enclaved.wire.frames import Answer, Attest, Invoke, encode_frame
from enclaved.wire.hpke import PrivateKey
from enclaved.wire.sealed_output import open_output


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
