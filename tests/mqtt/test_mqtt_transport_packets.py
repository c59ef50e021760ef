"""What a transport sends, seen by a broker that does only what the test says."""

from __future__ import annotations

import anyio
import pytest
from brokers import LoopbackServer
from enclaved.errors import TransportError
from enclaved.mqtt.packets import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
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
)
from enclaved.mqtt.transport import (
    EPHEMERAL,
    Connection,
    ConnectionEvent,
    ConnectionState,
    FirstConnection,
    Message,
    Session,
    Transport,
)
from enclaved.mqtt.transports import open_transport
from scripted_broker import Conversation, scripted_broker, websocket_bridge

MUST = FirstConnection.MUST_SUCCEED


class Script:
    """A consumer's broker: accepts, grants, and delivers; it notes what it is sent."""

    def __init__(self, *, session_present: bool = False) -> None:
        self.connects: list[ConnectPacket] = []
        self.subscribes: list[SubscribePacket] = []
        self.talking: Conversation | None = None
        self.ready = anyio.Event()
        self._session_present = session_present
        self.before_subscribe: list[PublishPacket] = []

    async def __call__(self, conversation: Conversation) -> None:
        """Follow the script."""
        self.connects.append(await conversation.accept(ConnAckPacket(session_present=self._session_present)))
        await conversation.send(*self.before_subscribe)
        packet = await conversation.receive(SubscribePacket)
        self.subscribes.append(packet)
        codes = [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(packet.topic_filters)
        await conversation.send(SubAckPacket(packet.packet_id, codes))
        self.talking = conversation
        self.ready.set()
        await anyio.sleep_forever()


def work(packet_id: int) -> PublishPacket:
    """Return a message for a consumer."""
    return PublishPacket("work", str(packet_id).encode(), qos=QoS.AT_LEAST_ONCE, packet_id=packet_id)


async def test_a_durable_consumer_asks_for_its_session(transport: Transport) -> None:
    """No clean start, an expiry, and as many messages as it has slots."""
    script = Script()
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane", keep_alive_s=17, username="u", password="secret")
        async with transport.consume(
            connection, topics=["a", "b/#"], slots=5, session=Session(expiry_s=600), first=MUST
        ):
            pass
    (connect,), (subscribe,) = script.connects, script.subscribes

    assert (connect.client_id, connect.clean_start, connect.session_expiry_interval) == ("lane", False, 600)
    assert (connect.receive_max, connect.keep_alive) == (5, 17)
    assert (connect.username, connect.password) == ("u", b"secret")
    assert [each.pattern for each in subscribe.topic_filters] == ["a", "b/#"]
    for each in subscribe.topic_filters:
        assert (each.max_qos, each.retain_as_published) == (QoS.AT_LEAST_ONCE, True)
        assert each.retain_handling == RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS


async def test_an_ephemeral_consumer_leaves_nothing_behind(transport: Transport) -> None:
    """Clean start, no expiry."""
    script = Script()
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane")
        async with transport.consume(connection, topics=["a"], slots=1, session=EPHEMERAL, first=MUST):
            pass

    assert (script.connects[0].clean_start, script.connects[0].session_expiry_interval) == (True, 0)


async def test_only_the_first_connection_starts_clean(transport: Transport) -> None:
    """A reconnect of the same run resumes what it had."""
    script = Script()
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane")
        session = Session(expiry_s=60, clean_start=True)
        async with transport.consume(connection, topics=["a"], slots=1, session=session, first=MUST) as consumer:
            assert script.talking is not None
            script.ready = anyio.Event()
            await script.talking.stream.aclose()
            with anyio.fail_after(10):
                await script.ready.wait()
                await consumer.subscribed()

    assert [connect.clean_start for connect in script.connects] == [True, False]


async def test_acknowledgements_go_out_in_delivery_order(transport: Transport) -> None:
    """Whatever the order in which they are made (section 4.6)."""
    script = Script()
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane")
        async with transport.consume(connection, topics=["work"], slots=3, first=MUST) as consumer:
            assert script.talking is not None
            await script.talking.send(work(11), work(12), work(13))
            deliveries = [await anext(aiter(consumer)) for _ in range(3)]
            for delivery in reversed(deliveries):
                delivery.acknowledge()
            with anyio.fail_after(5):
                acknowledged = [(await script.talking.receive(PubAckPacket)).packet_id for _ in range(3)]

    assert acknowledged == [11, 12, 13]


async def test_a_second_acknowledgement_does_nothing(transport: Transport) -> None:
    """It must not stand for another message."""
    script = Script()
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane")
        async with transport.consume(connection, topics=["work"], slots=3, first=MUST) as consumer:
            assert script.talking is not None
            await script.talking.send(work(1), work(2))
            first = await anext(aiter(consumer))
            second = await anext(aiter(consumer))
            first.acknowledge()
            first.acknowledge()
            second.acknowledge()
            with anyio.fail_after(5):
                acknowledged = [(await script.talking.receive(PubAckPacket)).packet_id for _ in range(2)]

    assert acknowledged == [1, 2]


async def test_what_a_resumed_session_delivers_before_subscribe_is_not_acknowledged_by_itself(
    transport: Transport,
) -> None:
    """Acknowledgement by hand is set before connecting."""
    script = Script(session_present=True)
    script.before_subscribe = [work(7)]
    async with scripted_broker(script) as address:
        connection = Connection(address=address, client_id="lane")
        async with transport.consume(connection, topics=["work"], slots=3, first=MUST) as consumer:
            delivery = await anext(aiter(consumer))
            assert script.talking is not None
            with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                await script.talking.receive(PubAckPacket)
            delivery.acknowledge()
            with anyio.fail_after(5):
                acknowledged = await script.talking.receive(PubAckPacket)

    assert (delivery.message.payload, acknowledged.packet_id) == (b"7", 7)


async def test_a_refused_subscription_raises_its_reason_code(transport: Transport) -> None:
    """SUBACK can say no to one of several topics."""

    async def refuse(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket())
        packet = await conversation.receive(SubscribePacket)
        codes = [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, SubAckReasonCode.NOT_AUTHORIZED]
        await conversation.send(SubAckPacket(packet.packet_id, codes))

    async with scripted_broker(refuse) as address:
        connection = Connection(address=address, client_id="lane")
        with pytest.raises(TransportError) as refused:
            async with transport.consume(connection, topics=["a", "b"], slots=1, first=MUST):
                pytest.fail("entered")

    assert refused.value.reason_code == 0x87


async def test_the_brokers_receive_maximum_bounds_what_is_under_way(transport: Transport) -> None:
    """A broker may end connections that exceed it (section 4.9)."""
    talking: list[Conversation] = []
    ready = anyio.Event()

    async def withhold(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket(receive_max=2))
        talking.append(conversation)
        ready.set()
        await anyio.sleep_forever()

    async with scripted_broker(withhold) as address:
        connection = Connection(address=address, client_id="p")
        async with (
            transport.publish(connection, window=10, first=MUST) as publisher,
            anyio.create_task_group() as tasks,
        ):
            await ready.wait()
            for number in range(4):
                tasks.start_soon(publisher.publish, Message(topic="t", payload=str(number).encode()))
            with anyio.fail_after(5):
                first = await talking[0].receive(PublishPacket)
                await talking[0].receive(PublishPacket)
            with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                await talking[0].receive(PublishPacket)
            await talking[0].send(PubAckPacket(first.packet_id or 0))
            with anyio.fail_after(5):
                assert (await talking[0].receive(PublishPacket)).payload == b"2"
            tasks.cancel_scope.cancel()


async def test_a_cancelled_publish_keeps_its_place_until_it_is_answered(transport: Transport) -> None:
    """The broker still counts it."""
    talking: list[Conversation] = []
    ready = anyio.Event()

    async def withhold(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket())
        talking.append(conversation)
        ready.set()
        await anyio.sleep_forever()

    async with scripted_broker(withhold) as address:
        connection = Connection(address=address, client_id="p")
        async with transport.publish(connection, window=1, first=MUST) as publisher:
            await ready.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publisher.publish, Message(topic="t", payload=b"given up"))
                with anyio.fail_after(5):
                    first = await talking[0].receive(PublishPacket)
                tasks.cancel_scope.cancel()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publisher.publish, Message(topic="t", payload=b"next"))
                with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                    await talking[0].receive(PublishPacket)
                await talking[0].send(PubAckPacket(first.packet_id or 0))
                with anyio.fail_after(5):
                    second = await talking[0].receive(PublishPacket)
                await talking[0].send(PubAckPacket(second.packet_id or 0))

    assert second.payload == b"next"


