"""The gateway's life: announcing, challenges, changing lanes, losing the broker, and leaving."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from enclaved.errors import ConfigurationError, TransportError
from enclaved.gateway.announcer import Announcer
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.events import BrokerChanged, Serving
from enclaved.gateway.gateway import Gateway
from enclaved.gateway.latest import Latest
from enclaved.gateway.outbox import Outbox
from enclaved.gateway.stream import connect
from enclaved.mqtt.transport import Connection, FirstConnection, Message, Observer, ignore_events
from enclaved.wire.attestation import ChallengeRequest, encode_challenge_request
from enclaved.wire.frames import Announce, Answer, Attest, Invoke
from enclaved.wire.topics import challenge_topic
from gateway_broker import FakeBroker
from gateway_enclave import FakeEnclave, answered
from gateway_world import ATTESTATION, ECHO, NAMESPACE, REPLY, RUNTIME, announce, lane, options, request, world

CHALLENGE = challenge_topic(NAMESPACE, RUNTIME)
NONCE = b"n" * 32


def challenge(nonce: bytes = NONCE, *, response_topic: str = REPLY) -> Message:
    """Return a challenge as a caller publishes it."""
    asked = ChallengeRequest(v=1, nonce=nonce, response_topic=response_topic)
    return Message(topic=CHALLENGE, payload=encode_challenge_request(asked), correlation_data=b"c-1")


async def test_the_attestation_is_published_retained_until_its_bundle_expires(tmp_path: Path) -> None:
    """Callers find the runtime by it at any time, and not for ever when it dies."""
    async with world(tmp_path) as here:
        kept = here.broker.retained[ATTESTATION]

        assert kept.payload == b"attestation 1"
        assert kept.retain
        assert kept.expiry_s is not None
        assert 3590 <= kept.expiry_s <= 3600


async def test_serving_is_told_once_callers_can_come(tmp_path: Path) -> None:
    """Whoever waits for it may publish at once."""
    async with world(tmp_path, announced=announce(lane("echo"), lane("redact"))) as here:
        assert here.broker.retained[ATTESTATION]
        assert sorted(here.broker.clients) == ["ward-1/challenges", "ward-1/echo", "ward-1/publisher", "ward-1/redact"]
        assert [event for event in here.events if isinstance(event, Serving)] == [
            Serving(namespace=NAMESPACE, runtime_id=RUNTIME, functions=("echo", "redact"))
        ]


async def test_a_new_epoch_renews_the_attestation(tmp_path: Path) -> None:
    """Callers must seal to the key that will still be held."""
    async with world(tmp_path) as here:
        await here.enclave.renew(announce(attestation=b"attestation 2"))
        await here.broker.until(lambda: here.broker.retained[ATTESTATION].payload == b"attestation 2")

        assert "ward-1/echo" in here.broker.clients


async def test_a_broker_that_forgot_gets_the_attestation_again(tmp_path: Path) -> None:
    """A broker without a disk loses what it retained."""
    async with world(tmp_path) as here:
        here.broker.lose_connections(forget_retained=True)
        await here.broker.until(lambda: ATTESTATION in here.broker.retained)

        assert here.gateway.counters[Counter.BROKER_LOST] == 3
        assert BrokerChanged(client_id="ward-1/publisher", state="lost", reason="lost on demand") in here.events


async def test_the_attestation_is_taken_back_on_leaving(tmp_path: Path) -> None:
    """Nobody is to seal to a runtime that has left."""
    async with world(tmp_path) as here:
        last = await here.leave()

        assert ATTESTATION not in here.broker.retained
        assert here.broker.to(ATTESTATION)[-1] == Message(topic=ATTESTATION, payload=b"", retain=True)
        assert last.finished
        assert here.broker.clients == []


@dataclass
class StoppedClock:
    """Time that a test sets."""

    at_s: float = 0.0

    def now(self) -> datetime:
        """Return noon."""
        return datetime(2026, 1, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the time that was set."""
        return self.at_s


