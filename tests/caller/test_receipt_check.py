"""Receipt files: verified by anybody, later, offline; one thing turned at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.caller.receipt_check import ReceiptVerdict, verify_receipt_file
from enclaved.errors import ConfigurationError
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.wire.attestation import evidence_digest
from fake_runtime import FakeRuntime
from simulation import NOON, OTHER_DIGEST, make_attestation, make_policy
from test_acceptance import attach_unchecked, exchange

POLICY = make_policy()
BOTH = pytest.mark.parametrize("policy", [None, POLICY], ids=["no policy", "policy"])


def receipt_file(runtime: FakeRuntime | None = None, *, attestation: bytes | None = None, **claims: object) -> bytes:
    """Return a self-contained receipt, with claims turned."""
    runtime = runtime or FakeRuntime()
    runtime.turned_claims = claims
    if attestation is not None:
        runtime.turned_claims.setdefault("evidence_digest", evidence_digest(attestation))
    receipt = exchange(runtime).body.receipt
    assert receipt is not None
    return attach_unchecked(receipt, attestation or runtime.announced)


def failed_check(judged: ReceiptVerdict) -> str:
    """Return the one check that failed; the verdict has to say so everywhere."""
    assert judged.verdict.error is not None
    assert not judged.verdict.accepted
    return judged.verdict.checks[-1].check


def test_good_receipt_is_accepted_by_the_policy() -> None:
    """Judged as of the time at which it was signed, whenever it is looked at."""
    judged = verify_receipt_file(receipt_file(), POLICY)

    assert (judged.verdict.authentic, judged.verdict.accepted, judged.verdict.mode) == (True, True, Mode.GIVEN)
    assert judged.verdict.at == NOON + timedelta(minutes=1)
    assert judged.receipt.function == "redact"
    assert all(check.ok for check in judged.verdict.checks)


def test_good_receipt_is_authentic_without_a_policy() -> None:
    """Without a policy nothing is said about what is acceptable."""
    judged = verify_receipt_file(receipt_file(), None)

    assert (judged.verdict.authentic, judged.verdict.accepted) == (True, None)


@BOTH
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("runtime_id", "r2"),
        ("function_digest", OTHER_DIGEST),
        ("engine", "wasm"),
        ("isolation", "full"),
        ("bundle_digest", bytes(32)),
    ],
)
def test_receipt_that_contradicts_its_attestation_is_refused(claim: str, value: object, policy: Policy | None) -> None:
    """Every claim that the bundle settles has to agree with it."""
    judged = verify_receipt_file(receipt_file(**{claim: value}), policy)

    assert failed_check(judged) == f"receipt.{claim}"
    assert not judged.verdict.authentic


@pytest.mark.parametrize(("policy", "check"), [(None, "receipt.function"), (POLICY, "functions.echo")])
def test_receipt_of_a_function_that_the_bundle_lacks_is_refused(policy: Policy | None, check: str) -> None:
    """Only what the bundle lists can have run there."""
    assert failed_check(verify_receipt_file(receipt_file(function="echo"), policy)) == check


@BOTH
def test_receipt_of_another_key_is_refused(policy: Policy | None) -> None:
    """The signature is the bundle's receipt key's."""
    runtime = FakeRuntime()
    runtime.receipt_signer = Ed25519PrivateKey.generate()

    assert failed_check(verify_receipt_file(receipt_file(runtime), policy)) == "receipt.signature"


@BOTH
def test_receipt_with_a_forged_attestation_is_refused(policy: Policy | None) -> None:
    """Evidence that was made over another bundle does not speak for this key."""
    runtime, other = FakeRuntime(), FakeRuntime()
    forged = other.announced.replace(other.encoded_bundle, runtime.encoded_bundle)

    assert failed_check(verify_receipt_file(receipt_file(runtime, attestation=forged), policy)) == "bound_data"


@BOTH
def test_receipt_beside_another_attestation_is_refused(policy: Policy | None) -> None:
    """The file holds the evidence that the receipt names, not some other of the same bundle."""
    runtime = FakeRuntime()
    named = evidence_digest(runtime.announced)

    data = receipt_file(runtime, attestation=runtime.attest(bytes(32)), evidence_digest=named)

    assert failed_check(verify_receipt_file(data, policy)) == "receipt"


@BOTH
def test_receipt_without_its_attestation_cannot_be_judged(policy: Policy | None) -> None:
    """A bare receipt is readable; whose key signed it is not known."""
    receipt = exchange(FakeRuntime()).body.receipt

    judged = verify_receipt_file(receipt, policy)

    assert judged.verdict.error.code == "unreadable"
    assert judged.receipt.function == "redact"


@BOTH
@pytest.mark.parametrize("data", [b"", b"\x00", bytes(100), b"\xd2\x84"])
def test_what_is_no_receipt_is_unreadable(data: bytes, policy: Policy | None) -> None:
    """Any bytes give a verdict, never a traceback."""
    judged = verify_receipt_file(data, policy)

    assert judged.verdict.error.code == "unreadable"
    assert judged.receipt is None


@BOTH
def test_attestation_that_cannot_be_read_is_unreadable(policy: Policy | None) -> None:
    """The same for what rides along."""
    judged = verify_receipt_file(receipt_file(attestation=b"\xc1"), policy)

    assert judged.verdict.error.code == "unreadable"


@BOTH
def test_receipt_is_judged_as_of_the_time_that_is_given(policy: Policy | None) -> None:
    """After the bundle's end its key was good no more."""
    judged = verify_receipt_file(receipt_file(), policy, at=NOON + timedelta(hours=2), mode=Mode.GIVEN)

    assert failed_check(judged) == "bundle validity"
    assert judged.verdict.mode is Mode.GIVEN


