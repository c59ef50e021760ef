"""Beginning, ending, losing the broker and coming back: every transport on every broker."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from brokers import Server
from enclaved.errors import ConfigurationError, TransportError
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import (
    Connection,
    ConnectionState,
    Delivery,
    Message,
    Role,
    Transport,
    parse_broker_url,
)
from transport_world import MUST, Events, as_client, payloads, take, text


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


async def test_a_unix_socket_carries_it_too(transport: Transport, tmp_path: Path) -> None:
    """Permissions on a path stand in for passwords there."""
    path = tmp_path / "broker.sock"
    async with LoopbackBroker(port=None, unix=path):
        address = parse_broker_url(f"unix:{path}")
        async with (
            transport.consume(
                Connection(address=address, client_id="c"), topics=["work/#"], slots=2, first=MUST
            ) as consumer,
            transport.publish(Connection(address=address, client_id="p"), first=MUST) as publisher,
        ):
            await publisher.publish(text("by path"))

            assert payloads(await take(consumer, 1)) == ["by path"]
