"""What the tests of brokers and transports share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from broker_world import MovedClock, World
from brokers import Cable, LoopbackServer, MosquittoServer, Server
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.transport import Transport
from enclaved.mqtt.transports import TRANSPORTS, open_transport


@pytest.fixture(params=sorted(set(TRANSPORTS) - {"auto"}))
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each transport of the table; `auto` only chooses between these."""
    return open_transport(request.param)


@pytest.fixture
def limits() -> BrokerLimits:
    """The broker's bounds; a test module or parameter may narrow them."""
    return BrokerLimits()


@pytest.fixture
async def world(limits: BrokerLimits) -> AsyncIterator[World]:
    """A broker that listens."""
    clock = MovedClock()
    async with LoopbackBroker(limits=limits, clock=clock) as broker, AsyncExitStack() as stack:
        yield World(broker, clock, stack)


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
