"""Announcements: collected within bounds, believed by nobody."""

from __future__ import annotations

import pytest
from enclaved.caller.announcements import MAX_RUNTIMES, Announcements
from enclaved.errors import ProtocolError
from enclaved.wire.limits import MAX_ATTESTATION
from enclaved.wire.topics import attestation_topic


async def test_latest_announcement_counts() -> None:
    """A runtime that announces again replaces what it said."""
    announcements = Announcements("demo")

    for payload in (b"old", b"new"):
        announcements.take(attestation_topic("demo", "r1"), payload)

    assert announcements.latest("r1") == b"new"
    assert announcements.runtimes == ("r1",)


async def test_empty_announcement_takes_it_back() -> None:
    """An empty retained message is the absence of one."""
    announcements = Announcements("demo")

    for payload in (b"here", b"", b""):
        announcements.take(attestation_topic("demo", "r1"), payload)

    assert announcements.runtimes == ()


async def test_runtimes_are_bounded() -> None:
    """A broker that invents runtimes fills no memory, and does not push the known ones out."""
    announcements = Announcements("demo")
    for number in range(MAX_RUNTIMES):
        announcements.take(attestation_topic("demo", f"r{number}"), b"x")

    with pytest.raises(ProtocolError, match="more than"):
        announcements.take(attestation_topic("demo", "another"), b"x")
    announcements.take(attestation_topic("demo", "r0"), b"y")

    assert len(announcements.runtimes) == MAX_RUNTIMES
    assert announcements.latest("r0") == b"y"


async def test_size_is_bounded() -> None:
    """Size before contents."""
    announcements = Announcements("demo")

    with pytest.raises(ProtocolError):
        announcements.take(attestation_topic("demo", "r1"), bytes(MAX_ATTESTATION + 1))

    assert announcements.latest("r1") is None


@pytest.mark.parametrize(
    "topic", ["", "enclaved/v1/other/runtime/r1/attestation", "enclaved/v1/demo/runtime//attestation", "r1"]
)
async def test_other_topics_are_no_announcements(topic: str) -> None:
    """Only this namespace's attestation topics are looked at."""
    with pytest.raises(ProtocolError):
        Announcements("demo").take(topic, b"x")
