"""Names and topics: what is safe as a topic level, as a file's name, and to publish to on another's word."""

from __future__ import annotations

import contextlib

import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire import topics
from enclaved.wire.text import check_content_type, check_text
from hypothesis import given
from hypothesis import strategies as st

PREFIX = "enclaved/v1/demo/reply/"


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a.b_c", "early-warning", "x" * 64])
def test_a_plain_name_is_accepted(name: str) -> None:
    """Names are lower-case ASCII letters, digits and inner punctuation."""
    topics.check_name(name, what="name")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "-a",
        "a-",
        ".",
        "..",
        ".a",
        "a.",
        "a/b",
        "../a",
        "a+",
        "#",
        "$a",
        "a b",
        "a\n",
        "\na",
        "a\x00",
        "ä",
        "\u0430",
        "\uff41",
        "é",
        "e\u0301",
        "x" * 65,
        "\ud800",
    ],
)
def test_any_other_name_is_refused(name: str) -> None:
    """No slash, wildcard, dot-dot, look-alike or trailing newline gets into a topic or a file's name."""
    with pytest.raises(ProtocolError):
        topics.check_name(name, what="name")


@pytest.mark.parametrize("topic", ["a", "a/b", "/a", "a//b", "ward/ä/日本", "a$", "x" * 256, "/" * 31])
def test_a_plain_topic_is_accepted(topic: str) -> None:
    """Topics may hold any script."""
    topics.check_topic(topic, what="topic")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "a/+",
        "a/+/b",
        "a#",
        "$SYS/a",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "a\x85",
        "x" * 257,
        "ä" * 129,
        "/" * 32,
        "a\ud800",
        "a\ufdd0",
        "a\ufdef",
        "a\ufffe",
        "a\uffff",
        "a\U0001fffe",
        "a\U0010ffff",
    ],
)
def test_a_topic_that_a_broker_may_drop_the_connection_for_is_refused(topic: str) -> None:
    """One caller must not cost the gateway the connection that serves them all (seen with mosquitto 2.0)."""
    with pytest.raises(ProtocolError):
        topics.check_topic(topic, what="topic")


@pytest.mark.parametrize("topic", [PREFIX + "a", PREFIX + "a/b", PREFIX + "0f" * 16])
def test_a_topic_under_the_reply_prefix_is_a_reply_topic(topic: str) -> None:
    """Callers choose freely under the prefix."""
    topics.check_reply_topic(topic, namespace="demo")


@pytest.mark.parametrize(
    "topic",
    [
        PREFIX,
        PREFIX[:-1],
        "enclaved/v1/demo/replyx/a",
        "enclaved/v1/other/reply/a",
        "enclaved/v1/demo/runtime/r1/attestation",
        "/" + PREFIX + "a",
        "ward/alarm",
        PREFIX + "+",
        PREFIX + "#",
        PREFIX.upper() + "a",
    ],
)
def test_a_topic_outside_the_reply_prefix_is_no_reply_topic(topic: str) -> None:
    """A caller must not borrow the gateway's rights to write on other topics."""
    with pytest.raises(ProtocolError):
        topics.check_reply_topic(topic, namespace="demo")


def test_the_topics_are_those_of_the_specification() -> None:
    """The names in the README, spelled out."""
    assert topics.attestation_topic("n", "r") == "enclaved/v1/n/runtime/r/attestation"
    assert topics.attestation_filter("n") == "enclaved/v1/n/runtime/+/attestation"
    assert topics.challenge_topic("n", "r") == "enclaved/v1/n/runtime/r/challenge"
    assert topics.invoke_topic("n", "r", "f") == "enclaved/v1/n/runtime/r/function/f/invoke"
    assert topics.dead_topic("n", "r", "f") == "enclaved/v1/n/runtime/r/dead/f"
    assert topics.reply_prefix("n") == "enclaved/v1/n/reply/"


@pytest.mark.parametrize("text", ["", "x" * 65, "a\x1b[2J", "a\n", "ä", "\u202eabc", "a\x7f"])
def test_a_short_text_that_could_move_a_cursor_is_refused(text: str) -> None:
    """Verdicts are shown on terminals."""
    with pytest.raises(ProtocolError):
        check_text(text, what="text")


@pytest.mark.parametrize("text", ["x" * 129, "a\x00", "a\r\nb", "ä"])
def test_a_content_type_of_other_characters_is_refused(text: str) -> None:
    """Content types end in headers and on terminals."""
    with pytest.raises(ProtocolError):
        check_content_type(text, what="content type")


def test_an_empty_content_type_says_nothing() -> None:
    """It may be left open what the bytes are."""
    check_content_type("", what="content type")


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_is_taken_or_refused_with_our_error(text: str) -> None:
    """No text escapes as another exception, lone surrogates included; and what passes can be published."""
    for check in (topics.check_name, topics.check_topic, check_text, check_content_type):
        with contextlib.suppress(Error):
            check(text, what="text")
            text.encode()
