"""The development broker's rules, each shown with raw packets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.packets import (
    ConnAckPacket,
    ConnAckReasonCode,
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
    Will,
)
from raw_client import RawClient

HOUR = 3600


class MovedClock:
    """A clock that goes on only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        """Return some time."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the seconds that a test set."""
        return self.seconds


class World:
    """A broker, its clock, and clients that are closed at the end."""

    def __init__(self, broker: LoopbackBroker, clock: MovedClock, stack: AsyncExitStack) -> None:
        self.broker = broker
        self._clock = clock
        self._stack = stack

    async def socket(self) -> RawClient:
        """Return a client that has sent nothing yet."""
        return await self._stack.enter_async_context(RawClient(self.broker.port))

    async def client(self, client_id: str, **options: object) -> RawClient:
        """Return a connected client."""
        client = await self.socket()
        await client.connect(client_id, **options)
        return client

    async def gone(self, client: RawClient) -> None:
        """Have a client leave in good order, and wait until the broker knows."""
        await client.send(DisconnectPacket())
        assert await client.closed()

    async def break_off(self, client: RawClient) -> None:
        """End a client's connection without a DISCONNECT of its own, and wait until the broker knows."""
        await client.send_bytes(b"\x00\x00")
        await client.receive(DisconnectPacket)
        assert await client.closed()

    def wait(self, seconds: float) -> None:
        """Let time pass, and let the broker notice."""
        self._clock.seconds += seconds
        self.broker.sweep()


@pytest.fixture
def limits() -> BrokerLimits:
    """The broker's bounds; a test module or parameter may narrow them."""
    return BrokerLimits()


@pytest.fixture
async def world(limits: BrokerLimits) -> AsyncIterator[World]:
    """A broker that listens."""
    clock = MovedClock()
    async with LoopbackBroker(limits=limits, clock=clock) as broker, AsyncExitStack() as stack:
        yield World(broker, clock, stack)


def narrow(**bounds: int) -> pytest.MarkDecorator:
    """Give the broker other bounds."""
    return pytest.mark.parametrize("limits", [BrokerLimits(**bounds)], ids=["narrow"])


# Connecting


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


# Sessions


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


# Flow control


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


@narrow(packet_bytes=1000)
async def test_a_packet_that_is_too_large_ends_its_connection(world: World) -> None:
    """With the reason, before it is read."""
    client = await world.client("a")
    await client.send_bytes(bytes.fromhex("30ffffff7f"))

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.PACKET_TOO_LARGE


# Subscriptions


@pytest.mark.parametrize(
    ("pattern", "topic", "covered"),
    [
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("+/b", "/b", True),
        ("#", "$secret/a", False),
        ("+/a", "$secret/a", False),
        ("$secret/#", "$secret/a", True),
        ("a", "A", False),
    ],
)
async def test_wildcards(world: World, pattern: str, topic: str, *, covered: bool) -> None:
    """Section 4.7; topics that begin with $ hide from wildcards at the start."""
    client = await world.client("a")
    await client.subscribe(pattern)
    answer = await (await world.client("p")).publish(topic)

    assert answer.reason_code == (PubAckReasonCode.SUCCESS if covered else PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)


async def test_overlapping_subscriptions_deliver_once(world: World) -> None:
    """With the identifier of each that matched (section 3.3.4)."""
    client = await world.client("a")
    await client.subscribe("a/#", identifier=7)
    await client.subscribe("a/b", identifier=8)
    await (await world.client("p")).publish("a/b")
    packet = await client.take()
    await client.quiet()

    assert sorted(packet.subscription_ids) == [7, 8]


async def test_no_local_leaves_out_ones_own(world: World) -> None:
    """MQTT-3.8.3-3."""
    client = await world.client("a")
    await client.subscribe("work", no_local=True)
    await client.publish("work", b"own")
    await (await world.client("p")).publish("work", b"another's")

    assert (await client.take()).payload == b"another's"


