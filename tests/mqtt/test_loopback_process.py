"""The development broker as a process and as an adversary: where it listens, what it records, what it diverts."""

from __future__ import annotations

import io
import signal
import socket
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from brokers import LoopbackProcess, free_port
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.mqtt.broker.publication import Publication, Routed, route_unchanged
from enclaved.mqtt.broker.recording import Recorder, RecordKind, read_recording
from enclaved.mqtt.loopback import LoopbackBroker, main
from enclaved.mqtt.packet_fields import ReasonCode
from enclaved.mqtt.packets import DisconnectPacket, DisconnectReasonCode, PubAckReasonCode
from enclaved.mqtt.transport import Connection, FirstConnection, Message, parse_broker_url
from enclaved.mqtt.transports import open_transport
from raw_client import RawClient


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", ""])  # noqa: S104 - refused
def test_only_loopback_addresses_are_listened_on(host: str) -> None:
    """It asks nobody for a password; a name could resolve to anything."""
    with pytest.raises(ConfigurationError):
        LoopbackBroker(host=host)


def test_a_broker_that_listens_nowhere_is_an_error() -> None:
    """Neither a port nor a socket."""
    with pytest.raises(ConfigurationError):
        LoopbackBroker(port=None)


async def test_a_port_in_use_is_a_configuration_error() -> None:
    """It says where, and what to do."""
    async with LoopbackBroker() as first:
        with pytest.raises(ConfigurationError, match=str(first.port)):
            async with LoopbackBroker(port=first.port):
                pytest.fail("listened on a port in use")


async def test_the_unix_socket_is_the_users_own(tmp_path: Path) -> None:
    """Mode 600 stands in for a password; nothing is left afterwards."""
    path = tmp_path / "broker.sock"
    async with LoopbackBroker(port=None, unix=path):
        mode = stat.S_IMODE(path.stat().st_mode)
        connection = Connection(address=parse_broker_url(f"unix:{path}"), client_id="p")
        async with open_transport("auto").publish(connection, first=FirstConnection.MUST_SUCCEED) as publisher:
            await publisher.publish(Message(topic="a", payload=b"x"))

    assert mode == 0o600
    assert not path.exists()


async def test_stopping_tells_every_client() -> None:
    """0x8B, so that a client knows that it may come back."""
    async with LoopbackBroker() as broker:
        client = RawClient(broker.port)
        await client.__aenter__()
        await client.connect("a")

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.SERVER_SHUTTING_DOWN
    await client.drop()


async def test_a_client_can_be_thrown_out() -> None:
    """As a broker's operator would."""
    async with LoopbackBroker() as broker, RawClient(broker.port) as client:
        await client.connect("a")

        assert broker.disconnect("a", ReasonCode.SERVER_BUSY)
        assert not broker.disconnect("nobody")
        assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.SERVER_BUSY


async def test_nagles_algorithm_is_off() -> None:
    """It costs 44 ms an exchange."""
    async with LoopbackBroker() as broker, RawClient(broker.port) as client:
        await client.connect("a")
        (served,) = broker._sockets
        raw = served._stream.extra_attributes[anyio.abc.SocketAttribute.raw_socket]()

        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_ends_within_a_second(how: signal.Signals, tmp_path: Path) -> None:
    """Cleanly, with a client connected, and with its recording written."""
    record = tmp_path / "record"
    async with LoopbackProcess(record=record) as server, RawClient(server.port) as client:
        await client.connect("a")
        await client.publish("topic/x", b"payload-y")
        assert server.process is not None
        server.process.send_signal(how)
        with anyio.fail_after(1):
            code = await server.process.wait()

    assert code == 0
    assert b"payload-y" in record.read_bytes()


