"""The caller over a real broker and a real transport, on the loopback interface."""

from __future__ import annotations

import anyio
from enclaved.caller.caller import Caller
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import EPHEMERAL, Connection, Message, parse_broker_url
from enclaved.mqtt.transports import open_transport
from fake_runtime import FakeRuntime, surroundings
from memory_broker import MemoryBroker
from simulation import make_policy

TOPICS = ("enclaved/v1/demo/runtime/r1/challenge", "enclaved/v1/demo/runtime/r1/function/+/invoke")


async def serve(url: str, runtime: FakeRuntime, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Bridge a fake runtime to a broker over its own two connections."""
    transport, inside = open_transport("auto"), MemoryBroker()
    put, take = anyio.create_memory_object_stream[Message](100)
    address = parse_broker_url(url)
    async with (
        put,
        take,
        transport.publish(Connection(address=address, client_id="runtime-out")) as publisher,
        transport.consume(
            Connection(address=address, client_id="runtime-in"), topics=TOPICS, slots=16, session=EPHEMERAL
        ) as consumer,
        anyio.create_task_group() as tasks,
    ):
        await consumer.subscribed()
        inside.subscribe(("enclaved/v1/demo/runtime/+/attestation", "enclaved/v1/demo/reply/+"), put.send_nowait)
        runtime.join(inside)

        async def send() -> None:
            async for message in take:
                await publisher.publish(message)

        tasks.start_soon(send)
        task_status.started()
        async for delivery in consumer:
            inside.publish_message(delivery.message)
            delivery.acknowledge()


async def test_invocations_over_the_loopback_broker() -> None:
    """The same path, as bytes through sockets."""
    runtime = FakeRuntime()

    async with LoopbackBroker() as broker, anyio.create_task_group() as tasks:
        url = f"mqtt://127.0.0.1:{broker.port}"
        await tasks.start(serve, url, runtime)
        async with Caller.connect(url, namespace="demo", policy=make_policy(), surroundings=surroundings()) as caller:
            results = [await caller.invoke("redact", b"n%d" % number, timeout=20) for number in range(5)]
        tasks.cancel_scope.cancel()

    assert [each.output for each in results] == [b"N%d" % number for number in range(5)]
    assert len(runtime.runs) == 5
