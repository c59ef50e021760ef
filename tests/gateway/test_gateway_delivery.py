"""From a delivery to its acknowledgement, through a real link: nothing is acknowledged that is not dealt with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from enclaved.gateway.counters import Counter
from enclaved.wire.frames import Answer, Invoke, Output
from enclaved.wire.hint import decode_hint
from gateway_broker import FakeBroker
from gateway_enclave import answered
from gateway_world import DEAD, ECHO, REPLY, announce, invocation, lane, request, world

ALARM = "wards/3/alarm"


async def with_output(invoke: Invoke) -> Answer:
    """Answer with a sealed acknowledgement and a sealed alarm."""
    return Answer(
        id=invoke.id, outcome="answered", reply=b"receipt", outputs=(Output(topic=ALARM, payload=b"sealed alarm"),)
    )


async def dead(invoke: Invoke) -> Answer:
    """Say that nobody can open it, and nobody can be told."""
    return Answer(id=invoke.id, outcome="dead", reply=None, outputs=())


async def test_a_result_is_published_before_its_invocation_is_acknowledged(tmp_path: Path) -> None:
    """Killed in between, the gateway gets the invocation again; the other way round, the result would be lost."""
    async with world(tmp_path) as here:
        here.broker.send(request())
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        (result,) = here.broker.to(REPLY)
        assert here.broker.journal.index(("took", REPLY)) < here.broker.journal.index(("acknowledged", ECHO))
        assert result.payload == b"result of sealed 1"
        assert result.correlation_data == b"c-sealed 1"
        assert not result.retain


async def test_nothing_is_acknowledged_while_the_broker_has_not_taken_the_result(tmp_path: Path) -> None:
    """A result on its way is not a result that arrived."""
    async with world(tmp_path) as here:
        here.broker.withheld[REPLY] = anyio.Event()
        here.broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        await here.broker.until(lambda: ("offered", REPLY) in here.broker.journal)

        assert ("acknowledged", ECHO) not in here.broker.journal
        here.broker.withheld[REPLY].set()
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)


async def test_what_was_under_way_on_a_lost_link_is_sent_again(tmp_path: Path) -> None:
    """An enclave that lives recognises the repeat; one that died could not have answered."""

    async def answer_the_second_time(invoke: Invoke) -> Answer | None:
        return await answered(invoke) if here.enclave.connections > 1 else None

    async with world(tmp_path, behaviour=answer_the_second_time) as here:
        here.broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        await here.enclave.lose_link()
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        assert here.enclave.invocations == [invocation(), invocation()]
        assert len(here.broker.to(REPLY)) == 1
        assert here.gateway.counters[Counter.LINK_LOST] == 1
        assert here.gateway.counters[Counter.RESENT] == 1


async def test_what_was_under_way_on_a_lost_broker_is_delivered_and_answered_again(tmp_path: Path) -> None:
    """An acknowledgement of before does nothing; the broker delivers again, and the enclave repeats its answer."""
    async with world(tmp_path) as here:
        here.broker.withheld[REPLY] = anyio.Event()
        here.broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        here.broker.lose_connections()
        await here.enclave.until(lambda: len(here.enclave.invocations) == 2)
        here.broker.withheld[REPLY].set()
        await here.broker.until_taken(REPLY, count=2)
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        assert here.broker.journal.count(("acknowledged", ECHO)) == 1
        assert here.gateway.counters[Counter.REDELIVERED] == 1


async def test_a_broker_that_flaps_does_not_pile_up_invocations(tmp_path: Path) -> None:
    """What earlier connections delivered is still under way; the lane's slots bound all of it together."""
    async with world(tmp_path, announced=announce(lane(slots=2))) as here:
        here.enclave.behaviour = _keep_silent
        for number in range(4):
            here.broker.send(request(b"sealed %d" % number))
        await here.enclave.until(lambda: len(here.enclave.invocations) == 2)
        for _ in range(3):
            here.broker.lose_connections()
            await anyio.wait_all_tasks_blocked()

        assert len(here.enclave.invocations) == 2
        here.enclave.behaviour = answered
        await here.enclave.lose_link()
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", ECHO)) == 4)


async def test_a_busy_enclave_is_asked_again(tmp_path: Path) -> None:
    """Waiting is the default under load; the invocation stays unacknowledged meanwhile."""

    async def busy_twice(invoke: Invoke) -> Answer:
        if len(here.enclave.invocations) < 3:
            return Answer(id=invoke.id, outcome="busy", reply=None, outputs=())
        return await answered(invoke)

    async with world(tmp_path, behaviour=busy_twice) as here:
        here.broker.send(request())
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        assert here.enclave.invocations == [invocation()] * 3
        assert here.gateway.counters[Counter.BUSY] == 2