async def test_a_publish_is_sent_again_on_the_next_connection(transport: Transport) -> None:
    """Whether the broker had it is unknown, so it may come twice."""
    received: list[bytes] = []

    async def lose_the_first(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket())
        packet = await conversation.receive(PublishPacket)
        received.append(packet.payload)
        if len(received) == 1:
            await conversation.stream.aclose()
            return
        await conversation.send(
            PubAckPacket(packet.packet_id or 0, reason_code=PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
        )

    async with scripted_broker(lose_the_first) as address:
        connection = Connection(address=address, client_id="p")
        async with transport.publish(connection, first=MUST) as publisher:
            with anyio.fail_after(10):
                await publisher.publish(Message(topic="t", payload=b"x"))

    assert received == [b"x", b"x"]


async def test_an_observer_is_told_why_a_connection_ended(transport: Transport) -> None:
    """With the broker's reason code, and then of the next connection."""
    events: list[ConnectionEvent] = []
    again = anyio.Event()
    count = 0

    async def throw_out(conversation: Conversation) -> None:
        nonlocal count
        count += 1
        await conversation.accept(ConnAckPacket())
        if count == 1:
            await conversation.send(DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_BUSY))
            await conversation.stream.aclose()
        else:
            again.set()

    def observe(event: ConnectionEvent) -> None:
        events.append(event)

    async with scripted_broker(throw_out) as address:
        connection = Connection(address=address, client_id="p")
        async with transport.publish(connection, observer=observe) as publisher:
            with anyio.fail_after(10):
                await again.wait()
            with anyio.move_on_after(0.1):
                await publisher.publish(Message(topic="t", payload=b"x"))

    assert [event.state for event in events][:3] == [
        ConnectionState.CONNECTED,
        ConnectionState.LOST,
        ConnectionState.CONNECTED,
    ]
    assert events[1].reason_code == DisconnectReasonCode.SERVER_BUSY