async def test_the_lower_qos_wins(world: World) -> None:
    """Published at 0, delivered at 0; QoS 2 is granted as 1."""
    client = await world.client("a")
    await client.send(SubscribePacket(1, [TopicFilter("a", max_qos=QoS.EXACTLY_ONCE)]))
    granted = await client.receive(SubAckPacket)
    await (await world.client("p")).send(PublishPacket("a", b"x"))

    assert granted.reason_codes == [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]
    assert (await client.take()).qos == QoS.AT_MOST_ONCE


async def test_unsubscribing_ends_delivery(world: World) -> None:
    """And says whether there was something to end."""
    client = await world.client("a")
    await client.subscribe("a/b")
    await client.send(UnsubscribePacket(2, ["a/b", "never"]))
    answer = await client.receive(UnsubAckPacket)

    assert answer.reason_codes == [UnsubAckReasonCode.SUCCESS, UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED]
    assert (await client.publish("a/b")).reason_code == PubAckReasonCode.NO_MATCHING_SUBSCRIBERS


@narrow(subscriptions=1)
async def test_no_more_filters_than_allowed(world: World) -> None:
    """A further one is refused; the same one again is not a further one."""
    client = await world.client("a")

    assert (await client.subscribe("a", "b")).reason_codes == [
        SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE,
        SubAckReasonCode.QUOTA_EXCEEDED,
    ]
    assert (await client.subscribe("a")).reason_codes == [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]


async def test_a_share_takes_turns(world: World) -> None:
    """Each message goes to one member (section 4.8.2)."""
    members = [await world.client(name) for name in ("a", "b")]
    for member in members:
        await member.subscribe("$share/group/work")
    publisher = await world.client("p")
    for number in range(4):
        await publisher.publish("work", str(number).encode())

    received = [[(await member.take()).payload for _ in range(2)] for member in members]
    assert sorted(received[0] + received[1]) == [b"0", b"1", b"2", b"3"]
    for member in members:
        await member.quiet()


async def test_a_share_passes_over_members_that_are_away(world: World) -> None:
    """Work goes to who is there."""
    away = await world.client("away", session_expiry_interval=HOUR)
    await away.subscribe("$share/group/work")
    await world.gone(away)
    here = await world.client("here")
    await here.subscribe("$share/group/work")
    publisher = await world.client("p")
    for _ in range(3):
        await publisher.publish("work")

    for _ in range(3):
        await here.take()


async def test_a_departed_members_work_goes_to_the_others(world: World) -> None:
    """When its session ends, what it had not acknowledged is not lost."""
    leaver = await world.client("leaver", session_expiry_interval=60)
    await leaver.subscribe("$share/group/work")
    await (await world.client("p")).publish("work", b"started")
    await leaver.take(acknowledge=False)
    await world.break_off(leaver)
    heir = await world.client("heir")
    await heir.subscribe("$share/group/work")
    await heir.quiet()
    world.wait(61)

    assert (await heir.take()).payload == b"started"


# Retained messages


async def test_retained_messages_reach_later_subscribers(world: World) -> None:
    """The last of each topic; an empty one clears its topic."""
    publisher = await world.client("p")
    await publisher.publish("state/a", b"old", retain=True)
    await publisher.publish("state/a", b"new", retain=True)
    await publisher.publish("state/b", b"x", retain=True)
    await publisher.publish("state/b", b"", retain=True)
    client = await world.client("a")
    await client.subscribe("state/#")
    packet = await client.take()
    await client.quiet()

    assert (packet.payload, packet.retain) == (b"new", True)


async def test_retained_messages_expire(world: World) -> None:
    """And say what is left of their time while it runs."""
    publisher = await world.client("p")
    await publisher.publish("state", b"x", retain=True, message_expiry_interval=60)
    world.wait(20)
    early = await world.client("early")
    await early.subscribe("state")
    world.wait(41)
    late = await world.client("late")
    await late.subscribe("state")

    assert (await early.take()).message_expiry_interval == 40
    await late.quiet()


@pytest.mark.parametrize(
    ("handling", "first", "second"),
    [
        (RetainHandling.SEND_ALWAYS, True, True),
        (RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS, True, False),
        (RetainHandling.SEND_NEVER, False, False),
    ],
    ids=["always", "if new", "never"],
)
async def test_retain_handling(world: World, handling: RetainHandling, *, first: bool, second: bool) -> None:
    """Section 3.8.3.1."""
    await (await world.client("p")).publish("state", b"x", retain=True)
    client = await world.client("a")
    for expected in (first, second):
        await client.subscribe("state", retain_handling=handling)
        if expected:
            assert (await client.take()).retain
        await client.quiet()


