"""What every transport keeps on every broker: one suite, transport by broker."""

from __future__ import annotations

import anyio
import pytest
from brokers import Cable, Server
from enclaved.errors import ProtocolError
from enclaved.mqtt.transport import (
    EPHEMERAL,
    ConnectionState,
    Message,
    Transport,
)
from transport_world import MIB, MUST, Events, as_client, payloads, take, text


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
