"""What the tests of a whole caller share: a connected one, and a look at what it published."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from enclaved.caller.caller import Caller
from enclaved.mqtt.transport import Message
from enclaved.verifier.policy import Freshness, Policy
from fake_runtime import NoonClock, surroundings
from memory_broker import MemoryBroker
from simulation import make_policy

__all__ = ["POLICY", "SECRET", "UNCHALLENGED", "connected", "invocations", "is_answer"]

POLICY = make_policy()
UNCHALLENGED = replace(POLICY, freshness=Freshness(challenge=False, max_age=timedelta(hours=1)))
SECRET = b"call me on 555-0100"


@asynccontextmanager
async def connected(
    broker: MemoryBroker, policy: Policy = POLICY, *, clock: NoonClock | None = None, **options: object
) -> AsyncIterator[Caller]:
    """Return a caller that is connected to a broker in memory."""
    async with Caller.connect(
        "mqtt://localhost",
        namespace="demo",
        policy=policy,
        transport=broker,
        surroundings=surroundings(clock),
        **options,
    ) as caller:
        yield caller


def invocations(broker: MemoryBroker) -> list[Message]:
    """Return the invocations that were published."""
    return [message for message in broker.published if message.topic.endswith(("/invoke", "trigger/one"))]


def is_answer(message: Message) -> bool:
    """Tell whether a message is a result on the way to a caller."""
    return "/reply/" in message.topic and message.payload[:1] == b"\x93"