async def test_a_refused_connection_raises_its_reason_code(transport: Transport) -> None:
    """A banned client is told so."""

    async def refuse(conversation: Conversation) -> None:
        await conversation.accept(ConnAckPacket(reason_code=ConnAckReasonCode.BANNED))

    async with scripted_broker(refuse) as address:
        with pytest.raises(TransportError) as refused:
            async with transport.publish(Connection(address=address, client_id="p"), first=MUST):
                pytest.fail("entered")

    assert refused.value.reason_code == ConnAckReasonCode.BANNED


async def test_a_broker_that_closes_before_connack_is_noticed_at_once(transport: Transport) -> None:
    """Not after a deadline."""

    async def close(conversation: Conversation) -> None:
        await conversation.receive(ConnectPacket)
        await conversation.stream.aclose()

    async with scripted_broker(close) as address:
        with anyio.fail_after(2), pytest.raises(TransportError):
            async with transport.publish(Connection(address=address, client_id="p"), first=MUST):
                pytest.fail("entered")


async def test_websockets_carry_it_too() -> None:
    """Through a proxy that speaks HTTP, with the address's path."""
    paths: list[str] = []
    transport = open_transport("aiomqtt")
    async with (
        LoopbackServer() as server,
        websocket_bridge(server.port, paths=paths) as address,
        transport.consume(Connection(address=address, client_id="c"), topics=["t"], slots=1, first=MUST) as consumer,
        transport.publish(Connection(address=address, client_id="p"), first=MUST) as publisher,
    ):
        await publisher.publish(Message(topic="t", payload=b"x" * 70_000))
        with anyio.fail_after(5):
            delivery = await anext(aiter(consumer))

    assert delivery.message.payload == b"x" * 70_000
    assert set(paths) == {"/mqtt"}
