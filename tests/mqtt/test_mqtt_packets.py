"""Packets: what goes out comes back, and no input escapes as anything but our error."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable

import pytest
from enclaved.errors import ProtocolError
from enclaved.mqtt.packet_fields import PacketError, ReasonCode
from enclaved.mqtt.packets import (
    Packet,
    PacketReader,
    PubAckPacket,
    PublishPacket,
    QoS,
    SubscribePacket,
    TopicFilter,
    build_packet,
    encode_packet,
)
from enclaved.mqtt.topic_filters import filter_matches, parse_topic_filter
from hypothesis import given
from hypothesis import strategies as st
from mqtt_strategies import packets, topic_filters, topic_names

LIMIT = 4096


def read_all(chunks: Iterable[bytes], *, limit: int = LIMIT) -> list[Packet]:
    """Read packets from a stream that arrives in these chunks."""
    reader = PacketReader(max_packet_size=limit)
    found = []
    for chunk in chunks:
        reader.receive(chunk)
        while (packet := reader.next_packet()) is not None:
            found.append(packet)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(packets, max_size=4), st.lists(st.integers(0, 5000), max_size=8))
def test_packets_come_back_under_any_cut_of_the_stream(sent: list[Packet], places: list[int]) -> None:
    """How TCP cuts a stream has no meaning."""
    stream = b"".join(encode_packet(packet) for packet in sent)

    assert read_all(cut(stream, places)) == sent


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=4))
def test_arbitrary_bytes_are_packets_or_our_error(data: bytes, places: list[int]) -> None:
    """The codec aborts some of these with a BaseException; none may reach it."""
    with contextlib.suppress(ProtocolError):
        read_all(cut(data, places))


@given(packets, st.data())
def test_mutated_packets_are_packets_or_our_error(packet: Packet, data: st.DataObject) -> None:
    """One step away from a good packet is where a parser's mistakes lie."""
    mutated = bytearray(encode_packet(packet))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete"])):
            case "set":
                mutated[place] = data.draw(st.integers(0, 255))
            case "insert":
                mutated.insert(place, data.draw(st.integers(0, 255)))
            case _ if len(mutated) > 1:
                del mutated[place]
    if len(mutated) > 1 and mutated[1] < 0x80 and len(mutated) < 0x80 and data.draw(st.booleans()):
        mutated[1] = len(mutated) - 2  # a fitting length lets the change reach the parser
    try:
        read = read_all([bytes(mutated)])
    except ProtocolError:
        return
    for each in read:
        encode_packet(each)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("30060003ff622f00", id="topic that is not UTF-8: the codec panics"),
        pytest.param("3206000161000000", id="packet id 0"),
        pytest.param("30050002610000", id="NUL in a topic"),
        pytest.param("30050002232300", id="wildcard in a published topic"),
        pytest.param("3003000000", id="no topic and no alias"),
        pytest.param("3605000161000100", id="QoS 3"),
        pytest.param("38040001610000", id="duplicate at QoS 0"),
        pytest.param("30080001610401010101", id="a property twice"),
        pytest.param("30060001610201020000", id="payload format indicator 2"),
        pytest.param("300700016103230000", id="topic alias 0"),
        pytest.param("3006000161021100", id="a property of another packet"),
        pytest.param("8000", id="reserved flags"),
        pytest.param("0000", id="reserved type"),
        pytest.param("c00100", id="a ping with a body"),
        pytest.param("30808000", id="a length not in its shortest form"),
        pytest.param("30ffffffff01", id="a length of five bytes"),
        pytest.param("8203000100", id="SUBSCRIBE without a filter"),
        pytest.param("82070001000001ff00", id="a filter that is not UTF-8"),
        pytest.param("82080001000002232300", id="a # that is not alone"),
        pytest.param("8207000100000161c0", id="reserved subscription options"),
        pytest.param("100e00044d5154540500000000000061", id="CONNECT that goes on after its end"),
        pytest.param("40020000", id="PUBACK for id 0"),
        pytest.param("4003000145", id="PUBACK with an unknown reason"),
    ],
)
def test_what_is_ill_formed_is_refused(data: str) -> None:
    """Each of these turns one thing of a packet that would be well formed."""
    with pytest.raises(ProtocolError):
        read_all([bytes.fromhex(data)])