@pytest.mark.parametrize("kept", [True, False])
async def test_retain_as_published(world: World, *, kept: bool) -> None:
    """Who is subscribed sees the publisher's flag only on request."""
    client = await world.client("a")
    await client.subscribe("state", retain_as_published=kept)
    await (await world.client("p")).publish("state", b"x", retain=True)

    assert (await client.take()).retain is kept


async def test_a_share_is_not_sent_what_is_retained(world: World) -> None:
    """Section 4.8.2."""
    await (await world.client("p")).publish("state", b"x", retain=True)
    client = await world.client("a")
    await client.subscribe("$share/group/state")

    await client.quiet()


@narrow(retained_bytes=3000)
async def test_retained_messages_are_bounded(world: World) -> None:
    """A further one is refused; one in place of another fits."""
    publisher = await world.client("p")

    assert (await publisher.publish("a", b"x" * 2000, retain=True)).reason_code != PubAckReasonCode.QUOTA_EXCEEDED
    assert (await publisher.publish("b", b"x" * 2000, retain=True)).reason_code == PubAckReasonCode.QUOTA_EXCEEDED
    assert (await publisher.publish("a", b"y" * 2000, retain=True)).reason_code != PubAckReasonCode.QUOTA_EXCEEDED


# Messages


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


# Keep alive and wills


async def test_a_silent_client_is_thrown_out(world: World) -> None:
    """After one and a half times its keep alive, not before."""
    client = await world.client("a", keep_alive=10)
    world.wait(14.9)
    await client.quiet()
    world.wait(15.1)

    assert (await client.receive(DisconnectPacket)).reason_code == DisconnectReasonCode.KEEP_ALIVE_TIMEOUT


async def test_a_client_without_keep_alive_may_be_silent(world: World) -> None:
    """Section 3.1.2.10."""
    client = await world.client("a", keep_alive=0)
    world.wait(100_000)

    await client.quiet()


def will(*, delay: int = 0, retain: bool = False) -> Will:
    """Return a last will."""
    return Will("gone", payload=b"lost", qos=QoS.AT_LEAST_ONCE, retain=retain, will_delay_interval=delay)


async def test_a_lost_clients_will_is_published(world: World) -> None:
    """When its socket closes without DISCONNECT."""
    watcher = await world.client("w")
    await watcher.subscribe("gone")
    client = await world.client("a", will=will())
    await client.drop()

    assert (await watcher.take()).payload == b"lost"


async def test_a_client_that_leaves_in_order_takes_its_will_along(world: World) -> None:
    """MQTT-3.14.4-3; unless it asks for it."""
    watcher = await world.client("w")
    await watcher.subscribe("gone")
    await world.gone(await world.client("a", will=will()))
    await watcher.quiet()
    client = await world.client("b", will=will())
    await client.send(DisconnectPacket(reason_code=DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE))

    assert (await watcher.take()).payload == b"lost"


async def test_a_delayed_will_waits_for_the_client_to_come_back(world: World) -> None:
    """Section 3.1.3.2.2: a short break is not told to anybody."""
    watcher = await world.client("w")
    await watcher.subscribe("gone")
    client = await world.client("a", will=will(delay=30), session_expiry_interval=HOUR)
    await world.break_off(client)
    back = await world.client("a", will=will(delay=30), session_expiry_interval=HOUR)
    world.wait(40)
    await watcher.quiet()
    await world.break_off(back)
    await watcher.quiet()
    world.wait(31)

    assert (await watcher.take()).payload == b"lost"


async def test_a_will_is_published_when_its_session_ends_first(world: World) -> None:
    """The shorter of delay and expiry counts."""
    watcher = await world.client("w")
    await watcher.subscribe("gone")
    client = await world.client("a", will=will(delay=100), session_expiry_interval=0)
    await client.drop()

    assert (await watcher.take()).payload == b"lost"


# Protocol errors


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