async def test_what_nobody_can_be_told_is_dead_lettered_as_it_came(tmp_path: Path) -> None:
    """A record of loss, still sealed, taken by the broker before the event is acknowledged."""
    async with world(tmp_path, behaviour=dead) as here:
        here.broker.send(request(response_topic=None))
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        (letter,) = here.broker.to(DEAD)
        assert letter.payload == invocation(response_topic=None)
        assert here.broker.journal.index(("took", DEAD)) < here.broker.journal.index(("acknowledged", ECHO))
        assert here.gateway.counters[Counter.DEAD] == 1


async def test_a_dead_letter_that_the_broker_refuses_is_counted(tmp_path: Path) -> None:
    """It can never be written, so the event must not come back for ever."""
    broker = FakeBroker()
    broker.refuse[DEAD] = 0x87
    async with world(tmp_path, broker=broker, behaviour=dead) as here:
        broker.send(request(response_topic=None))
        await broker.until(lambda: ("acknowledged", ECHO) in broker.journal)

        assert here.gateway.counters[Counter.DEAD_REFUSED] == 1


async def test_a_reply_that_the_broker_refuses_is_given_up(tmp_path: Path) -> None:
    """Not authorised (0x87) does not pass by waiting: acknowledged and counted, or it would come back for ever."""
    broker = FakeBroker()
    broker.refuse[REPLY] = 0x87
    async with world(tmp_path, broker=broker) as here:
        broker.send(request())
        await broker.until(lambda: ("acknowledged", ECHO) in broker.journal)

        assert here.gateway.counters[Counter.REPLY_REFUSED] == 1
        assert broker.to(REPLY) == []


async def test_a_reply_over_quota_is_offered_again(tmp_path: Path) -> None:
    """Quota exceeded (0x97) passes."""
    broker = FakeBroker()
    broker.refuse[REPLY] = 0x97
    async with world(tmp_path, broker=broker) as here:
        broker.send(request())
        await here.enclave.until(lambda: here.enclave.invocations)
        del broker.refuse[REPLY]
        await broker.until(lambda: ("acknowledged", ECHO) in broker.journal)

        assert len(broker.to(REPLY)) == 1
        assert here.gateway.counters[Counter.REPLY_REFUSED] == 0


async def test_outputs_go_out_before_the_reply_and_the_acknowledgement(tmp_path: Path) -> None:
    """Whoever has the reply keeps the event no longer, so the alarm must be out by then."""
    async with world(tmp_path, behaviour=with_output) as here:
        here.broker.send(request())
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        steps = [("took", ALARM), ("took", REPLY), ("acknowledged", ECHO)]
        assert [step for step in here.broker.journal if step in steps] == steps


async def test_an_event_without_reply_topic_has_its_output_published(tmp_path: Path) -> None:
    """A sensor publishes, and nobody waits; a reply without address is not sent anywhere."""
    async with world(tmp_path, behaviour=with_output) as here:
        here.broker.send(request(response_topic=None))
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        assert [message.payload for message in here.broker.to(ALARM)] == [b"sealed alarm"]
        assert here.gateway.counters[Counter.REPLY_UNADDRESSED] == 1


@pytest.mark.parametrize("topic", ["enclaved/v1/demo/reply/x", "enclaved/v1/demo/runtime/ward-1/attestation"])
async def test_an_output_to_the_protocols_own_topics_is_refused(tmp_path: Path, topic: str) -> None:
    """The gateway's rights are not a function's; and a producer is not told that its alarm went out."""

    async def astray(invoke: Invoke) -> Answer:
        return Answer(
            id=invoke.id, outcome="answered", reply=b"receipt", outputs=(Output(topic=topic, payload=b"astray"),)
        )

    async with world(tmp_path, behaviour=astray) as here:
        here.broker.send(request())
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        assert b"astray" not in [message.payload for message in here.broker.taken]
        assert here.broker.to(REPLY) == []
        assert [letter.payload for letter in here.broker.to(DEAD)] == [invocation()]
        assert here.gateway.counters[Counter.OUTPUT_REFUSED] == 1