def test_size_is_checked_before_a_packet_is_buffered() -> None:
    """The five bytes of a fixed header are enough to refuse 256 MiB."""
    reader = PacketReader(max_packet_size=1000)
    reader.receive(bytes.fromhex("30ffffff7f"))
    with pytest.raises(PacketError) as refused:
        reader.next_packet()

    assert refused.value.reason_code is ReasonCode.PACKET_TOO_LARGE


def test_a_packet_of_exactly_the_limit_passes() -> None:
    """The limit counts the whole packet, as Maximum Packet Size does."""
    packet = PublishPacket("a", b"x" * 500)
    data = encode_packet(packet)

    assert read_all([data], limit=len(data)) == [packet]
    with pytest.raises(PacketError):
        read_all([data], limit=len(data) - 1)


def test_good_packets_before_a_bad_one_are_delivered() -> None:
    """What arrived whole was meant; only what follows is lost."""
    good = encode_packet(PubAckPacket(1))
    reader = PacketReader(max_packet_size=LIMIT)
    reader.receive(good + b"\x00\x00" + good)

    assert reader.next_packet() == PubAckPacket(1)
    with pytest.raises(PacketError):
        reader.next_packet()


def test_a_stream_that_broke_stays_broken() -> None:
    """After an error nobody knows where the next packet begins."""
    reader = PacketReader(max_packet_size=LIMIT)
    reader.receive(b"\x00\x00")
    with pytest.raises(PacketError):
        reader.next_packet()
    with pytest.raises(PacketError):
        reader.receive(encode_packet(PubAckPacket(1)))


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: build_packet(PublishPacket, "a\0b", b""), id="NUL in a topic"),
        pytest.param(lambda: build_packet(PublishPacket, "a/#", b""), id="wildcard in a topic"),
        pytest.param(lambda: build_packet(PublishPacket, "", b""), id="no topic"),
        pytest.param(
            lambda: build_packet(PublishPacket, "a", b"", qos=QoS.AT_LEAST_ONCE, packet_id=0), id="packet id 0"
        ),
        pytest.param(lambda: build_packet(PublishPacket, "a", b"", qos=QoS.AT_LEAST_ONCE), id="no packet id"),
        pytest.param(lambda: build_packet(PublishPacket, "\ud800", b""), id="a surrogate"),
        pytest.param(lambda: build_packet(PublishPacket, "a" * 70_000, b""), id="a topic too long"),
        pytest.param(lambda: build_packet(PublishPacket, "a", b"", response_topic="+"), id="wildcard to answer to"),
        pytest.param(lambda: build_packet(PublishPacket, "a", b"", topic_alias=70_000), id="a number too large"),
        pytest.param(lambda: build_packet(SubscribePacket, 1, []), id="no filter"),
        pytest.param(lambda: SubscribePacket(1, [build_packet(TopicFilter, "a#")]), id="a filter that is none"),
        pytest.param(lambda: build_packet(PubAckPacket, 0), id="PUBACK for id 0"),
    ],
)
def test_nothing_ill_formed_is_written(build: Callable[[], Packet]) -> None:
    """What goes out passes the same walk as what comes in, and the codec's refusals are ours."""
    with pytest.raises(ProtocolError):
        encode_packet(build())


@given(topic_filters(), topic_names)
def test_a_filter_covers_what_its_levels_say(text: str, name: str) -> None:
    """Compared with a slower rule: expand the filter over the name's own levels."""
    levels = parse_topic_filter(text).levels
    names = name.split("/")
    expected = list(levels)
    if expected[-1] == "#":
        expected = expected[:-1] + names[len(expected) - 1 :]
    expected = [names[place] if level == "+" and place < len(names) else level for place, level in enumerate(expected)]
    hidden = name.startswith("$") and levels[0] in ("+", "#")

    assert filter_matches(levels, name) == (expected == names and not hidden)


@pytest.mark.parametrize("text", ["", "a/#/b", "a#", "+a", "a/b+", "$share/", "$share/g", "$share/g/", "$share/+/a"])
def test_filters_that_are_none_are_refused(text: str) -> None:
    """A wildcard fills its level, # is last, a share has a name and a topic."""
    with pytest.raises(ProtocolError):
        parse_topic_filter(text)
