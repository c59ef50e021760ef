"""Links and functions that misbehave: the runtime goes on, and its log tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from enclave_process import (
    ACT,
    SECRET,
    EnclaveProcess,
    Gateway,
    caller_of,
    write_function,
)
from enclaved.wire.frames import Answer, Attest, Hello, Invoke, encode_frame
from enclaved.wire.limits import MAX_FRAME


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
