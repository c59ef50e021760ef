"""The ledger: each sequence is sealed once, and sent as it was sealed."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.caller.ledger import Sealing
from enclaved.caller.trust import MAX_KNOWN_EVIDENCE
from enclaved.errors import ProtocolError
from enclaved.wire.attestation import evidence_digest
from fake_runtime import FakeRuntime
from test_acceptance import seal, trusted_session


def test_session_seals_each_sequence_once() -> None:
    """Whatever is sealed next takes the next sequence, whether or not the last was answered."""
    session = trusted_session(FakeRuntime())

    sealings = [seal(session) for _ in range(5)]

    assert [each.sequence for each in sealings] == [0, 1, 2, 3, 4]
    assert len({each.sealed.ciphertext for each in sealings}) == 5


def test_failed_sealing_uses_its_sequence_up() -> None:
    """A sequence that a sealing may have touched is never given out again."""
    session = trusted_session(FakeRuntime())

    with pytest.raises(ProtocolError):
        seal(session, content_type="x" * 1000)

    assert seal(session).sequence == 1


def test_sealing_is_sent_with_the_same_bytes_always() -> None:
    """Only the offer may come and go."""
    sealing = seal(trusted_session(FakeRuntime()))

    first = sealing.message()
    sealing.session.confirmed = True
    bare, offered = sealing.message(), sealing.message(offer="always")

    assert first == offered
    assert sealing.sealed.header in bare
    assert sealing.sealed.ciphertext in bare
    assert sealing.session.offer not in bare


def test_verified_below_is_the_lowest_that_is_waited_for() -> None:
    """Answers may come in any order; the enclave may drop only those below the lowest one open."""
    session = trusted_session(FakeRuntime())
    first, second = seal(session), seal(session)

    session.settle(second.sequence)
    assert _verified_below(seal(session)) == 0
    session.settle(first.sequence)
    assert _verified_below(seal(session)) == 2


def test_known_evidence_is_bounded() -> None:
    """A runtime that renews its evidence for ever fills no memory of ours."""
    trust = trusted_session(FakeRuntime()).trust
    for number in range(100):
        trust.learn(bytes([number]))

    assert len(trust.evidence()) == MAX_KNOWN_EVIDENCE
    assert evidence_digest(bytes([99])) in trust.evidence()


def _verified_below(sealing: Sealing) -> int:
    header: dict[str, int] = msgspec.msgpack.decode(sealing.sealed.header)
    return header["verified_below"]