def test_receipt_is_judged_as_of_the_evidences_own_time() -> None:
    """For archives: the time that the device signed."""
    judged = verify_receipt_file(receipt_file(), None, mode=Mode.EVIDENCE)

    assert (judged.verdict.authentic, judged.verdict.at, judged.verdict.mode) == (True, NOON, Mode.EVIDENCE)


@BOTH
def test_evidence_of_another_time_is_refused(policy: Policy | None) -> None:
    """As of the evidence's own time is as of the time that the device signed, and no other."""
    judged = verify_receipt_file(receipt_file(), policy, at=NOON + timedelta(seconds=1), mode=Mode.EVIDENCE)

    assert failed_check(judged) == "evidence time"


def test_now_needs_a_clock() -> None:
    """Verification reads no clock of its own."""
    with pytest.raises(ConfigurationError):
        verify_receipt_file(receipt_file(), None, mode=Mode.NOW)


def test_policy_refuses_what_it_does_not_list() -> None:
    """Authentic, and not acceptable: the verdict says both."""
    judged = verify_receipt_file(receipt_file(), replace(POLICY, formats={}))

    assert (judged.verdict.authentic, judged.verdict.accepted) == (True, False)
    assert judged.verdict.error.code == "refused"


def test_document_holds_verdict_and_receipt() -> None:
    """Machines get every claim by name, bytes as hex."""
    runtime = FakeRuntime()

    document = verify_receipt_file(receipt_file(runtime), POLICY).to_json()

    assert document["verdict"]["accepted"] is True
    assert document["receipt"]["bundle_digest"] == runtime.digest.hex()
    assert document["receipt"]["outcome"] == "ok"


def test_challenged_evidence_is_evidence_too() -> None:
    """A receipt may name evidence that answered somebody's nonce."""
    runtime = FakeRuntime()
    runtime.announced = make_attestation(bundle=runtime.encoded_bundle, nonce=bytes(32), device=runtime.device)

    assert verify_receipt_file(receipt_file(runtime), None).verdict.authentic
