"""The gateway between an enclave and a hostile broker: it may be delayed and fooled, never ended and never stuck."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from brokers import LoopbackProcess
from enclaved.mqtt.broker.script import Power, Script
from enclaved.mqtt.transport import Consumer, Publisher
from gateway_process import caller, enclave_at, gateway
from gateway_world import REPLY, request

REQUESTS = 40
_PATIENCE_S = 0.5


async def ask_until_answered(publisher: Publisher, consumer: Consumer) -> None:
    """Send each request until its result is there, as a caller's library does."""
    missing = {b"result of sealed%02d" % number: request(b"sealed%02d" % number) for number in range(REQUESTS)}
    deliveries = aiter(consumer)
    while missing:
        for message in missing.values():
            await publisher.publish(message)
        with anyio.move_on_after(_PATIENCE_S):
            while missing:
                delivery = await anext(deliveries)
                delivery.acknowledge()
                missing.pop(delivery.message.payload, None)


@pytest.mark.parametrize("power", Power, ids=[power.value for power in Power])
async def test_every_power_of_a_broker_is_borne(tmp_path: Path, power: Power) -> None:
    """Whoever asks again is answered; the gateway lives, and leaves in good order."""
    script = Script(rates={power: 0.3}, delay_s=0.2, withhold_s=0.3)
    async with (
        LoopbackProcess(adversary=script, seed=1) as broker,
        enclave_at(tmp_path) as enclave,
        gateway(broker, enclave) as running,
    ):
        await running.event("serving")
        async with caller(broker, REPLY) as (publisher, consumer):
            with anyio.fail_after(40):
                await ask_until_answered(publisher, consumer)
        assert await running.end() == 0


async def test_all_powers_together_are_borne(tmp_path: Path) -> None:
    """At a rate at which most messages are struck by something."""
    script = Script(rates=dict.fromkeys(Power, 0.1), delay_s=0.2, withhold_s=0.3)
    async with (
        LoopbackProcess(adversary=script, seed=2) as broker,
        enclave_at(tmp_path) as enclave,
        gateway(broker, enclave) as running,
    ):
        await running.event("serving")
        async with caller(broker, REPLY) as (publisher, consumer):
            with anyio.fail_after(40):
                await ask_until_answered(publisher, consumer)
        assert await running.end() == 0
