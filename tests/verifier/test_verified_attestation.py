"""Attestations: verified before anything is sealed to them, one thing turned at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec
import pytest
from enclaved.attester.simulated_root import make_root
from enclaved.clock import unix_ms
from enclaved.errors import AppraisalError, EvidenceError
from enclaved.verifier.attestation import check_current, check_function, judge_attestation, verify_attestation
from enclaved.verifier.bundle_appraisal import CLOCK_SKEW
from enclaved.verifier.evidence import appraise_evidence, judge_evidence
from enclaved.verifier.moment import Mode, evidence_time
from enclaved.verifier.policy import Freshness, FunctionRule, Policy
from enclaved.verifier.rule import Waiver
from enclaved.wire.attestation import Challenge, decode_attestation, encode_attestation
from enclaved.wire.bundle import PublicKey
from hypothesis import given
from hypothesis import strategies as st
from simulation import (
    DIGEST,
    NONCE,
    NOON,
    OTHER_DIGEST,
    make_attestation,
    make_bundle,
    make_device,
    make_policy,
)

POLICY = make_policy()
ATTESTATION = make_attestation()
UNCHALLENGED = replace(POLICY, freshness=Freshness(challenge=False, max_age=timedelta(hours=1)))


def _refused(
    encoded: bytes,
    policy: Policy = POLICY,
    *,
    kind: type[EvidenceError | AppraisalError],
    at: datetime = NOON,
    mode: Mode = Mode.NOW,
    nonce: bytes | None = NONCE,
) -> str:
    """Return what is named as wrong, which exception and verdict have to agree on."""
    with pytest.raises(kind) as refused:
        verify_attestation(encoded, policy, at=at, mode=mode, nonce=nonce)
    verdict = judge_attestation(encoded, policy, at=at, mode=mode, nonce=nonce)
    assert verdict.error is not None
    assert not verdict.accepted
    assert verdict.authentic == (kind is AppraisalError)
    error = refused.value
    return error.claim if isinstance(error, AppraisalError) else error.step


def test_good_attestation_is_verified() -> None:
    """What comes back is the bundle that may be sealed to, and all that was looked at."""
    verified = verify_attestation(make_attestation(), POLICY, at=NOON, nonce=NONCE)

    assert verified.bundle == make_bundle()
    assert verified.verdict.authentic
    assert verified.verdict.accepted
    assert verified.verdict.error is None
    assert all(check.ok for check in verified.verdict.checks)
    assert check_function(verified, POLICY, "redact").digest == DIGEST


def test_bundle_that_evidence_does_not_speak_for_is_refused() -> None:
    """Another's evidence beside one's own keys is the attack that the binding stops."""
    evidence = decode_attestation(make_attestation(bundle=make_bundle(runtime_id="r2"))).evidence

    assert _refused(make_attestation(evidence=evidence), kind=EvidenceError) == "bound_data"


def test_challenge_that_evidence_does_not_answer_is_refused() -> None:
    """Old evidence with the new nonce written beside it."""
    challenge = Challenge(nonce=NONCE, path=())

    assert _refused(make_attestation(nonce=bytes(32), challenge=challenge), kind=EvidenceError) == "bound_data"


def test_evidence_over_another_nonce_is_refused() -> None:
    """It is authentic, and answers somebody else."""
    assert _refused(make_attestation(nonce=bytes(32)), kind=EvidenceError) == "nonce"


def test_evidence_over_no_nonce_is_refused_where_ours_is_wanted() -> None:
    """Evidence without a challenge can be as old as its keys."""
    assert _refused(make_attestation(nonce=None), kind=EvidenceError) == "nonce"


def test_policy_that_demands_a_challenge_refuses_without_one() -> None:
    """Somebody's nonce proves freshness to somebody else only."""
    assert _refused(make_attestation(), nonce=None, kind=AppraisalError) == "freshness.challenge"