async def test_an_output_that_the_broker_refuses_leaves_a_record_and_no_reply(tmp_path: Path) -> None:
    """An alarm that can never go out must not look as if it had."""
    broker = FakeBroker()
    broker.refuse[ALARM] = 0x87
    async with world(tmp_path, broker=broker, behaviour=with_output) as here:
        broker.send(request())
        await broker.until(lambda: ("acknowledged", ECHO) in broker.journal)

        assert broker.to(REPLY) == []
        assert [letter.payload for letter in broker.to(DEAD)] == [invocation()]
        assert here.gateway.counters[Counter.OUTPUT_REFUSED] == 1


async def test_malformed_is_hinted_at_and_never_reaches_the_enclave(tmp_path: Path) -> None:
    """What the host can see to be nothing costs the enclave nothing."""
    async with world(tmp_path) as here:
        here.broker.send(replace(request(), payload=b"\xc1"))
        await here.broker.until(lambda: ("acknowledged", ECHO) in here.broker.journal)

        (hint,) = here.broker.to(REPLY)
        assert decode_hint(hint.payload).hint == "malformed"
        assert here.enclave.invocations == []
        assert here.gateway.counters[Counter.MALFORMED] == here.gateway.counters[Counter.HINTED] == 1


async def test_discarded_messages_are_acknowledged_and_counted(tmp_path: Path) -> None:
    """Left alone, they would come back for ever and fill the slots."""
    trigger = "wards/+/vitals"
    async with world(tmp_path, announced=announce(lane("echo", trigger, slots=1))) as here:
        topic = "wards/3/vitals"
        here.broker.send(replace(request(topic=topic), retain=True))
        here.broker.send(replace(request(topic=topic), payload=b"\xc1"))
        here.broker.send(request(topic=topic, runtime_id="ward-2"))
        here.broker.send(request(topic=topic, response_topic="alarms/1"))
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", topic)) == 4)

        counters = here.gateway.counters
        wanted = [Counter.RETAINED, Counter.MALFORMED, Counter.FOREIGN, Counter.BAD_REPLY_TOPIC]
        assert [counters[each] for each in wanted] == [1, 1, 1, 1]
        assert here.enclave.invocations == []
        assert here.broker.to(REPLY) == []


async def test_a_slow_function_holds_up_only_itself(tmp_path: Path) -> None:
    """Each function has slots of its own."""
    release = anyio.Event()

    async def slow_reports(invoke: Invoke) -> Answer:
        if b"slow" in invoke.message:
            await release.wait()
        return await answered(invoke)

    slow = "enclaved/v1/demo/runtime/ward-1/function/report/invoke"
    lanes = announce(lane("echo", slots=1), lane("report", slots=2))
    async with world(tmp_path, announced=lanes, behaviour=slow_reports) as here:
        for number in range(5):
            here.broker.send(request(b"slow %d" % number, topic=slow, function="report"))
        for number in range(20):
            here.broker.send(request(b"fast %d" % number))
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", ECHO)) == 20)

        assert ("acknowledged", slow) not in here.broker.journal
        assert here.broker.waiting_for("ward-1/report") == 3
        assert here.broker.most_under_way == {"ward-1/echo": 1, "ward-1/report": 2}
        release.set()
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", slow)) == 5)


async def test_a_backlog_of_before_the_start_is_answered(tmp_path: Path) -> None:
    """While no gateway runs, the broker keeps what arrives; the client id finds it again."""
    broker = FakeBroker()
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    async with world(first, broker=broker):
        pass
    for number in range(50):
        broker.send(request(b"sealed %d" % number))
    async with world(second, broker=broker):
        await broker.until(lambda: broker.journal.count(("acknowledged", ECHO)) == 50)

        assert len(broker.to(REPLY)) == 50
        assert broker.most_under_way["ward-1/echo"] == 4


async def test_invocations_wait_while_the_enclave_is_away(tmp_path: Path) -> None:
    """Without a link nothing is acknowledged, and no more is taken than there are slots."""
    async with world(tmp_path) as here:
        here.enclave.behaviour = _keep_silent
        for number in range(10):
            here.broker.send(request(b"sealed %d" % number))
        await here.enclave.until(lambda: len(here.enclave.invocations) == 4)

        assert here.broker.waiting_for("ward-1/echo") == 6
        here.enclave.behaviour = answered
        await here.enclave.lose_link()
        await here.broker.until(lambda: here.broker.journal.count(("acknowledged", ECHO)) == 10)
        assert len(here.broker.to(REPLY)) == 10


async def _keep_silent(invoke: Invoke) -> None:
    """Answer nothing."""
