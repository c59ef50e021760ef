"""A server that takes connections and never says a word: what any host can put in a broker's place."""

from __future__ import annotations

import anyio
from anyio.abc import SocketStream
from enclaved.mqtt.transport import (
    Connection,
    ConnectionEvent,
    ConnectionState,
    FirstConnection,
    Transport,
    parse_broker_url,
)

_CONNACK_WAIT_S = 20  # the transport's own deadline for CONNACK is well below


async def _say_nothing(stream: SocketStream) -> None:
    async with stream:
        await anyio.sleep_forever()


async def test_a_silent_broker_is_a_failed_attempt_and_ends_nothing(transport: Transport) -> None:
    """The body of a publisher that keeps trying goes on; the observer is told, and the next attempt follows."""
    failed = anyio.Event()

    def observe(event: ConnectionEvent) -> None:
        if event.state is ConnectionState.FAILED:
            failed.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - no Django here
    connection = Connection(address=parse_broker_url(f"mqtt://127.0.0.1:{port}"), client_id="c")
    went_on = False
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, _say_nothing)
        async with transport.publish(connection, first=FirstConnection.KEEP_TRYING, observer=observe):
            with anyio.fail_after(_CONNACK_WAIT_S):
                await failed.wait()
            await anyio.lowlevel.checkpoint()
            went_on = True
        tasks.cancel_scope.cancel()

    assert went_on
