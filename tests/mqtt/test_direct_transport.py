"""What only our own connection promises: bounded reading on real sockets, and noticing a broker that is dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import enclaved
import pytest
from brokers import LoopbackProcess, MosquittoServer, Server
from enclaved.errors import ConfigurationError
from enclaved.mqtt.packets import (
    ConnAckPacket,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    QoS,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
)
from enclaved.mqtt.transport import Connection, ConnectionState, FirstConnection, Message, parse_broker_url
from enclaved.mqtt.transports import open_transport
from scripted_broker import Conversation, scripted_broker
from transport_world import MUST, Events, as_client, payloads, take

DIRECT = open_transport("direct")
KIB = 1024


def work(packet_id: int, size: int = 0) -> PublishPacket:
    """Return a message for a consumer."""
    payload = str(packet_id).encode().ljust(size, b".")
    return PublishPacket("work", payload, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id)


async def grant(conversation: Conversation) -> None:
    """Accept a consumer."""
    await conversation.accept(ConnAckPacket())
    packet = await conversation.receive(SubscribePacket)
    await conversation.send(SubAckPacket(packet.packet_id, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]))


async def test_a_broker_that_sends_without_end_is_not_read_without_end() -> None:
    """It comes to a stop, and goes on with each acknowledgement; nothing is lost or turned round."""
    sent, stopped = 0, anyio.Event()

    async def flood(conversation: Conversation) -> None:
        nonlocal sent
        await grant(conversation)
        for number in range(1, 401):
            with anyio.move_on_after(0.5):
                await conversation.send(work(number, 64 * KIB))
                sent = number
                continue
            stopped.set()
            return

    async with (
        scripted_broker(flood) as address,
        DIRECT.consume(Connection(address=address, client_id="c"), topics=["work"], slots=2, first=MUST) as consumer,
    ):
        with anyio.fail_after(20):
            await stopped.wait()
        # What the two systems' buffers hold, and no more: far from all 25 MiB.
        assert sent < 200
        for number in range(1, sent):
            (delivery,) = await take(consumer, 1)
            delivery.acknowledge()
            assert delivery.message.payload.startswith(b"%d." % number)


async def test_a_subscription_is_granted_behind_a_backlog() -> None:
    """A broker that resumes a session may deliver more than it may, before SUBACK: no deadline ends that."""
    acknowledged: list[int] = []
    both = anyio.Event()

    async def resume(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket(session_present=True))
        packet = await conversation.receive(SubscribePacket)
        granted = SubAckPacket(packet.packet_id, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE])
        await conversation.send(work(1), work(2), work(3), granted)
        acknowledged.extend([(await conversation.receive(PubAckPacket)).packet_id for _ in range(2)])
        both.set()

    async with (
        scripted_broker(resume) as address,
        DIRECT.consume(Connection(address=address, client_id="c"), topics=["work"], slots=1) as consumer,
    ):
        (first,) = await take(consumer, 1)
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await consumer.subscribed()
        first.acknowledge()
        (second,) = await take(consumer, 1)
        second.acknowledge()
        with anyio.fail_after(5):
            await consumer.subscribed()
            await both.wait()

    assert acknowledged == [1, 2]


async def test_pings_go_on_while_reading_is_paused() -> None:
    """A function that takes long must not cost its lane the connection."""
    pings = 0
    enough = anyio.Event()

    async def count(conversation: Conversation) -> None:
        nonlocal pings
        await grant(conversation)
        await conversation.send(work(1), work(2))
        while pings < 3:
            await conversation.receive(PingReqPacket)
            await conversation.send(PingRespPacket())
            pings += 1
        enough.set()

    events = Events()
    async with (
        scripted_broker(count) as address,
        DIRECT.consume(
            Connection(address=address, client_id="c", keep_alive_s=1),
            topics=["work"],
            slots=1,
            first=MUST,
            observer=events,
        ),
    ):
        with anyio.fail_after(10):
            await enough.wait()

    assert [event.state for event in events.all] == [ConnectionState.CONNECTED]


async def test_a_broker_that_answers_no_ping_is_left() -> None:
    """A host that froze it, or a cable without an end."""

    async def freeze(conversation: Conversation) -> None:
        await grant(conversation)
        await anyio.sleep_forever()

    events = Events()
    async with (
        scripted_broker(freeze) as address,
        DIRECT.consume(
            Connection(address=address, client_id="c", keep_alive_s=1),
            topics=["work"],
            slots=1,
            first=MUST,
            observer=events,
        ),
    ):
        await events.wait_for(ConnectionState.CONNECTED, ConnectionState.LOST, ConnectionState.CONNECTED)


async def test_a_broker_that_sends_rubbish_is_left_and_tried_again() -> None:
    """It costs that connection, and no message."""
    count = 0

    async def mumble(conversation: Conversation) -> None:
        nonlocal count
        count += 1
        await grant(conversation)
        if count == 1:
            await conversation.stream.send(b"\x30\x06\x00\x03\xff\x62\x2f\x00")
        else:
            await conversation.send(work(1))

    async with (
        scripted_broker(mumble) as address,
        DIRECT.consume(Connection(address=address, client_id="c"), topics=["work"], slots=1) as consumer,
    ):
        assert payloads(await take(consumer, 1)) == ["1"]


async def test_a_websocket_address_names_the_transport_that_speaks_it() -> None:
    """A person should not have to guess."""
    connection = Connection(address=parse_broker_url("ws://127.0.0.1:1"), client_id="c")
    with pytest.raises(ConfigurationError, match="aiomqtt"):
        async with DIRECT.publish(connection):
            pytest.fail("entered")


async def test_a_name_that_connect_cannot_say_is_a_configuration_error() -> None:
    """No attempt would mend it."""
    connection = Connection(address=parse_broker_url("mqtt://127.0.0.1:1"), client_id="c", username="u" * 70_000)
    with pytest.raises(ConfigurationError):
        async with DIRECT.publish(connection):
            pytest.fail("entered")


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1:1", "ws://127.0.0.1:1"])
async def test_auto_takes_any_address(url: str) -> None:
    """The URL alone decides; nobody listens here, so the attempt fails, and that is all."""
    events = Events()
    connection = Connection(address=parse_broker_url(url), client_id="c")
    async with open_transport("auto").publish(connection, first=FirstConnection.KEEP_TRYING, observer=events):
        await events.wait_for(ConnectionState.FAILED)


async def test_a_name_that_is_no_host_is_a_failed_attempt() -> None:
    """It may become one; a service goes on trying."""
    events = Events()
    connection = Connection(address=parse_broker_url(f"mqtt://{'x' * 70}.invalid"), client_id="c")
    async with DIRECT.publish(connection, first=FirstConnection.KEEP_TRYING, observer=events):
        await events.wait_for(ConnectionState.FAILED)


@pytest.mark.parametrize("kind", ["loopback", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def test_a_backlog_waits_in_the_broker(kind: str, tmp_path: Path) -> None:
    """Thirty MiB wait; a consumer with four slots stays far below, and gets all of it in order."""
    count, size = 480, 64 * KIB
    server: Server = LoopbackProcess() if kind == "loopback" else MosquittoServer(tmp_path)
    async with server:
        async with DIRECT.consume(as_client(server, "c"), topics=["work/#"], slots=4, first=MUST):
            pass
        async with DIRECT.publish(as_client(server, "p"), first=MUST) as publisher:
            for number in range(count):
                await publisher.publish(Message(topic="work/a", payload=str(number).encode().ljust(size, b".")))
        grown_kib = await _consume_in_a_process(server, count)

    assert grown_kib < 12 * KIB


_CONSUMER = """
import resource, sys, anyio
from enclaved.mqtt.transport import Connection, FirstConnection, parse_broker_url
from enclaved.mqtt.transports import open_transport

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main(url, count):
    connection = Connection(address=parse_broker_url(url), client_id="c")
    before = peak()
    async with open_transport("direct").consume(
        connection, topics=["work/#"], slots=4, first=FirstConnection.MUST_SUCCEED
    ) as consumer:
        for number in range(count):
            delivery = await anext(consumer)
            assert delivery.message.payload.startswith(b"%d." % number)
            if number % 4 == 0:
                await anyio.sleep(0.002)
            delivery.acknowledge()
    print(peak() - before)

anyio.run(main, sys.argv[1], int(sys.argv[2]))
"""


async def _consume_in_a_process(server: Server, count: int) -> int:
    """Consume in a process of its own; return by how many KiB its memory grew."""
    environment = {**os.environ, "PYTHONPATH": str(Path(enclaved.__file__).parent.parent)}
    command = [sys.executable, "-c", _CONSUMER, server.url, str(count)]
    with anyio.fail_after(60):
        ended = await anyio.run_process(command, env=environment, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return int(ended.stdout)