async def test_time_that_passed_since_the_announcement_is_taken_off_the_expiry() -> None:
    """A broker that comes back late must not keep the attestation longer than its bundle lives."""
    broker, clock, counters = FakeBroker(), StoppedClock(), Counters()
    announcer = Announcer(clock=clock, counters=counters)
    announced: Latest[Announce] = Latest()
    announced.put(announce(expires_in_ms=100_000))
    connection = options(Path("unused")).connection("ward-1/publisher")
    async with broker.publish(connection, observer=announcer.observe) as publisher, anyio.create_task_group() as group:
        group.start_soon(announcer.run, Outbox(publisher), announced)
        await announcer.published.wait()
        clock.at_s = 40.5
        broker.lose_connections(forget_retained=True)
        await broker.until(lambda: ATTESTATION in broker.retained)
        assert broker.retained[ATTESTATION].expiry_s == 59

        group.cancel_scope.cancel()


async def test_a_challenge_is_answered_with_fresh_evidence(tmp_path: Path) -> None:
    """A nonce of one's own is the only proof of freshness."""
    async with world(tmp_path) as here:
        here.broker.send(challenge())
        (answer,) = await here.broker.until_taken(REPLY)

        assert answer.payload == b"fresh attestation"
        assert answer.correlation_data == b"c-1"
        assert [frame.nonce for frame in here.enclave.received if isinstance(frame, Attest)] == [NONCE]


@pytest.mark.parametrize(
    "message",
    [
        challenge(response_topic="alarms/1"),
        challenge(b"short"),
        replace(challenge(), retain=True),
        replace(challenge(), payload=b"\xc1"),
    ],
    ids=["reply topic outside", "short nonce", "retained", "no challenge"],
)
async def test_a_bad_challenge_is_dropped(tmp_path: Path, message: Message) -> None:
    """It costs the enclave nothing, and nobody is written to."""
    async with world(tmp_path) as here:
        here.broker.send(message)
        await here.broker.until(lambda: ("acknowledged", CHALLENGE) in here.broker.journal)

        assert here.gateway.counters[Counter.CHALLENGES_DROPPED] == 1
        assert not [frame for frame in here.enclave.received if isinstance(frame, Attest)]


async def test_a_challenge_that_overruns_the_device_is_dropped(tmp_path: Path) -> None:
    """The caller asks again."""
    async with world(tmp_path) as here:
        here.enclave.attestation = None
        here.broker.send(challenge())
        await here.counted(Counter.CHALLENGES_DROPPED)

        assert here.broker.to(REPLY) == []


async def test_a_flood_of_challenges_is_bounded(tmp_path: Path) -> None:
    """At most sixteen wait for the device; what comes beyond them is dropped."""
    async with world(tmp_path) as here:
        here.broker.withheld[REPLY] = anyio.Event()
        for number in range(40):
            here.broker.send(challenge(number.to_bytes(32, "big")))
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", CHALLENGE)) == 40)

        assert here.gateway.counters[Counter.CHALLENGES_DROPPED] == 24
        here.broker.withheld[REPLY].set()
        await here.broker.until_taken(REPLY, count=16)
        here.broker.send(challenge())
        assert len(await here.broker.until_taken(REPLY, count=17)) == 17


async def test_a_new_function_is_served_and_a_vanished_one_is_not(tmp_path: Path) -> None:
    """An announcement says all that is served."""
    async with world(tmp_path, announced=announce(lane("echo"), lane("redact"))) as here:
        await here.enclave.renew(announce(lane("echo"), lane("report")))
        await here.serving("echo", "report")

        assert sorted(here.broker.clients) == ["ward-1/challenges", "ward-1/echo", "ward-1/publisher", "ward-1/report"]


async def test_a_lane_with_changed_triggers_starts_again_without_loss(tmp_path: Path) -> None:
    """What was under way is finished first: the client id is the same, so both cannot be connected."""
    release = anyio.Event()

    async def when_released(invoke: Invoke) -> Answer:
        await release.wait()
        return await answered(invoke)

    async with world(tmp_path, announced=announce(lane("echo", "a/1")), behaviour=when_released) as here:
        here.broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        await here.enclave.renew(announce(lane("echo", "b/1")))
        release.set()
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)
        here.broker.send(request(b"sealed 2"))
        await here.broker.until(lambda: len(here.broker.to(REPLY)) == 2)
        here.broker.send(request(b"sealed 3", topic="b/1"))
        await here.broker.until(lambda: len(here.broker.to(REPLY)) == 3)

        assert len(here.enclave.invocations) == 3


