"""Link frames: the same frames come out wherever the stream is cut, and neither end trusts the other."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from enclaved.errors import Error, ProtocolError
from enclaved.wire.codec import encode
from enclaved.wire.frames import (
    Announce,
    Answer,
    Attest,
    Attested,
    Frame,
    FrameReader,
    Hello,
    Invoke,
    Lane,
    Output,
    encode_frame,
)
from enclaved.wire.limits import MAX_FRAME, MAX_FUNCTIONS, MAX_SEQUENCE
from hypothesis import given
from hypothesis import strategies as st

LANE = Lane(function="echo", triggers=("ward/+/notes", "a/#"), slots=2)
FRAMES: tuple[Frame, ...] = (
    Hello(v=1),
    Announce(namespace="demo", runtime_id="r1", attestation=b"a", expires_in_ms=1, lanes=(LANE,)),
    Invoke(id=0, message=b""),
    Invoke(id=MAX_SEQUENCE, message=bytes(300)),
    Answer(id=1, outcome="answered", reply=b"r", outputs=(Output(topic="ward/alarm", payload=b"o"),)),
    Answer(id=2, outcome="dead", reply=None, outputs=()),
    Attest(id=3, nonce=bytes(32)),
    Attested(id=3, attestation=None),
)
STREAM = b"".join(map(encode_frame, FRAMES))


def framed(body: object) -> bytes:
    """Return a frame with any body."""
    data = encode(body)
    return len(data).to_bytes(4, "big") + data


def test_a_stream_cut_anywhere_gives_the_same_frames() -> None:
    """A read returns what it returns."""
    for cut in range(len(STREAM) + 1):
        reader = FrameReader()
        assert tuple(reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:])) == FRAMES


@given(st.lists(st.integers(1, 60), min_size=1))
def test_a_stream_in_pieces_of_any_sizes_gives_the_same_frames(sizes: list[int]) -> None:
    """Down to single bytes."""
    reader, frames, position, turn = FrameReader(), [], 0, 0
    while position < len(STREAM):
        size = sizes[turn % len(sizes)]
        frames += reader.feed(STREAM[position : position + size])
        position, turn = position + size, turn + 1

    assert tuple(frames) == FRAMES


def test_an_announced_length_over_the_limit_is_refused_before_it_is_read() -> None:
    """A broken or hostile end cannot make the other hold gigabytes."""
    with pytest.raises(ProtocolError, match=str(MAX_FRAME)):
        FrameReader().feed((MAX_FRAME + 1).to_bytes(4, "big"))


def test_a_frame_that_the_other_end_would_refuse_is_not_sent() -> None:
    """It would cost the whole link."""
    with pytest.raises(ProtocolError, match=str(MAX_FRAME)):
        encode_frame(Invoke(id=1, message=bytes(MAX_FRAME)))


def test_a_lost_stream_stays_lost() -> None:
    """After one bad frame nobody can say where the next begins."""
    reader = FrameReader()
    for data in (framed({"kind": "other"}), encode_frame(Hello(v=1))):
        with pytest.raises(ProtocolError):
            reader.feed(data)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"v": 1},
        {"kind": "goodbye", "v": 1},
        {"kind": None, "v": 1},
        {"kind": "hello"},
        {"kind": "hello", "v": "1"},
        {"kind": "hello", "v": 1, "x": 1},
        {"kind": "invoke", "id": -1, "message": b""},
        {"kind": "invoke", "id": MAX_SEQUENCE + 1, "message": b""},
        {"kind": "invoke", "id": 1, "message": "text"},
        {"kind": "attest", "id": 1, "nonce": bytes(31)},
        {"kind": "attest", "id": -1, "nonce": bytes(32)},
        {"kind": "attested", "id": -1, "attestation": None},
        {"kind": "answer", "id": -1, "outcome": "dead", "reply": None, "outputs": []},
        {"kind": "answer", "id": 1, "outcome": "lost", "reply": None, "outputs": []},
        {"kind": "answer", "id": 1, "outcome": "dead", "reply": None, "outputs": [{"topic": "a/#", "payload": b""}]},
        {"kind": "answer", "id": 1, "outcome": "dead", "reply": None, "outputs": [{"topic": "", "payload": b""}]},
        {
            "kind": "announce",
            "namespace": "a/b",
            "runtime_id": "r",
            "attestation": b"",
            "expires_in_ms": 1,
            "lanes": [],
        },
        {"kind": "announce", "namespace": "a", "runtime_id": "+", "attestation": b"", "expires_in_ms": 1, "lanes": []},
        {"kind": "announce", "namespace": "a", "runtime_id": "r", "attestation": b"", "expires_in_ms": -1, "lanes": []},
    ],
    ids=range(22),
)
def test_a_frame_of_another_shape_is_refused(body: object) -> None:
    """Whichever end sent it."""
    with pytest.raises(ProtocolError):
        FrameReader().feed(framed(body))


@pytest.mark.parametrize("lane", [{"function": "A"}, {"slots": -1}, {"triggers": None}, {"x": 1}], ids=str)
def test_a_lane_of_another_shape_is_refused(lane: dict[str, object]) -> None:
    """A gateway subscribes by what it is told here."""
    good = {"kind": "announce", "namespace": "a", "runtime_id": "r", "attestation": b"", "expires_in_ms": 1}
    with pytest.raises(ProtocolError):
        FrameReader().feed(framed(good | {"lanes": [msgspec.structs.asdict(LANE) | lane]}))


def test_too_many_lanes_are_refused() -> None:
    """Each would be a connection."""
    frame = msgspec.structs.replace(FRAMES[1], lanes=(LANE,) * (MAX_FUNCTIONS + 1))
    with pytest.raises(ProtocolError, match="lanes"):
        FrameReader().feed(encode_frame(frame))


@given(
    st.builds(Invoke, id=st.integers(0, MAX_SEQUENCE), message=st.binary(max_size=300))
    | st.builds(Attested, id=st.integers(0, MAX_SEQUENCE), attestation=st.none() | st.binary(max_size=300))
    | st.builds(
        Answer,
        id=st.integers(0, MAX_SEQUENCE),
        outcome=st.sampled_from(["answered", "refused", "hinted", "dropped", "dead", "busy"]),
        reply=st.none() | st.binary(max_size=100),
        outputs=st.lists(st.builds(Output, topic=st.just("a/b"), payload=st.binary(max_size=100)), max_size=3).map(
            tuple
        ),
    )
)
def test_every_frame_survives_the_round_trip(frame: Frame) -> None:
    """Whatever is sent is received as the same value."""
    assert FrameReader().feed(encode_frame(frame)) == [frame]


@given(st.integers(0, len(STREAM) - 1), st.integers(0, 255), st.binary(max_size=100))
def test_a_mutated_or_random_stream_raises_nothing_but_our_errors(position: int, byte: int, data: bytes) -> None:
    """No input escapes as another exception."""
    for stream in (STREAM[:position] + bytes([byte]) + STREAM[position + 1 :], data, framed(data)):
        with contextlib.suppress(Error):
            FrameReader().feed(stream)
