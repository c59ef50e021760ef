"""What becomes of a delivered message, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from enclaved.errors import ProtocolError
from enclaved.gateway.counters import Counter
from enclaved.gateway.outgoing_topics import check_output_topic
from enclaved.gateway.routing import Discard, Forward, SendHint, route
from enclaved.gateway.station import Station
from enclaved.mqtt.transport import Message
from enclaved.wire.hint import Hint, decode_hint
from enclaved.wire.limits import MAX_INVOCATION
from gateway_world import DEAD, ECHO, NAMESPACE, REPLY, RUNTIME, invocation, request
from hypothesis import given
from hypothesis import strategies as some

STATION = Station(namespace=NAMESPACE, runtime_id=RUNTIME, function="echo")
TRIGGER = "wards/3/vitals"


def test_an_invocation_is_forwarded_as_it_came() -> None:
    """The enclave authenticates the bytes that the caller sent, so not one of them may change."""
    decision = route(request(), STATION)

    assert isinstance(decision, Forward)
    assert decision.message == invocation()


def test_the_answer_goes_where_the_authenticated_header_says() -> None:
    """The MQTT property is a broker's to change; the header is not."""
    decision = route(replace(request(), response_topic="enclaved/v1/demo/reply/thief"), STATION)

    assert isinstance(decision, Forward)
    assert decision.reply_to is not None
    assert decision.reply_to.topic == REPLY
    assert decision.reply_to.correlation_data == b"c-sealed 1"


def test_an_event_without_reply_topic_is_forwarded_without_address() -> None:
    """Nobody waits for its output, whatever the MQTT property says."""
    decision = route(request(response_topic=None), STATION)

    assert isinstance(decision, Forward)
    assert decision.reply_to is None


def test_an_event_on_a_trigger_topic_is_forwarded() -> None:
    """The header decides, not the topic."""
    assert isinstance(route(request(topic=TRIGGER), STATION), Forward)


def test_retained_is_discarded() -> None:
    """It would run again at each subscription, long after its sender meant it."""
    assert route(replace(request(), retain=True), STATION) == Discard(why=Counter.RETAINED)


def test_oversize_is_discarded() -> None:
    """No invocation is as large, so nothing of it is read."""
    message = replace(request(), payload=bytes(MAX_INVOCATION + 1))

    assert route(message, STATION) == Discard(why=Counter.OVERSIZE)


def test_malformed_on_the_own_topic_is_hinted_at() -> None:
    """Whoever names this runtime by its topic is told, unauthenticated, that it could not be read."""
    decision = route(replace(request(), payload=b"\xc1"), STATION)

    assert isinstance(decision, SendHint)
    assert decode_hint(decision.payload) == Hint(v=1, hint="malformed", session_id=None, sequence=None)
    assert decision.reply_to.topic == REPLY
    assert decision.reply_to.correlation_data == b"c-sealed 1"


def test_malformed_on_a_trigger_topic_is_discarded() -> None:
    """All runtimes that share the topic would hint at once."""
    assert route(replace(request(topic=TRIGGER), payload=b"\xc1"), STATION) == Discard(why=Counter.MALFORMED)


def test_malformed_on_another_functions_topic_is_discarded() -> None:
    """It is not this lane's own topic."""
    topic = ECHO.replace("echo", "redact")

    assert route(replace(request(topic=topic), payload=b"\xc1"), STATION) == Discard(why=Counter.MALFORMED)


def test_malformed_without_reply_topic_is_discarded() -> None:
    """There is nobody to tell."""
    message = replace(request(), payload=b"\xc1", response_topic=None)

    assert route(message, STATION) == Discard(why=Counter.MALFORMED)


@pytest.mark.parametrize("topic", ["alarms/1", "enclaved/v1/other/reply/x", "enclaved/v1/demo/reply/#", DEAD])
def test_a_hint_is_never_sent_outside_the_reply_prefix(topic: str) -> None:
    """A stranger must not make the gateway write there, not even a hint."""
    message = replace(request(), payload=b"\xc1", response_topic=topic)

    assert route(message, STATION) == Discard(why=Counter.MALFORMED)


def test_another_runtimes_is_discarded() -> None:
    """Several runtimes share a trigger topic; only the named one answers."""
    assert route(request(runtime_id="ward-2"), STATION) == Discard(why=Counter.FOREIGN)


@pytest.mark.parametrize(
    "topic",
    [
        "alarms/1",
        "enclaved/v1/demo/reply/",
        "enclaved/v1/demo/replyx/1",
        "enclaved/v1/other/reply/1",
        "enclaved/v1/demo/runtime/ward-1/attestation",
    ],
)
def test_a_reply_topic_outside_the_prefix_is_discarded(topic: str) -> None:
    """A caller must not borrow the gateway's rights."""
    assert route(request(response_topic=topic), STATION) == Discard(why=Counter.BAD_REPLY_TOPIC)


@pytest.mark.parametrize("end", ["\ufdd0", "\U0010ffff", "a\u0001", "#", "/".join("x" * 200)])
def test_an_answer_never_goes_where_a_broker_would_throw_the_gateway_out(end: str) -> None:
    """All results leave over one connection; a caller must not be able to have it closed."""
    decision = route(replace(request(response_topic=f"{REPLY}/{end}"), response_topic=None), STATION)

    assert decision == Discard(why=Counter.MALFORMED)


def test_a_foreign_invocation_is_foreign_before_its_reply_topic_is_read() -> None:
    """Another runtime's namespace is its own affair."""
    message = request(runtime_id="ward-2", response_topic="elsewhere/1")

    assert route(message, STATION) == Discard(why=Counter.FOREIGN)


_topics = some.one_of(some.none(), some.text(max_size=40), some.just(REPLY), some.just(REPLY + "/\ud800"))
_messages = some.builds(
    Message,
    topic=some.sampled_from([ECHO, TRIGGER, ""]),
    payload=some.one_of(
        some.binary(max_size=300),
        some.builds(lambda at, byte: _turned(invocation(), at, byte), some.integers(0, 400), some.integers(0, 255)),
        some.builds(lambda cut: invocation()[:cut], some.integers(0, 400)),
    ),
    retain=some.booleans(),
    response_topic=_topics,
    correlation_data=some.one_of(some.none(), some.binary(max_size=16)),
)


def _turned(data: bytes, at: int, byte: int) -> bytes:
    place = at % len(data)
    return data[:place] + bytes([byte]) + data[place + 1 :]


@given(message=_messages)
def test_any_bytes_whatever_get_a_decision(message: Message) -> None:
    """A stranger's bytes never stop the gateway, and never make it write outside the reply prefix."""
    decision = route(message, STATION)

    assert isinstance(decision, Forward | SendHint | Discard)
    if not isinstance(decision, Discard) and decision.reply_to is not None:
        assert decision.reply_to.topic.startswith("enclaved/v1/demo/reply/")
        decision.reply_to.topic.encode()


@pytest.mark.parametrize("topic", ["enclaved/v1/demo/runtime/ward-1/attestation", REPLY, "enclaved/x"])
def test_an_output_is_never_published_to_such_a_topic(topic: str) -> None:
    """A manifest must not make the gateway announce, invoke or reply in the runtime's name."""
    with pytest.raises(ProtocolError):
        check_output_topic(topic)