async def test_what_is_under_way_at_a_stop_is_finished_and_acknowledged(tmp_path: Path) -> None:
    """A restart then repeats nothing; what was not taken yet waits in the broker."""
    release = anyio.Event()

    async def when_released(invoke: Invoke) -> Answer:
        await release.wait()
        return await answered(invoke)

    async with world(tmp_path, announced=announce(lane(slots=2)), behaviour=when_released) as here:
        for number in range(5):
            here.broker.send(request(b"sealed %d" % number))
        await here.enclave.until(lambda: len(here.enclave.invocations) == 2)
        here.stop.set()
        await here.broker.until(lambda: "ward-1/challenges" not in here.broker.clients)
        release.set()
        last = await here.leave()

        assert last.finished
        assert here.broker.journal.count(("acknowledged", ECHO)) == 2
        assert here.broker.waiting_for("ward-1/echo") == 3
        assert here.broker.journal[-1] == ("took", ATTESTATION)


async def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    """What is not finished in time stays unacknowledged, and the broker delivers it again."""

    async def never(invoke: Invoke) -> None:
        """Answer nothing."""

    async with world(tmp_path, behaviour=never, stop_s=1.2) as here:
        here.broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        last = await here.leave()

        assert not last.finished
        assert ("acknowledged", ECHO) not in here.broker.journal
        assert here.broker.waiting_for("ward-1/echo") == 1
        assert ATTESTATION not in here.broker.retained


async def test_a_stop_does_not_wait_for_a_broker_that_is_silent(tmp_path: Path) -> None:
    """A goodbye that is never answered must not keep the process."""
    async with world(tmp_path, stop_s=1.2) as here:
        here.broker.hangs_on_leaving = True
        last = await here.leave()

        assert not last.finished


async def test_a_stop_before_the_enclave_is_there_is_a_stop(tmp_path: Path) -> None:
    """Whoever starts the wrong way round can still leave."""
    chosen = options(tmp_path / "nobody.sock")
    broker, stop = FakeBroker(), anyio.Event()
    gateway = Gateway(chosen, transport=broker, dial=lambda: connect(chosen.link))
    stop.set()
    with anyio.fail_after(5):
        await gateway.run(stop)

    assert broker.taken == []


class VanishingBroker(FakeBroker):
    """A transport that ends its connection by itself, without an error."""

    @asynccontextmanager
    async def publish(
        self,
        connection: Connection,
        *,
        window: int = 64,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AsyncIterator[Any]:
        """Open a publishing connection that ends at once."""
        async with super().publish(connection, window=window, first=first, observer=observer) as publisher:
            with anyio.CancelScope() as scope:
                scope.cancel()
                yield publisher


async def test_an_end_that_nobody_asked_for_is_a_failure(tmp_path: Path) -> None:
    """A supervisor starts a failed gateway again, and not one that left."""
    enclave = FakeEnclave(tmp_path / "link.sock", announce())
    chosen = options(enclave.path)
    gateway = Gateway(chosen, transport=VanishingBroker(), dial=lambda: connect(chosen.link))
    async with anyio.create_task_group() as group:
        await group.start(enclave.run)
        with anyio.fail_after(5), pytest.raises(TransportError):
            await gateway.run(anyio.Event())
        group.cancel_scope.cancel()


@pytest.mark.parametrize("changes", [{"runtime_id": "ward-2"}, {"namespace": "other"}])
async def test_an_enclave_of_another_name_ends_the_gateway(tmp_path: Path, changes: dict[str, object]) -> None:
    """Client ids, topics and the backlog belong to the first one's name."""
    enclave = FakeEnclave(tmp_path / "link.sock", announce())
    chosen = options(enclave.path)
    linked = anyio.Event()
    gateway = Gateway(
        chosen, transport=FakeBroker(), dial=lambda: connect(chosen.link), observer=lambda event: linked.set()
    )
    async with anyio.create_task_group() as group:
        await group.start(enclave.run)

        async def rename() -> None:
            await linked.wait()
            await enclave.renew(announce(**changes))

        group.start_soon(rename)
        with anyio.fail_after(5), pytest.raises(ConfigurationError) as refused:
            await gateway.run(anyio.Event())
        group.cancel_scope.cancel()

    assert refused.value.where == "link"
    assert "demo/ward-1 before" in refused.value.problem
