"""The small parts: addresses, pauses, counters, options, and what is told."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from enclaved.errors import ConfigurationError, LinkError, TransportError
from enclaved.gateway.address import LinkAddress, UnixAddress, VsockAddress, parse_link_address
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.events import Serving, Stopped, to_json
from enclaved.gateway.latest import Latest
from enclaved.gateway.options import read_password
from enclaved.gateway.outbox import Outbox, Patience
from enclaved.gateway.pauses import Pacing, Pauses
from enclaved.gateway.stream import OpenSocket, connect, open_socket
from enclaved.mqtt.transport import Message
from gateway_broker import FakeBroker
from gateway_world import options
from hypothesis import given
from hypothesis import strategies as some


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/link.sock", UnixAddress(path=Path("/run/link.sock"))),
        ("unix:link.sock", UnixAddress(path=Path("link.sock"))),
        ("vsock:16:5000", VsockAddress(cid=16, port=5000)),
    ],
)
def test_a_link_address_is_read_and_written_the_same(text: str, address: LinkAddress) -> None:
    """What a person wrote is what is shown."""
    assert parse_link_address(text) == address
    assert address.text == text


@pytest.mark.parametrize(
    "text",
    ["", "unix:", "unix:" + "x" * 108, "vsock:16", "vsock:-1:5", "vsock:²:5", "vsock:16:" + "9" * 5000, "tcp:1:2"],
)
def test_another_link_address_is_refused(text: str) -> None:
    """It is the person's to correct, with a word on how."""
    with pytest.raises(ConfigurationError) as refused:
        parse_link_address(text)

    assert refused.value.where == "link"


@given(text=some.text())
def test_any_text_is_a_link_address_or_a_configuration_error(text: str) -> None:
    """Options are people's."""
    try:
        parse_link_address(text)
    except ConfigurationError:
        return


@contextmanager
def listening(path: Path) -> Iterator[tuple[socket.socket, OpenSocket]]:
    """Listen in place of a vsock, and give what makes a socket to dial it: a machine without vsock can then test it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener, lambda address: (socket.socket(socket.AF_UNIX), str(path))


async def test_bytes_go_both_ways_until_the_end(tmp_path: Path) -> None:
    """The end of the stream is no bytes."""
    with listening(tmp_path / "vsock") as (listener, make):
        stream = await connect(VsockAddress(cid=16, port=5000), make=make)
        accepted, _ = listener.accept()
        with accepted:
            await stream.send(b"hello")
            assert accepted.recv(16) == b"hello"
            accepted.sendall(b"there")
            assert await stream.receive() == b"there"
        assert await stream.receive() == b""
        stream.close()


async def test_a_broken_stream_is_a_link_error(tmp_path: Path) -> None:
    """The other end may vanish at any byte."""
    with listening(tmp_path / "vsock") as (listener, make):
        stream = await connect(VsockAddress(cid=16, port=5000), make=make)
        accepted, _ = listener.accept()
        accepted.close()
        with pytest.raises(LinkError):
            await stream.send(bytes(1 << 20))
        stream.close()


def test_a_vsock_is_dialled_by_context_and_port() -> None:
    """Where the system has such sockets at all."""
    try:
        made, target = open_socket(VsockAddress(cid=16, port=5000))
    except LinkError:
        pytest.skip("this system has no vsock")
    with made:
        assert target == (16, 5000)


def test_pauses_grow_to_a_longest_one_and_begin_again() -> None:
    """The jitter takes at most half away, so nobody hammers and nobody waits in step."""
    pauses = Pauses(Pacing(first_s=1, longest_s=4), random=lambda size: b"\xff" * size)

    assert [round(pauses.draw(), 3) for _ in range(5)] == [1, 2, 4, 4, 4]
    pauses.reset()
    assert round(pauses.draw(), 3) == 1


def test_jitter_takes_at_most_half_away() -> None:
    """Even the luckiest draw is a pause."""
    assert Pauses(Pacing(first_s=1, longest_s=4), random=bytes).draw() == 0.5


async def offers(code: int, *, attempts: int) -> int:
    """Return how often a message is offered to a broker that always refuses it with this code."""
    broker = FakeBroker()
    broker.refuse["a"] = code
    patience = Patience(attempts=attempts, pacing=Pacing(first_s=0.001, longest_s=0.001))
    async with broker.publish(options(Path("unused")).connection("publisher")) as publisher:
        with pytest.raises(TransportError) as refused:
            await Outbox(publisher, patience=patience).publish(Message(topic="a", payload=b""))

    assert refused.value.reason_code == code
    return broker.journal.count(("offered", "a"))


@pytest.mark.parametrize("code", [0x87, 0x90, 0x95, 0x99])
async def test_a_final_refusal_is_not_argued_with(code: int) -> None:
    """Rights, topics and sizes do not change by asking again."""
    assert await offers(code, attempts=5) == 1


@pytest.mark.parametrize("code", [0x80, 0x83, 0x97])
async def test_a_passing_refusal_is_believed_in_the_end(code: int) -> None:
    """A slot must not be held for ever by one message that a broker does not want."""
    assert await offers(code, attempts=5) == 5


async def test_a_slow_reader_gets_the_newest_value_only() -> None:
    """Nothing piles up."""
    latest: Latest[str] = Latest()
    latest.put("first")
    latest.put("second")

    assert await latest.after(0) == (2, "second")


async def test_a_reader_waits_for_a_newer_value() -> None:
    """It has seen the present one."""
    latest: Latest[str] = Latest()
    latest.put("first")
    seen: list[tuple[int, str]] = []

    async def read() -> None:
        seen.append(await latest.after(1))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.lowlevel.checkpoint()
        assert seen == []
        latest.put("second")

    assert seen == [(2, "second")]


def test_all_counters_are_shown_from_the_start() -> None:
    """A metric that appears only once something went wrong is hard to watch for."""
    counters = Counters()
    counters.add(Counter.MALFORMED)

    assert counters.snapshot()["malformed"] == 1
    assert set(counters.snapshot()) == {counter.value for counter in Counter}


def test_events_are_one_line_of_json_each() -> None:
    """Whoever started the gateway reads them line by line."""
    line = to_json(Serving(namespace="demo", runtime_id="ward-1", functions=("echo",)))

    assert json.loads(line) == {
        "event": "serving",
        "namespace": "demo",
        "runtime_id": "ward-1",
        "functions": ["echo"],
    }
    assert "\n" not in to_json(Stopped(finished=True, counters={"received": 1}))


def test_a_password_is_read_without_its_newline(tmp_path: Path) -> None:
    """Editors add one."""
    file = tmp_path / "password"
    file.write_text("open sesame\n")

    assert read_password(file) == "open sesame"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"], ids=["missing", "empty", "newline", "no text"])
def test_a_file_without_password_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """An empty password must not look like one that was given."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError):
        read_password(file)


def test_the_password_is_not_shown() -> None:
    """Options end in logs and tracebacks."""
    shown = repr(options(Path("link.sock"), username="gateway", password="open sesame"))

    assert "sesame" not in shown
