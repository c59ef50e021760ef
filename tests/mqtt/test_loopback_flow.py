"""The development broker: bounds of every kind, expiry, and what ends a connection."""

from __future__ import annotations

import anyio
import pytest
from broker_world import HOUR, World, narrow
from enclaved.mqtt.packets import (
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PubAckReasonCode,
)


async def test_a_clients_receive_maximum_is_respected(world: World) -> None:
    """Also with a queue behind it, and after each acknowledgement (section 4.9)."""
    client = await world.client("a", receive_max=2)
    await client.subscribe("work")
    publisher = await world.client("p")
    for number in range(4):
        await publisher.publish("work", str(number).encode())
    first = await client.take(acknowledge=False)
    await client.take(acknowledge=False)
    await client.quiet()
    await client.send(PubAckPacket(first.packet_id or 0))

    assert (await client.take(acknowledge=False)).payload == b"2"
    await client.quiet()


async def test_receive_maximum_bounds_redelivery_too(world: World) -> None:
    """A client may come back with a smaller one."""
    client = await world.client("a", session_expiry_interval=HOUR)
    await client.subscribe("work")
    publisher = await world.client("p")
    for number in range(3):
        await publisher.publish("work", str(number).encode())
    for _ in range(3):
        await client.take(acknowledge=False)
    await client.drop()
    back = await world.client("a", receive_max=1)

    for number in range(3):
        packet = await back.take(acknowledge=False)
        await back.quiet()
        assert packet.payload == str(number).encode()
        await back.send(PubAckPacket(packet.packet_id or 0))


async def test_what_is_too_large_for_a_client_is_dropped_for_it(world: World) -> None:
    """As if it had been delivered, so that the rest goes on (MQTT-3.1.2-25)."""
    client = await world.client("a", max_packet_size=200)
    await client.subscribe("work")
    publisher = await world.client("p")
    await publisher.publish("work", b"x" * 300)
    await publisher.publish("work", b"small")

    assert (await client.take()).payload == b"small"


@narrow(session_bytes=4000)
async def test_a_full_queue_refuses_and_loses_nothing(world: World) -> None:
    """The publisher is told 0x97; all that was acknowledged is delivered."""
    away = await world.client("a", session_expiry_interval=HOUR)
    await away.subscribe("work")
    await world.gone(away)
    publisher = await world.client("p")
    codes = [(await publisher.publish("work", b"x" * 1000)).reason_code for _ in range(5)]
    back = await world.client("a")

    assert codes == [PubAckReasonCode.SUCCESS] * 3 + [PubAckReasonCode.QUOTA_EXCEEDED] * 2
    for _ in range(3):
        await back.take()
    await back.quiet()


@narrow(session_bytes=4000)
async def test_a_refused_message_is_refused_for_everybody(world: World) -> None:
    """Half a delivery would be sent again by the publisher, and arrive twice."""
    away = await world.client("full", session_expiry_interval=HOUR)
    await away.subscribe("work")
    await world.gone(away)
    here = await world.client("here")
    await here.subscribe("#")
    publisher = await world.client("p")
    for _ in range(3):
        await publisher.publish("work", b"x" * 1000)
        await here.take()
    answer = await publisher.publish("work", b"x" * 1000)

    assert answer.reason_code == PubAckReasonCode.QUOTA_EXCEEDED
    await here.quiet()


@narrow(queued_bytes=4000)
async def test_all_queues_together_are_bounded(world: World) -> None:
    """Many clients cannot use more than the broker has."""
    for name in ("a", "b"):
        away = await world.client(name, session_expiry_interval=HOUR)
        await away.subscribe("work")
        await world.gone(away)
    publisher = await world.client("p")

    assert (await publisher.publish("work", b"x" * 1500)).reason_code == PubAckReasonCode.SUCCESS
    assert (await publisher.publish("work", b"x" * 1500)).reason_code == PubAckReasonCode.QUOTA_EXCEEDED


