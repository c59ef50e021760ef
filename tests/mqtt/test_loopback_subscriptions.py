"""The development broker: who gets what, now and later."""

from __future__ import annotations

import pytest
from broker_world import HOUR, World, narrow
from enclaved.mqtt.packets import (
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
)


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
