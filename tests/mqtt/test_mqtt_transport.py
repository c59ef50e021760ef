"""What every transport keeps on every broker: one suite, transport by broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from brokers import Cable, LoopbackServer, MosquittoServer, Server
from enclaved.errors import ConfigurationError, ProtocolError, TransportError
from enclaved.mqtt.transport import (
    EPHEMERAL,
    Connection,
    ConnectionEvent,
    ConnectionState,
    Consumer,
    Delivery,
    FirstConnection,
    Message,
    Role,
    Transport,
    parse_broker_url,
)
from enclaved.mqtt.transports import TRANSPORTS, open_transport

MUST = FirstConnection.MUST_SUCCEED
MIB = 1 << 20


@pytest.fixture(params=sorted(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each transport of the table."""
    return open_transport(request.param)


@pytest.fixture(params=["loopback", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """Each broker, listening."""
    broker: Server = LoopbackServer() if request.param == "loopback" else MosquittoServer(tmp_path)
    async with broker:
        yield broker


@pytest.fixture
async def cable(server: Server) -> AsyncIterator[Cable]:
    """A cable to the broker that can be cut."""
    async with Cable(server) as between:
        yield between


def as_client(server: Server, client_id: str) -> Connection:
    """Return a connection of that name."""
    return Connection(address=server.address, client_id=client_id)


def text(payload: str, topic: str = "work/a") -> Message:
    """Return a small message."""
    return Message(topic=topic, payload=payload.encode())


async def take(consumer: Consumer, count: int) -> list[Delivery]:
    """Take that many deliveries, without acknowledging any."""
    with anyio.fail_after(10):
        return [await anext(aiter(consumer)) for _ in range(count)]


def payloads(deliveries: list[Delivery]) -> list[str]:
    """Return what was delivered."""
    return [delivery.message.payload.decode() for delivery in deliveries]


class Events:
    """Remembers what an observer is told, and waits for it."""

    def __init__(self) -> None:
        self.all: list[ConnectionEvent] = []
        self._more = anyio.Event()

    def __call__(self, event: ConnectionEvent) -> None:
        """Note an event."""
        self.all.append(event)
        self._more.set()

    async def wait_for(self, *states: ConnectionState) -> None:
        """Wait until these states were told of, in this order."""
        with anyio.fail_after(15):
            while not self._contains(states):
                self._more = anyio.Event()
                await self._more.wait()

    def _contains(self, states: tuple[ConnectionState, ...]) -> bool:
        told = iter(event.state for event in self.all)
        return all(state in told for state in states)


async def test_messages_arrive_in_the_order_in_which_they_were_published(transport: Transport, server: Server) -> None:
    """One publisher's messages on one topic keep their order (section 4.6)."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=50, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        for number in range(40):
            await publisher.publish(text(str(number)))

        assert payloads(await take(consumer, 40)) == [str(number) for number in range(40)]


async def test_what_is_not_acknowledged_is_delivered_again(transport: Transport, server: Server) -> None:
    """A consumer that dies before it acknowledges loses nothing."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            await publisher.publish(text("unfinished"))
            await take(consumer, 1)
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            (again,) = await take(consumer, 1)

    assert (again.message.payload, again.duplicate) == (b"unfinished", True)


async def test_what_is_acknowledged_is_not_delivered_again(transport: Transport, server: Server) -> None:
    """The acknowledgement reaches the broker, also when the consumer leaves right after it."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            await publisher.publish(text("finished"))
            (delivery,) = await take(consumer, 1)
            delivery.acknowledge()
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            await publisher.publish(text("next"))

            assert payloads(await take(consumer, 1)) == ["next"]


async def test_an_acknowledgement_waits_for_the_earlier_ones(transport: Transport, server: Server) -> None:
    """Acknowledgements go out in delivery order, so the second alone is not yet made."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            await publisher.publish(text("first"))
            await publisher.publish(text("second"))
            (_, second) = await take(consumer, 2)
            second.acknowledge()
        async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer:
            assert payloads(await take(consumer, 2)) == ["first", "second"]


async def test_no_more_is_handed_out_than_there_are_slots(transport: Transport, server: Server) -> None:
    """The receiver bounds its own work; an acknowledgement makes room for the next."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=2, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        for number in range(3):
            await publisher.publish(text(str(number)))
        (first, _) = await take(consumer, 2)
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await anext(aiter(consumer))
        first.acknowledge()

        assert payloads(await take(consumer, 1)) == ["2"]


async def test_an_acknowledgement_from_a_lost_connection_does_nothing(
    transport: Transport, server: Server, cable: Cable
) -> None:
    """After a reconnect an old packet identifier may name another message."""
    events = Events()
    async with (
        transport.consume(as_client(cable, "c"), topics=["work/#"], slots=8, first=MUST, observer=events) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        await publisher.publish(text("held"))
        (stale,) = await take(consumer, 1)
        cable.cut()
        await events.wait_for(ConnectionState.LOST, ConnectionState.CONNECTED)
        stale.acknowledge()
        (again,) = await take(consumer, 1)
        cable.cut()
        again_lost = await take(consumer, 1)

    assert payloads([again, *again_lost]) == ["held", "held"]


async def test_a_stale_delivery_keeps_its_slot_until_it_is_done_with(
    transport: Transport, server: Server, cable: Cable
) -> None:
    """Reconnecting does not multiply the work that a receiver has in its hands."""
    events = Events()
    async with (
        transport.consume(as_client(cable, "c"), topics=["work/#"], slots=1, first=MUST, observer=events) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        await publisher.publish(text("held"))
        (stale,) = await take(consumer, 1)
        cable.cut()
        await events.wait_for(ConnectionState.LOST, ConnectionState.CONNECTED)
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await anext(aiter(consumer))
        stale.acknowledge()

        assert payloads(await take(consumer, 1)) == ["held"]


async def test_a_consumer_comes_back_after_its_broker_restarted(transport: Transport, server: Server) -> None:
    """It subscribes after every connect, as the broker may have lost the session."""
    events = Events()
    async with transport.consume(
        as_client(server, "c"), topics=["work/#"], slots=8, first=MUST, observer=events
    ) as consumer:
        await server.restart()
        await events.wait_for(ConnectionState.CONNECTED, ConnectionState.LOST, ConnectionState.CONNECTED)
        await consumer.subscribed()
        async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
            await publisher.publish(text("after"))

        assert payloads(await take(consumer, 1)) == ["after"]
    assert {event.role for event in events.all} == {Role.CONSUMER}


async def test_a_publish_outlives_a_broker_that_is_away(transport: Transport, server: Server) -> None:
    """It is tried again over reconnects until the caller's own deadline."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        await server.stop()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publisher.publish, Message(topic="kept", payload=b"late", retain=True))
            await server.start()
        async with transport.consume(as_client(server, "c"), topics=["kept"], slots=1, first=MUST) as consumer:
            assert payloads(await take(consumer, 1)) == ["late"]


async def test_a_service_may_start_before_its_broker(transport: Transport, server: Server) -> None:
    """Entering returns at once; `subscribed` waits until the broker is there."""
    await server.stop()
    async with transport.consume(as_client(server, "c"), topics=["work/#"], slots=8) as consumer:
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await consumer.subscribed()
        await server.start()
        with anyio.fail_after(15):
            await consumer.subscribed()


async def test_a_person_is_told_at_once_that_the_broker_is_away(transport: Transport, server: Server) -> None:
    """The first connection can be asked to succeed, as a command line does."""
    await server.stop()
    events = Events()
    with pytest.raises(TransportError):
        async with transport.publish(as_client(server, "p"), first=MUST, observer=events):
            pytest.fail("entered without a broker")
    with pytest.raises(TransportError):
        async with transport.consume(as_client(server, "c"), topics=["a"], slots=1, first=MUST):
            pytest.fail("entered without a broker")

    assert [event.state for event in events.all] == [ConnectionState.FAILED]


async def test_a_retained_message_reaches_who_subscribes_later(transport: Transport, server: Server) -> None:
    """It is marked as retained, so that a receiver can tell it from a fresh one."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        await publisher.publish(Message(topic="state", payload=b"last", retain=True))
    async with transport.consume(
        as_client(server, "c"), topics=["state"], slots=1, session=EPHEMERAL, first=MUST
    ) as consumer:
        (delivery,) = await take(consumer, 1)

    assert (delivery.message.payload, delivery.message.retain) == (b"last", True)


async def test_a_publishers_retain_flag_reaches_who_is_subscribed(transport: Transport, server: Server) -> None:
    """Otherwise a retained invocation could not be told from one that was not."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        await publisher.publish(Message(topic="work/a", payload=b"kept", retain=True))
        (delivery,) = await take(consumer, 1)

    assert delivery.message.retain


async def test_properties_travel_with_the_message(transport: Transport, server: Server) -> None:
    """Response topic, correlation data, content type and what is left of the expiry arrive."""
    sent = Message(
        topic="work/a",
        payload=b"\x00\xff",
        response_topic="reply/é",
        correlation_data=b"\x00id",
        content_type="application/octet-stream",
        expiry_s=60,
    )
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        await publisher.publish(sent)
        (delivery,) = await take(consumer, 1)

    got = delivery.message
    assert (got.topic, got.payload, got.response_topic, got.correlation_data, got.content_type) == (
        sent.topic,
        sent.payload,
        sent.response_topic,
        sent.correlation_data,
        sent.content_type,
    )
    assert got.expiry_s is not None
    assert 0 < got.expiry_s <= 60


async def test_a_message_of_a_mebibyte_passes(transport: Transport, server: Server) -> None:
    """That is the largest payload of the protocol above."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        await publisher.publish(Message(topic="work/a", payload=b"\x5a" * MIB))
        (delivery,) = await take(consumer, 1)

    assert delivery.message.payload == b"\x5a" * MIB


async def test_an_answer_reaches_the_topic_that_was_subscribed_before_asking(
    transport: Transport, server: Server
) -> None:
    """When `subscribed` returns, the reply topic is ready."""
    async with (
        transport.publish(as_client(server, "p")) as publisher,
        transport.consume(as_client(server, "c"), topics=["reply/c"], slots=1, session=EPHEMERAL) as consumer,
    ):
        with anyio.fail_after(10):
            await consumer.subscribed()
            await publisher.publish(text("answer", "reply/c"))

        assert payloads(await take(consumer, 1)) == ["answer"]


async def test_a_cancelled_wait_loses_no_message(transport: Transport, server: Server) -> None:
    """Whoever waits with a deadline of its own finds the message at the next wait."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), first=MUST) as publisher,
    ):
        received: list[Delivery] = []
        for number in range(5):
            with anyio.move_on_after(0):
                received.append(await anext(aiter(consumer)))
            await publisher.publish(text(str(number)))
        received += await take(consumer, 5 - len(received))

    assert payloads(received) == ["0", "1", "2", "3", "4"]


async def test_a_cancelled_publish_does_not_stop_the_next(transport: Transport, server: Server) -> None:
    """Its place in the window is given back by the broker's answer."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), window=1, first=MUST) as publisher,
    ):
        with anyio.move_on_after(0):
            await publisher.publish(text("given up"))
        with anyio.fail_after(10):
            await publisher.publish(text("next"))
            received = payloads(await take(consumer, 1))
            while received[-1] != "next":
                received += payloads(await take(consumer, 1))

    assert received[-1] == "next"


async def test_many_publish_at_once_through_a_small_window(transport: Transport, server: Server) -> None:
    """Each is answered, and none is sent twice."""
    async with (
        transport.consume(as_client(server, "c"), topics=["work/#"], slots=100, first=MUST) as consumer,
        transport.publish(as_client(server, "p"), window=3, first=MUST) as publisher,
    ):
        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(publisher.publish, text(str(number)))
        received = payloads(await take(consumer, 60))

    assert sorted(received, key=int) == [str(number) for number in range(60)]


async def test_a_topic_that_no_broker_takes_is_refused_before_it_is_sent(transport: Transport, server: Server) -> None:
    """Sent, it would end the connection again and again, with everything else on it."""
    async with transport.publish(as_client(server, "p"), first=MUST) as publisher:
        with pytest.raises(ProtocolError):
            await publisher.publish(text("x", "work/#"))
        with pytest.raises(ProtocolError):
            await publisher.publish(Message(topic="work", payload=b"", response_topic="reply/+"))


async def test_leaving_leaves_no_task_and_no_thread_behind(transport: Transport, server: Server) -> None:
    """Every task has a parent that outlives it."""
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            transport.consume(as_client(server, "c"), topics=["work/#"], slots=8, first=MUST)
        )
        await stack.enter_async_context(transport.publish(as_client(server, "p"), first=MUST))
    left = {task.get_name() for task in asyncio.all_tasks() - before if not task.done()}

    assert not {name for name in left if "broker" not in name}


async def test_leaving_while_nobody_answers_is_quick(transport: Transport) -> None:
    """A broker that accepts and says nothing must not hold up the end of a process."""

    async def ignore(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, ignore)
        connection = Connection(address=parse_broker_url(f"mqtt://127.0.0.1:{port}"), client_id="c")
        with anyio.fail_after(4):
            async with transport.consume(connection, topics=["a"], slots=1):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def test_the_bodys_own_error_leaves_as_it_is(transport: Transport, server: Server) -> None:
    """The tasks inside are ours; no ExceptionGroup round what the caller raised."""
    with pytest.raises(LookupError):
        async with transport.publish(as_client(server, "p"), first=MUST):
            raise LookupError


@pytest.mark.parametrize("topics", [[], ["a/#/b"], [""]])
async def test_topics_that_are_none_are_a_configuration_error(
    transport: Transport, server: Server, topics: list[str]
) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        async with transport.consume(as_client(server, "c"), topics=topics, slots=1):
            pytest.fail("entered")