def test_unchallenged_evidence_is_accepted_where_the_policy_says_so() -> None:
    """Announcements are made for everybody."""
    assert verify_attestation(make_attestation(nonce=None), UNCHALLENGED, at=NOON).attestation.challenge is None


def test_evidence_that_is_not_authentic_is_refused() -> None:
    """Stage one runs for attestations too."""
    evidence = decode_attestation(make_attestation()).evidence
    foreign = make_device(root=make_root(host_time=NOON)).attest(bytes(64))
    swapped = msgspec.structs.replace(evidence, endorsements=foreign.endorsements)

    assert _refused(make_attestation(evidence=swapped), kind=EvidenceError) == "signature"


def test_other_namespace_is_refused() -> None:
    """A runtime that serves others is not meant."""
    assert _refused(make_attestation(bundle=make_bundle(namespace="other")), kind=AppraisalError) == "namespace"


def test_expired_bundle_is_refused() -> None:
    """The enclave no longer holds its keys."""
    bundle = make_bundle(not_before=unix_ms(NOON - timedelta(minutes=30)), not_after=unix_ms(NOON) - 1)

    assert _refused(make_attestation(bundle=bundle), kind=EvidenceError) == "bundle validity"


def test_bundle_of_the_future_is_refused() -> None:
    """Beyond what two clocks may differ by."""
    bundle = make_bundle(not_before=unix_ms(NOON + CLOCK_SKEW) + 1)

    assert _refused(make_attestation(bundle=bundle), kind=EvidenceError) == "bundle validity"


def test_bundle_of_a_clock_a_little_ahead_is_accepted() -> None:
    """Hosts' clocks differ by seconds."""
    bundle = make_bundle(not_before=unix_ms(NOON + CLOCK_SKEW))

    verify_attestation(make_attestation(bundle=bundle), POLICY, at=NOON, nonce=NONCE)


def test_bundle_older_than_the_policy_allows_is_refused() -> None:
    """Valid by its own word, too old by the relying party's."""
    bundle = make_bundle(not_before=unix_ms(NOON - timedelta(hours=1)) - 1)

    assert _refused(make_attestation(bundle=bundle), kind=AppraisalError) == "freshness.max_age"


def test_age_is_accepted_where_it_is_waived() -> None:
    """The waiver is written by name."""
    policy = replace(POLICY, freshness=Freshness(challenge=True, max_age=Waiver.ANY))
    bundle = make_bundle(not_before=1)

    verify_attestation(make_attestation(bundle=bundle), policy, at=NOON, nonce=NONCE)


def test_bundle_without_an_accepted_suite_is_refused() -> None:
    """Nothing is sealed with what the policy does not name."""
    keys = (PublicKey(suite="rot13", public_key=bytes(32)),)

    assert _refused(make_attestation(bundle=make_bundle(keys=keys)), kind=AppraisalError) == "suites"


def test_evidence_that_the_policy_refuses_is_refused() -> None:
    """Stage two runs for attestations too."""
    assert _refused(make_attestation(device=make_device(debug=True)), kind=AppraisalError) == "debug"


def test_simulated_evidence_without_its_section_is_refused() -> None:
    """A policy for hardware does not accept a simulation."""
    assert _refused(make_attestation(), replace(POLICY, formats=MappingProxyType({})), kind=AppraisalError) == "format"


def test_inclusion_path_is_refused() -> None:
    """What version 1 does not define is not passed over."""
    challenge = Challenge(nonce=NONCE, path=(bytes(32),))

    assert _refused(make_attestation(challenge=challenge), kind=EvidenceError) == "challenge"


def test_bytes_that_are_no_bundle_are_refused_although_evidence_speaks_for_them() -> None:
    """An enclave can bind anything; that does not make it a key bundle."""
    assert _refused(make_attestation(bundle=b"\x80"), kind=EvidenceError) == "key bundle"


