"""The development broker: connecting, and what it remembers of a client."""

from __future__ import annotations

import pytest
from broker_world import HOUR, World, narrow
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.packets import (
    ConnAckPacket,
    ConnAckReasonCode,
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PubAckReasonCode,
    QoS,
    SubscribePacket,
    TopicFilter,
)


async def test_connack_says_what_the_broker_can_do(world: World) -> None:
    """QoS 2 is not offered, and sizes are stated."""
    client = await world.socket()
    answer = await client.connect("a")

    assert (answer.reason_code, answer.session_present, answer.max_qos, answer.topic_alias_max) == (
        ConnAckReasonCode.SUCCESS,
        False,
        QoS.AT_LEAST_ONCE,
        0,
    )
    assert answer.max_packet_size == BrokerLimits().packet_bytes


async def test_a_client_without_an_id_is_given_one(world: World) -> None:
    """And is told which (section 3.2.2.3.7)."""
    first = await (await world.socket()).connect("")
    second = await (await world.socket()).connect("")

    assert first.assigned_client_id
    assert first.assigned_client_id != second.assigned_client_id


async def test_another_protocol_version_is_told_so(world: World) -> None:
    """A 3.1.1 client gets a CONNACK, not silence."""
    client = await world.socket()
    await client.send_bytes(bytes.fromhex("100d00044d515454040000000001") + b"a")

    assert (await client.receive(ConnAckPacket)).reason_code == ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    assert await client.closed()


async def test_a_connection_that_begins_otherwise_is_closed(world: World) -> None:
    """The first packet is CONNECT, and before it nothing is answered (MQTT-3.1.0-1)."""
    client = await world.socket()
    await client.send(SubscribePacket(1, [TopicFilter("a")]))

    assert await client.closed()


async def test_a_second_connect_is_a_protocol_error(world: World) -> None:
    """MQTT-3.1.0-2."""
    client = await world.client("a")
    await client.send_bytes(bytes.fromhex("100d00044d5154540500000000000000")[:15])

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.PROTOCOL_ERROR
    assert await client.closed()


async def test_enhanced_authentication_is_refused(world: World) -> None:
    """It is not offered."""
    answer = await (await world.socket()).connect("a", authentication_method="x")

    assert answer.reason_code == ConnAckReasonCode.BAD_AUTHENTICATION_METHOD


@narrow(sessions=1)
async def test_no_more_clients_are_remembered_than_allowed(world: World) -> None:
    """A further one is refused, the known one is not."""
    await world.client("known", session_expiry_interval=HOUR)

    assert (await (await world.socket()).connect("other")).reason_code == ConnAckReasonCode.QUOTA_EXCEEDED
    assert (await (await world.socket()).connect("known")).reason_code == ConnAckReasonCode.SUCCESS


@narrow(connections=1)
async def test_no_more_connections_are_served_than_allowed(world: World) -> None:
    """A further one is closed, the present one lives on."""
    first = await world.client("a")

    assert await (await world.socket()).closed()
    await first.quiet()


async def test_a_connection_without_connect_does_not_stay(world: World) -> None:
    """Half-open connections would use up all there are."""
    client = await world.socket()
    other = await world.client("other")
    await other.quiet()
    world.wait(11)

    assert await client.closed()


async def test_a_session_is_resumed_with_its_subscriptions_and_messages(world: World) -> None:
    """What came while the client was away waits for it."""
    away = await world.client("a", session_expiry_interval=HOUR)
    await away.subscribe("work")
    await world.gone(away)
    await (await world.client("p")).publish("work", b"waiting")
    back = await world.socket()

    assert (await back.connect("a")).session_present
    assert (await back.take()).payload == b"waiting"


async def test_a_clean_start_forgets_the_session(world: World) -> None:
    """MQTT-3.1.2-4."""
    away = await world.client("a", session_expiry_interval=HOUR)
    await away.subscribe("work")
    await world.gone(away)
    back = await world.socket()

    assert not (await back.connect("a", clean_start=True)).session_present
    answer = await (await world.client("p")).publish("work")
    assert answer.reason_code == PubAckReasonCode.NO_MATCHING_SUBSCRIBERS


@pytest.mark.parametrize(("expiry", "passed", "present"), [(60, 59, True), (60, 61, False), (0, 0, False)])
async def test_a_session_ends_at_its_expiry(world: World, expiry: int, passed: int, *, present: bool) -> None:
    """It counts from the loss of the connection (section 3.1.2.11.2)."""
    await world.gone(await world.client("a", session_expiry_interval=expiry))
    world.wait(passed)

    assert (await (await world.socket()).connect("a")).session_present is present


async def test_disconnect_may_change_the_expiry(world: World) -> None:
    """A client that leaves for good says so."""
    client = await world.client("a", session_expiry_interval=HOUR)
    await client.send(DisconnectPacket(session_expiry_interval=0))
    await client.closed()

    assert not (await (await world.socket()).connect("a")).session_present


async def test_disconnect_may_not_revive_a_session_that_was_to_end(world: World) -> None:
    """Section 3.14.2.2.2: an expiry of 0 at CONNECT stays 0."""
    client = await world.client("a", session_expiry_interval=0)
    await client.send(DisconnectPacket(session_expiry_interval=60))

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.PROTOCOL_ERROR


async def test_a_newer_connection_takes_the_session_over(world: World) -> None:
    """The older one is told why it ends (MQTT-3.1.4-3)."""
    older = await world.client("a", session_expiry_interval=HOUR)
    newer = await world.socket()

    assert (await newer.connect("a")).session_present
    assert (await older.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.SESSION_TAKEN_OVER
    assert await older.closed()
    await newer.quiet()


async def test_the_unacknowledged_come_again_in_order_with_the_same_ids(world: World) -> None:
    """Marked as duplicates, and before anything new (sections 4.4 and 4.6)."""
    first = await world.client("a", session_expiry_interval=HOUR)
    await first.subscribe("work")
    publisher = await world.client("p")
    for payload in (b"1", b"2", b"3"):
        await publisher.publish("work", payload)
    sent = [await first.take(acknowledge=False) for _ in range(3)]
    await first.send(PubAckPacket(sent[1].packet_id or 0))
    await first.quiet()
    await first.drop()
    await publisher.publish("work", b"4")
    second = await world.client("a", session_expiry_interval=HOUR)
    again = [await second.take() for _ in range(3)]

    assert [(each.payload, each.duplicate) for each in again] == [(b"1", True), (b"3", True), (b"4", False)]
    assert [each.packet_id for each in again[:2]] == [sent[0].packet_id, sent[2].packet_id]
