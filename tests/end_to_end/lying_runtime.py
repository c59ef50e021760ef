"""Runtimes that lie, in a process of their own, each named after its lie.

    python lying_runtime.py --broker URL --policy-out FILE [--lie NAME ...]

They listen on one broker and tell the truth but for one thing each. The policy that
is written accepts what the honest one shows. Each line on standard output is a JSON
event: `ready`, then `invoked` whenever a caller sealed something to one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
from enclaved.mqtt.transport import EPHEMERAL, Connection, Consumer, Message, Publisher, parse_broker_url
from enclaved.mqtt.transports import open_transport
from enclaved.wire.attestation import decode_challenge_request
from enclaved.wire.topics import attestation_topic
from lies import LIES
from pretended_runtime import FUNCTION, NAMESPACE, PretendedRuntime, honest_device
from simulation import policy_document

_PREFIX = f"enclaved/v1/{NAMESPACE}/runtime/"


def main(arguments: Sequence[str] | None = None) -> None:
    """Lie until killed."""
    parser = argparse.ArgumentParser(description="Runtimes that lie.")
    parser.add_argument("--broker", required=True)
    parser.add_argument("--lie", action="append", choices=LIES, help="may be repeated; all of them by default")
    parser.add_argument("--policy-out", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.policy_out.write_text(policy_document())
    device = honest_device()
    runtimes = {name: PretendedRuntime(name, LIES[name], device=device) for name in given.lie or LIES}
    anyio.run(_serve, given.broker, runtimes)


async def _serve(broker: str, runtimes: dict[str, PretendedRuntime]) -> None:
    transport, address, name = open_transport("aiomqtt"), parse_broker_url(broker), f"liars-{os.urandom(4).hex()}"
    incoming = Connection(address=address, client_id=f"{name}-in")
    outgoing = Connection(address=address, client_id=f"{name}-out")
    topics = (f"{_PREFIX}+/challenge", f"{_PREFIX}+/function/{FUNCTION}/invoke")
    async with (
        transport.consume(incoming, topics=topics, slots=64, session=EPHEMERAL) as consumer,
        transport.publish(outgoing) as publisher,
    ):
        await consumer.subscribed()
        for runtime in runtimes.values():
            topic = attestation_topic(NAMESPACE, runtime.name)
            await publisher.publish(Message(topic=topic, payload=runtime.announced, retain=True))
        _say("ready", runtimes=list(runtimes))
        await _answer_all(consumer, publisher, runtimes)


async def _answer_all(consumer: Consumer, publisher: Publisher, runtimes: dict[str, PretendedRuntime]) -> None:
    async for delivery in consumer:
        message = delivery.message
        runtime = runtimes[message.topic.removeprefix(_PREFIX).partition("/")[0]]
        if message.topic.endswith("/challenge"):
            challenge = decode_challenge_request(message.payload)
            topic: str | None = challenge.response_topic
            answer = runtime.lie.answer_challenge(runtime, challenge.nonce)
        else:
            _say("invoked", runtime=runtime.name)
            topic, answer = runtime.answer(message.payload)
        if topic is not None:
            reply = Message(topic=topic, payload=answer, correlation_data=message.correlation_data)
            await publisher.publish(reply)
        delivery.acknowledge()


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
