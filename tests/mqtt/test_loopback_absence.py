"""The development broker: silent clients and last wills."""

from __future__ import annotations

from broker_world import HOUR, World
from enclaved.mqtt.packets import (
    DisconnectPacket,
    DisconnectReasonCode,
    QoS,
    Will,
)


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