def test_a_refused_command_line_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line."""
    assert main(["--host", "192.0.2.1", "--port", str(free_port())]) == 2
    assert "development broker" in capsys.readouterr().err


# Recording


async def test_every_byte_that_passes_is_recorded() -> None:
    """Both ways, and each publication once more in one piece, however its packets were cut."""
    file = io.BytesIO()
    payload = bytes(range(256)) * 1024  # several chunks of a socket
    async with LoopbackBroker(record=file) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("topic/ü")
        await client.publish(
            "topic/ü",
            payload,
            response_topic="reply/x",
            correlation_data=b"\x01\x02\x03",
            user_properties=[("name", "value")],
        )
        await client.take()
    file.seek(0)
    records = list(read_recording(file))
    published = [record.data for record in records if record.kind is RecordKind.PUBLISHED]
    received = b"".join(record.data for record in records if record.kind is RecordKind.RECEIVED)
    sent = b"".join(record.data for record in records if record.kind is RecordKind.SENT)

    assert len(published) == 1
    for part in ("topic/ü".encode(), b"reply/x", b"\x01\x02\x03", b"name", b"value", payload):
        assert part in published[0]
        assert part in received
    assert payload in sent
    assert {record.connection for record in records} == {0, 1}


@pytest.mark.parametrize("cut", [1, 8, 10])
def test_a_recording_that_is_cut_off_is_an_error(cut: int) -> None:
    """A search of half a recording would prove nothing."""
    file = io.BytesIO()
    Recorder(file).record(RecordKind.SENT, b"abc", connection=1)
    with pytest.raises(ProtocolError):
        list(read_recording(io.BytesIO(file.getvalue()[:cut])))


# Diverting


class Adversary:
    """Routes what a test gave it in place of each publication, and remembers those."""

    def __init__(self) -> None:
        self.seen: list[Publication] = []
        self.instead = route_unchanged

    def __call__(self, publication: Publication) -> Sequence[Routed]:
        """Divert."""
        self.seen.append(publication)
        return self.instead(publication)


async def test_an_interceptor_sees_who_published_what() -> None:
    """Publisher, topic, payload, properties, retain."""
    adversary = Adversary()
    async with LoopbackBroker(interceptor=adversary) as broker, RawClient(broker.port) as client:
        await client.connect("alice")
        await client.publish("t", b"x", retain=True, content_type="text/plain")
    (seen,) = adversary.seen

    assert (seen.publisher, seen.topic, seen.payload, seen.retain, seen.content_type) == (
        "alice",
        "t",
        b"x",
        True,
        "text/plain",
    )


async def test_an_interceptor_can_drop() -> None:
    """And the publisher is told success."""
    adversary = Adversary()
    adversary.instead = lambda publication: []
    async with LoopbackBroker(interceptor=adversary) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("t")
        answer = await client.publish("t", b"x")
        await client.quiet()

    assert answer.reason_code == PubAckReasonCode.SUCCESS


async def test_an_interceptor_can_duplicate_redirect_and_forge() -> None:
    """What it returns is routed in its order."""
    adversary = Adversary()
    adversary.instead = lambda publication: [
        Routed(publication=publication),
        Routed(publication=publication),
        Routed(publication=replace(publication, topic="elsewhere")),
        Routed(publication=replace(publication, payload=b"forged", publisher="mallory")),
    ]
    async with LoopbackBroker(interceptor=adversary) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("#")
        await client.publish("t", b"x")
        received = [await client.take() for _ in range(4)]

    assert [(each.topic, each.payload) for each in received] == [
        ("t", b"x"),
        ("t", b"x"),
        ("elsewhere", b"x"),
        ("t", b"forged"),
    ]


async def test_an_interceptor_can_delay_and_so_reorder() -> None:
    """The later message overtakes the held one."""
    adversary = Adversary()
    adversary.instead = lambda publication: [
        Routed(publication=publication, delay_s=0.05 if publication.payload == b"first" else 0)
    ]
    async with LoopbackBroker(interceptor=adversary) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("t")
        await client.publish("t", b"first")
        await client.publish("t", b"second")

        assert [(await client.take()).payload for _ in range(2)] == [b"second", b"first"]


async def test_what_an_interceptor_makes_that_no_packet_can_carry_is_dropped() -> None:
    """A mistake in a test's adversary does not end the broker."""
    adversary = Adversary()
    adversary.instead = lambda publication: [
        Routed(publication=replace(publication, response_topic="a/#")),
        Routed(publication=publication),
    ]
    async with LoopbackBroker(interceptor=adversary) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("t")
        await client.publish("t", b"x")

        assert (await client.take()).response_topic is None


async def test_the_broker_can_forge_without_a_publisher() -> None:
    """A replay at any time, past the interceptor."""
    async with LoopbackBroker() as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("t")
        code = broker.inject(Publication(publisher="nobody", topic="t", payload=b"replayed"))

        assert code is ReasonCode.SUCCESS
        assert (await client.take()).payload == b"replayed"