@narrow(session_bytes=64 << 20)
async def test_a_client_that_does_not_read_holds_up_nobody(world: World) -> None:
    """Its messages wait in its session, not in a socket's buffer that grows."""
    lazy = await world.client("lazy")
    await lazy.subscribe("work")
    publisher = await world.client("p")
    for _ in range(40):
        await publisher.publish("work", b"x" * (1 << 20))

    await publisher.quiet()
    for _ in range(40):
        assert len((await lazy.take()).payload) == 1 << 20


async def test_a_client_that_does_not_read_can_still_be_thrown_out(world: World) -> None:
    """Sending to it waits for ever; its connection must not."""
    lazy = await world.client("lazy", session_expiry_interval=HOUR)
    await lazy.subscribe("work")
    publisher = await world.client("p")
    for _ in range(20):
        await publisher.publish("work", b"x" * (1 << 20))
    one_left = world.broker._one_left = anyio.Event()
    await world.client("lazy")

    with anyio.fail_after(3):
        await one_left.wait()
    assert len(world.broker._sockets) == 2


@narrow(packet_bytes=1000)
async def test_a_packet_that_is_too_large_ends_its_connection(world: World) -> None:
    """With the reason, before it is read."""
    client = await world.client("a")
    await client.send_bytes(bytes.fromhex("30ffffff7f"))

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.PACKET_TOO_LARGE


async def test_properties_are_passed_on(world: World) -> None:
    """Every one that concerns the receiver (section 3.3.2.3)."""
    client = await world.client("a")
    await client.subscribe("work")
    sent = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "reply/ü",
        "correlation_data": b"\x00\x01",
        "user_properties": [("k", "v"), ("k", "w")],
    }
    await (await world.client("p")).publish("work", b"x", **sent)
    packet = await client.take()

    assert {name: getattr(packet, name) for name in sent} == sent


async def test_a_waiting_message_expires(world: World) -> None:
    """Section 3.3.2.3.3; one that has not expired says what is left."""
    away = await world.client("a", session_expiry_interval=HOUR)
    await away.subscribe("work")
    await world.gone(away)
    publisher = await world.client("p")
    await publisher.publish("work", b"short", message_expiry_interval=10)
    await publisher.publish("work", b"long", message_expiry_interval=100)
    world.wait(30)
    back = await world.client("a")
    packet = await back.take()

    assert (packet.payload, packet.message_expiry_interval) == (b"long", 70)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param("0000", DisconnectReasonCode.MALFORMED_PACKET, id="reserved type"),
        pytest.param("30060003ff622f00", DisconnectReasonCode.MALFORMED_PACKET, id="topic that is not UTF-8"),
        pytest.param("30050002612300", DisconnectReasonCode.TOPIC_NAME_INVALID, id="wildcard in a topic"),
        pytest.param("82080001000002232300", DisconnectReasonCode.TOPIC_FILTER_INVALID, id="ill-formed filter"),
        pytest.param("300700016103230001", DisconnectReasonCode.TOPIC_ALIAS_INVALID, id="topic alias"),
        pytest.param("34060001610001" + "00", DisconnectReasonCode.QOS_NOT_SUPPORTED, id="QoS 2"),
        pytest.param("3006000161020b01", DisconnectReasonCode.PROTOCOL_ERROR, id="a client's subscription id"),
        pytest.param("20030000" + "00", DisconnectReasonCode.PROTOCOL_ERROR, id="CONNACK from a client"),
        pytest.param("b0040001" + "0000", DisconnectReasonCode.PROTOCOL_ERROR, id="UNSUBACK from a client"),
        pytest.param("50020001", DisconnectReasonCode.PROTOCOL_ERROR, id="PUBREC without QoS 2"),
    ],
)
async def test_a_protocol_error_ends_its_own_connection(world: World, data: str, reason: DisconnectReasonCode) -> None:
    """With its reason; every other connection lives on."""
    other = await world.client("other")
    client = await world.client("a")
    await client.send_bytes(bytes.fromhex(data))

    assert (await client.receive(DisconnectPacket)).reason_code == reason
    assert await client.closed()
    await other.quiet()


async def test_an_acknowledgement_of_nothing_is_ignored(world: World) -> None:
    """It may be late, after a reconnect."""
    client = await world.client("a")
    await client.send(PubAckPacket(99))

    await client.quiet()
