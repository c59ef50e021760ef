"""A gateway's process, an enclave for it, and a caller: what the tests of whole processes share."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import enclaved
from anyio.streams.buffered import BufferedByteReceiveStream
from brokers import Server
from enclaved.mqtt.transport import EPHEMERAL, Connection, Consumer, Delivery, Message, Publisher
from enclaved.mqtt.transports import open_transport
from gateway_enclave import FakeEnclave
from gateway_world import announce, lane

__all__ = ["ENVIRONMENT", "GatewayProcess", "caller", "enclave_at", "gateway", "take"]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(enclaved.__file__).parent.parent)}
MAX_LINE = 1 << 20


class GatewayProcess:
    """A gateway's process and the lines that it writes."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def event(self, name: str) -> dict[str, object]:
        """Wait for an event of that name and return it."""
        with anyio.fail_after(20):
            while True:
                event: dict[str, object] = json.loads(await self._lines.receive_until(b"\n", MAX_LINE))
                if event["event"] == name:
                    return event

    def peak_kib(self) -> int:
        """Return the most memory that it ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        with anyio.fail_after(10):
            return await self.process.wait()


@asynccontextmanager
async def gateway(broker: Server, enclave: FakeEnclave) -> AsyncIterator[GatewayProcess]:
    """Run a gateway's process; it is killed when left."""
    command = [
        sys.executable,
        "-m",
        "enclaved.gateway",
        "--json",
        f"--broker={broker.url}",
        f"--link=unix:{enclave.path}",
    ]
    async with await anyio.open_process(command, stderr=None, env=ENVIRONMENT) as process:
        try:
            yield GatewayProcess(process)
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def caller(broker: Server, *topics: str) -> AsyncIterator[tuple[Publisher, Consumer]]:
    """Connect as a caller that waits on these topics."""
    transport = open_transport("auto")

    def connection(client_id: str) -> Connection:
        return Connection(address=broker.address, client_id=client_id)

    async with (
        transport.consume(connection("caller-c"), topics=topics, slots=64, session=EPHEMERAL) as consumer,
        transport.publish(connection("caller-p")) as publisher,
    ):
        with anyio.fail_after(10):
            await consumer.subscribed()
        yield publisher, consumer


async def take(consumer: Consumer) -> Message:
    """Take the next delivery and acknowledge it."""
    with anyio.fail_after(20):
        delivery: Delivery = await anext(aiter(consumer))
    delivery.acknowledge()
    return delivery.message


@asynccontextmanager
async def enclave_at(folder: Path) -> AsyncIterator[FakeEnclave]:
    """Run an enclave."""
    enclave = FakeEnclave(folder / "link.sock", announce(lane("echo", slots=8)))
    async with anyio.create_task_group() as group:
        await group.start(enclave.run)
        yield enclave
        group.cancel_scope.cancel()
