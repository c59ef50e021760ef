"""The bytes that cross the sandbox's borders: answers, control messages, assignments."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import pytest
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.sandbox.answer import ERROR_BYTES, Answer, AnswerReader, NoAnswerError, OutputTooLargeError, Status
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.control import Ending, Kind, Message
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.limits import Limits, PoolSize
from enclaved.sandbox.outcome import Outcome
from enclaved.sandbox.verdict import from_ending
from hypothesis import given
from hypothesis import strategies as st

ASSIGNMENT = Assignment(
    engine="python",
    name="probe",
    folder="/functions/probe",
    entrypoint="handler:handle",
    preload=("numpy", "json"),
    memory_bytes=64 * 1024 * 1024,
    cpu_s=10,
    time_ms=2_000,
    output_bytes=4096,
    layers=frozenset(Layer),
    user=7,
)
KILLED = Ending(status=signal.SIGKILL, peak_bytes=1024, cpu_ms=5)

answers = st.builds(Answer, st.sampled_from(Status), st.binary(max_size=ERROR_BYTES))


def read(chunks: list[bytes], *, output_bytes: int = ERROR_BYTES) -> Answer:
    """Read an answer that comes in these chunks, and then ends."""
    reader = AnswerReader(output_bytes=output_bytes)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


@given(answer=answers, cuts=st.lists(st.integers(0, 64), max_size=5))
def test_an_answer_is_read_however_it_is_cut(answer: Answer, cuts: list[int]) -> None:
    """A stream keeps no borders."""
    data = answer.encode()
    borders = [0, *sorted(cuts), len(data)]

    assert read([data[start:end] for start, end in pairwise(borders)]) == answer


@given(answer=answers, data=st.data())
def test_a_part_of_an_answer_is_no_answer(answer: Answer, data: st.DataObject) -> None:
    """A worker that dies while it answers has not answered."""
    whole = answer.encode()
    end = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(NoAnswerError):
        read([whole[:end]])


@given(answer=answers, more=st.binary(min_size=1, max_size=9))
def test_an_answer_with_more_behind_it_is_none(answer: Answer, more: bytes) -> None:
    """Whether it comes with the answer or later."""
    with pytest.raises(ProtocolError):
        read([answer.encode() + more])
    with pytest.raises(ProtocolError):
        read([answer.encode(), more])


@given(chunks=st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_escape_as_another_error(chunks: list[bytes]) -> None:
    """Whatever a function writes, it is an answer or a ProtocolError."""
    try:
        answer = read(chunks)
    except ProtocolError:
        return
    assert answer.encode() == b"".join(chunks)


def test_an_output_is_judged_by_its_announced_length() -> None:
    """Not one byte of it has to come."""
    reader = AnswerReader(output_bytes=10)

    with pytest.raises(OutputTooLargeError):
        reader.feed(b"\x00\x00\x00\x00\x0b")


@given(message=st.builds(Message, st.sampled_from(Kind), st.integers(0, 2**64 - 1), st.binary(max_size=99)))
def test_a_control_message_survives(message: Message) -> None:
    """As one packet."""
    assert Message.decode(message.encode()) == message


@given(ending=st.builds(Ending, *[st.integers(0, 2**31)] * 3))
def test_an_ending_survives(ending: Ending) -> None:
    """As the body of a message."""
    assert Ending.decode(ending.encode()) == ending


@given(packet=st.binary(max_size=40))
def test_no_packet_escapes_as_another_error(packet: bytes) -> None:
    """What is no control message is a ValueError to its reader."""
    try:
        message = Message.decode(packet)
        Ending.decode(message.body)
    except ValueError:
        return
    assert message.encode() == packet


def test_an_assignment_survives() -> None:
    """With libraries and without."""
    for assignment in (ASSIGNMENT, ASSIGNMENT._replace(preload=(), layers=frozenset())):
        assert Assignment.decode(assignment.encode()) == assignment


def test_an_assignment_keeps_its_fields_apart() -> None:
    """A folder cannot end early and name an entrypoint."""
    with pytest.raises(ValueError, match="NUL"):
        ASSIGNMENT._replace(folder="/functions\0evil:handle").encode()


@pytest.mark.parametrize(
    ("ending", "outcome", "text"),
    [
        (KILLED, Outcome.FUNCTION_FAILED, b"ended by SIGKILL"),
        (KILLED._replace(peak_bytes=60 << 20), Outcome.MEMORY_LIMIT, b"killed by the kernel"),
        (KILLED._replace(cpu_ms=10_000), Outcome.TIME_LIMIT, b"used 10 s"),
        (KILLED._replace(status=signal.SIGSEGV, peak_bytes=60 << 20), Outcome.FUNCTION_FAILED, b"ended by SIGSEGV"),
        (KILLED._replace(status=40), Outcome.FUNCTION_FAILED, b"ended by signal 40"),
        (KILLED._replace(status=3 << 8), Outcome.FUNCTION_FAILED, b"exited with status 3"),
        (KILLED._replace(status=0), Outcome.FUNCTION_FAILED, b"exited with status 0"),
    ],
)
def test_a_death_is_told_apart_from_others(ending: Ending, outcome: Outcome, text: bytes) -> None:
    """The kernel's three reasons to kill, a crash, and an exit."""
    judged, words = from_ending(ending, ASSIGNMENT)

    assert judged is outcome
    assert words.startswith(text)
    assert os.WIFEXITED(ending.status) != bool(ending.signal)


@pytest.mark.parametrize("wrong", [{"time_ms": 0}, {"memory_mib": 1}, {"input_bytes": -1}, {"output_bytes": 1 << 40}])
def test_a_limit_outside_its_range_is_refused(wrong: dict[str, int]) -> None:
    """The error names the limit."""
    with pytest.raises(ConfigurationError) as refused:
        Limits(**wrong)

    assert refused.value.where == f"limits.{next(iter(wrong))}"


def test_a_pool_has_room_for_its_spares() -> None:
    """Fewer processes than spares could never be kept."""
    with pytest.raises(ConfigurationError):
        PoolSize(spares=4, processes=2)
