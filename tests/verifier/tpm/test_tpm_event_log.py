"""Event logs: true as far as they end in the quoted PCRs."""

from __future__ import annotations

import hashlib

import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from simulation import NOON
from tpm_forgery import Quote, event_log, make_evidence

EVENTS = ((0, 8, b"firmware"), (4, 0x80000003, b"loader"), (4, 13, b"kernel"), (7, 0x80000001, b"secure boot"))
LOG, PCRS = event_log(*EVENTS)


def _judge(log: bytes, pcrs: dict[int, bytes] = PCRS, *, bank: str = "sha256") -> Claims:
    quote = Quote(pcrs=pcrs, bank=bank)
    return authenticate(make_evidence(quote, eventlog__bin=log), at=NOON, checks=Checks())


def _refused(log: bytes, pcrs: dict[int, bytes] = PCRS, *, code: str = "unreadable", bank: str = "sha256") -> str:
    with pytest.raises(EvidenceError) as refused:
        _judge(log, pcrs, bank=bank)
    assert refused.value.code == code
    return refused.value.step


def test_digests_of_every_pcr_become_claims() -> None:
    """In the order in which they were extended; nothing else of an event is vouched for."""
    events = _judge(LOG).vendor["events"]

    assert events == {
        "0": (hashlib.sha256(b"firmware").digest(),),
        "4": (hashlib.sha256(b"loader").digest(), hashlib.sha256(b"kernel").digest()),
        "7": (hashlib.sha256(b"secure boot").digest(),),
    }


def test_pcr_that_was_not_quoted_shows_nothing() -> None:
    """Whatever the log says of it."""
    assert _judge(LOG, {4: PCRS[4]}).vendor["events"].keys() == {"4"}  # type: ignore[union-attr]


def test_pcr_that_is_not_in_the_log_is_none_of_its_business() -> None:
    """Operating systems extend PCRs after the firmware has closed its log."""
    assert _judge(LOG, PCRS | {10: b"m" * 32}).vendor["events"].keys() == {"0", "4", "7"}  # type: ignore[union-attr]


def test_log_without_pcr_values_shows_nothing() -> None:
    """There is nothing to hold it against."""
    evidence = make_evidence(Quote(pcrs=PCRS), eventlog__bin=LOG, pcrs__json=None)

    assert authenticate(evidence, at=NOON, checks=Checks()).vendor["events"] == {}


def test_locality_that_started_the_tpm_is_what_pcr_0_begins_with() -> None:
    """A dynamic root of trust starts it from another one."""
    log, pcrs = event_log((0, 3, b"StartupLocality\0\x03"), *EVENTS)

    assert pcrs[0] != PCRS[0]
    _judge(log, pcrs)
    assert _refused(LOG, pcrs, code="not_authentic") == "event log: pcr0"


def test_events_that_are_only_told_are_passed_over() -> None:
    """They have digests of zeros."""
    log, pcrs = event_log(*EVENTS, (6, 3, b"told"), (0xFFFFFFFF, 3, b"told"))

    assert pcrs == PCRS
    assert _judge(log).vendor["events"].keys() == {"0", "4", "7"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "events",
    [
        EVENTS[:-2],
        (EVENTS[0], EVENTS[2], EVENTS[1], EVENTS[3]),
        (*EVENTS, (4, 13, b"more")),
        ((4, 13, b"other"), *EVENTS),
    ],
    ids=["one less", "order", "one more", "another"],
)
def test_log_of_another_boot_is_refused(events: tuple[tuple[int, int, bytes], ...]) -> None:
    """Events left out, added, or in another order."""
    log, _ = event_log(*events)

    assert _refused(log, code="not_authentic") == "event log: pcr4"


def test_event_that_is_hidden_as_one_that_is_only_told_is_unreadable() -> None:
    """A PCR of one event would otherwise drop out of the log unseen."""
    at = LOG.index(b"secure boot") - 4 - 2 - 32 - 2 - 20 - 4 - 4
    hidden = LOG[:at] + (3).to_bytes(4, "little") + LOG[at + 4 :]

    assert _refused(hidden) == "eventlog.bin"


@pytest.mark.parametrize(
    "log",
    [
        b"\0",
        LOG[:40],
        LOG[:-1],
        LOG + b"\0",
        b"\1" + LOG[1:],
        event_log(*EVENTS, banks=("sha1",))[0],
        event_log(*EVENTS, banks=("sha256", "sha256"))[0],
        event_log(*EVENTS, banks=("sha1",) * 9)[0],
        event_log(*EVENTS, banks=())[0],
        event_log(*EVENTS, signature=b"Spec ID Event02\0")[0],
        event_log((24, 13, b"beyond"))[0],
        LOG[:28] + (1 << 31).to_bytes(4, "little") + LOG[32:],
        LOG.replace(b"firmware", b"firm", 1),
    ],
)
def test_what_is_no_log_is_unreadable(log: bytes) -> None:
    """Lengths are held against what is there; the older format knows SHA-1 alone."""
    assert _refused(log) == "eventlog.bin"


def test_event_with_other_digests_than_the_header_says_is_unreadable() -> None:
    """Two digests of one algorithm, one that the header does not know, or too few."""
    first = LOG.index(b"firmware") - 4 - 2 - 32 - 2 - 20 - 4
    for at, value in ((first, b"\1"), (first + 4, b"\x0b"), (first + 4, b"\x0c"), (first + 4 + 22, b"\x04")):
        assert _refused(LOG[:at] + value + LOG[at + 1 :]) == "eventlog.bin"


def test_log_without_the_quotes_bank_is_unreadable() -> None:
    """Its digests are of another hash."""
    assert _refused(LOG, {4: bytes(48)}, bank="sha384") == "eventlog.bin"