def test_every_cut_of_an_attestation_is_unreadable() -> None:
    """At every length short of the whole."""
    encoded = make_attestation()

    for length in range(len(encoded)):
        with pytest.raises(EvidenceError) as refused:
            verify_attestation(encoded[:length], POLICY, at=NOON, nonce=NONCE)
        assert refused.value.code == "unreadable"


@given(st.binary(max_size=200))
def test_no_bytes_escape_as_another_exception(encoded: bytes) -> None:
    """Whatever is published on the topic."""
    with pytest.raises(EvidenceError):
        verify_attestation(encoded, POLICY, at=NOON, nonce=NONCE)


@given(position=st.integers(min_value=0, max_value=len(ATTESTATION) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_yields_another_bundle_or_claim(position: int, bit: int) -> None:
    """It is refused, or it says the same."""
    good = verify_attestation(ATTESTATION, POLICY, at=NOON, nonce=NONCE)
    turned = bytearray(ATTESTATION)
    turned[position] ^= 1 << bit
    try:
        verified = verify_attestation(bytes(turned), POLICY, at=NOON, nonce=NONCE)
    except (EvidenceError, AppraisalError):
        return
    assert verified.bundle == good.bundle
    assert verified.claims == good.claims


def _with_rule(rule: FunctionRule) -> Policy:
    return replace(POLICY, functions=MappingProxyType({"redact": rule}))


@pytest.mark.parametrize(
    ("policy", "name", "claim"),
    [
        (POLICY, "echo", "functions.echo"),
        (replace(POLICY, functions=MappingProxyType({})), "redact", "functions.redact"),
        (
            _with_rule(FunctionRule(digest=frozenset({OTHER_DIGEST}), isolation=frozenset({"restricted"}))),
            "redact",
            "functions.redact.digest",
        ),
        (
            _with_rule(FunctionRule(digest=Waiver.ANY, isolation=frozenset({"full"}))),
            "redact",
            "functions.redact.isolation",
        ),
    ],
    ids=["not listed", "nothing listed", "another digest", "unlisted isolation"],
)
def test_function_that_the_policy_does_not_want_is_refused(policy: Policy, name: str, claim: str) -> None:
    """Data is sealed to a function by its digest and its isolation, never by its name alone."""
    verified = verify_attestation(ATTESTATION, POLICY, at=NOON, nonce=NONCE)

    with pytest.raises(AppraisalError) as refused:
        check_function(verified, policy, name)

    assert refused.value.claim == claim
    verdict = judge_attestation(ATTESTATION, policy, at=NOON, nonce=NONCE, function=name)
    assert verdict.authentic
    assert not verdict.accepted
    assert verdict.checks[-1].check == claim


def test_function_that_the_bundle_does_not_have_is_refused() -> None:
    """The policy's wish alone runs nothing."""
    bare = make_attestation(bundle=make_bundle(functions=()))
    verified = verify_attestation(bare, POLICY, at=NOON, nonce=NONCE)

    with pytest.raises(AppraisalError) as refused:
        check_function(verified, POLICY, "redact")

    assert refused.value.claim == "functions.redact"


def test_time_passes_between_two_invocations() -> None:
    """A verified bundle runs out, by its own word and by the policy's."""
    verified = verify_attestation(ATTESTATION, POLICY, at=NOON, nonce=NONCE)
    short = replace(POLICY, freshness=Freshness(challenge=True, max_age=timedelta(minutes=1)))

    check_current(verified, POLICY, at=NOON + timedelta(hours=1))
    with pytest.raises(AppraisalError):
        check_current(verified, short, at=NOON + timedelta(minutes=2))
    with pytest.raises(EvidenceError):
        check_current(verified, POLICY, at=NOON + timedelta(hours=1, seconds=1))


def test_archive_is_judged_as_of_a_given_time_without_proof_of_freshness() -> None:
    """Years later, the verdict says how it was then, and says so."""
    verified = verify_attestation(ATTESTATION, POLICY, at=NOON, mode=Mode.GIVEN)

    assert verified.verdict.mode is Mode.GIVEN
    assert verified.verdict.to_json()["mode"] == "given"


def test_archive_is_judged_as_of_its_own_time() -> None:
    """The time that the evidence says and the time that is signed are the same."""
    at = evidence_time(decode_attestation(ATTESTATION).evidence)

    verdict = judge_attestation(ATTESTATION, POLICY, at=at, mode=Mode.EVIDENCE)

    assert verdict.accepted
    assert verdict.to_json()["at"] == "2026-11-21T12:00:00Z"


def test_another_time_is_not_the_evidences_own() -> None:
    """Whoever says `as of its own time` has to mean that time."""
    at = NOON + timedelta(seconds=1)

    assert _refused(ATTESTATION, at=at, mode=Mode.EVIDENCE, nonce=None, kind=EvidenceError) == "evidence time"
    evidence = decode_attestation(ATTESTATION).evidence
    with pytest.raises(EvidenceError):
        appraise_evidence(evidence, None, at=at, mode=Mode.EVIDENCE)


def test_bare_evidence_is_authentic_without_any_policy() -> None:
    """Stage one alone says nothing about acceptance."""
    verdict = judge_evidence(make_device().attest(bytes(64)), None, at=NOON)

    assert verdict.authentic
    assert verdict.accepted is None
    assert verdict.to_json()["error"] is None


def test_bare_evidence_answers_an_exact_nonce() -> None:
    """The format's own field holds these bytes, and no others."""
    evidence = make_device().attest(bytes(64))

    assert appraise_evidence(evidence, POLICY, at=NOON, nonce=bytes(64)).bound_data == bytes(64)
    for nonce in (bytes(63), bytes(65), b"", bytes(32)):
        verdict = judge_evidence(evidence, None, at=NOON, nonce=nonce)
        assert verdict.error is not None
        assert verdict.error.code == "not_authentic"


def test_bare_evidence_over_no_nonce_of_ours_is_refused_where_the_policy_demands_one() -> None:
    """Exit 4 and not 3: the evidence is good, and proves nothing about now."""
    evidence = make_device().attest(bytes(64))
    verdict = judge_evidence(evidence, POLICY, at=NOON)

    assert verdict.authentic
    assert verdict.error is not None
    assert verdict.error.code == "refused"
    assert judge_evidence(evidence, POLICY, at=NOON, mode=Mode.GIVEN).accepted


def test_bare_evidence_that_the_policy_refuses_is_refused() -> None:
    """Both stages run on an evidence folder."""
    evidence = make_device(debug=True).attest(bytes(64))

    with pytest.raises(AppraisalError) as refused:
        appraise_evidence(evidence, POLICY, at=NOON, nonce=bytes(64))

    assert refused.value.claim == "debug"


def test_verdict_is_the_documented_document() -> None:
    """Its keys are what other programs read."""
    document = judge_attestation(
        make_attestation(device=make_device(debug=True)), POLICY, at=NOON, nonce=NONCE
    ).to_json()

    assert list(document) == ["authentic", "accepted", "format", "at", "mode", "claims", "checks", "error"]
    assert document["error"] == {"code": "refused", "message": "debug: found true, wanted false"}
    assert isinstance(document["claims"], dict)
    assert document["claims"]["debug"] is True
    assert isinstance(document["checks"], list)
    assert document["checks"][-1] == {"check": "debug", "found": "true", "wanted": "false", "ok": False}


def test_verdict_on_unreadable_bytes_knows_no_format() -> None:
    """There is nothing to say but why."""
    document = judge_attestation(b"", POLICY, at=NOON).to_json()

    assert document["format"] is None
    assert document["claims"] == {}
    assert document["authentic"] is False
    assert document["error"] == {"code": "unreadable", "message": "attestation: truncated"}


def test_trailing_bytes_are_unreadable() -> None:
    """Two readers must not see two attestations."""
    assert _refused(ATTESTATION + b"\0", kind=EvidenceError) == "attestation"
    assert encode_attestation(decode_attestation(ATTESTATION)) == ATTESTATION
