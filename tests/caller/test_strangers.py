"""Properties: whatever bytes a stranger publishes, nothing escapes but our own errors."""

from __future__ import annotations

import os
from collections.abc import Callable

from enclaved.caller.announcements import Announcements
from enclaved.caller.challenges import Challenges
from enclaved.caller.connections import Incoming, reply_topics
from enclaved.caller.event import open_event_output
from enclaved.caller.receipt_check import verify_receipt_file
from enclaved.caller.replies import Mailbox, Replies
from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.mqtt.transport import Message
from enclaved.wire.codec import encode
from fake_runtime import FakeRuntime
from hypothesis import given
from hypothesis import strategies as st
from simulation import make_policy
from test_acceptance import attach_unchecked, exchange, seal, trusted_session
from test_event import KEY, sealed_output

RUNTIME = FakeRuntime()
TOPICS = reply_topics("demo", random=os.urandom)
SEALING = seal(trusted_session(RUNTIME))
ANSWER = RUNTIME.answer(SEALING.message())
OUTPUT = sealed_output(RUNTIME)
RECEIPT = attach_unchecked(exchange(RUNTIME).body.receipt, RUNTIME.announced)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=64) | st.text(max_size=16),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def turned(good: bytes) -> st.SearchStrategy[bytes]:
    """Return bytes that were good before one thing was turned, cut or added."""
    place = st.integers(0, len(good) - 1)
    return st.one_of(
        st.builds(lambda at, by: good[:at] + bytes([good[at] ^ by]) + good[at + 1 :], place, st.integers(1, 255)),
        st.builds(lambda at: good[:at], place),
        st.builds(lambda more: good + more, st.binary(min_size=1, max_size=8)),
        st.binary(max_size=200),
        values.map(encode),
    )


def make_incoming(on_dropped: Callable[[str], None]) -> tuple[Incoming, Mailbox]:
    """Return what takes messages, with one sealing that waits."""
    replies, mailbox = Replies(on_dropped=on_dropped), Mailbox()
    replies.expect(SEALING, mailbox)
    incoming = Incoming(
        topics=TOPICS,
        replies=replies,
        challenges=Challenges(namespace="demo", response_topic=TOPICS.challenges, publisher=None),
        announcements=Announcements("demo"),
        on_dropped=on_dropped,
    )
    return incoming, mailbox


@given(payload=turned(ANSWER), correlation=st.none() | st.binary(max_size=32) | st.just(SEALING.correlation_data))
def test_turned_answer_is_dropped_and_told(payload: bytes, correlation: bytes | None) -> None:
    """No turned answer reaches the mailbox, and each is counted; a hint at most is heard."""
    dropped: list[str] = []
    incoming, mailbox = make_incoming(dropped.append)

    incoming.take(Message(topic=TOPICS.answers, payload=payload, correlation_data=correlation))

    assert not mailbox.answers
    assert dropped or mailbox.hint


def test_good_answer_reaches_its_mailbox() -> None:
    """The answer that the property turns is a good one."""
    dropped: list[str] = []
    incoming, mailbox = make_incoming(dropped.append)

    incoming.take(Message(topic=TOPICS.answers, payload=ANSWER))

    assert [each.sealing for each in mailbox.answers] == [SEALING]
    assert not dropped


@given(
    payload=turned(RUNTIME.attest(bytes(32))), topic=st.sampled_from([TOPICS.challenges, "a/b"]) | st.text(max_size=40)
)
def test_other_messages_are_taken_or_dropped(payload: bytes, topic: str) -> None:
    """Announcements and answers to challenges come from strangers as well."""
    incoming, mailbox = make_incoming(lambda reason: None)

    incoming.take(Message(topic=topic, payload=payload))

    assert not mailbox.answers


@given(message=turned(OUTPUT))
def test_turned_output_is_refused(message: bytes) -> None:
    """No turned output is shown, and no other exception escapes."""
    try:
        open_event_output(message, key=KEY, policy=make_policy())
    except (ProtocolError, EvidenceError, AppraisalError):
        return
    raise AssertionError("a turned output was shown")


@given(data=turned(RECEIPT))
def test_turned_receipt_is_never_authentic(data: bytes) -> None:
    """Each byte of a receipt file is signed, hashed into what is signed, or structure."""
    judged = verify_receipt_file(data, None)

    assert not judged.verdict.authentic
    assert judged.verdict.error is not None


def test_good_output_and_receipt_are_good() -> None:
    """The originals of the two properties above."""
    assert open_event_output(OUTPUT, key=KEY, policy=make_policy()).output == b"ALARM"
    assert verify_receipt_file(RECEIPT, None).verdict.authentic
