"""Nitro documents: authentic or not, one thing turned at a time, signed for real under a test root."""

from __future__ import annotations

from datetime import timedelta

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from enclaved.clock import unix_ms
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import appraise_evidence, judge_evidence
from enclaved.verifier.moment import Mode, evidence_time
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.wire.attestation import Evidence
from nitro_forgery import Link, authority, certify, fields, make_evidence, make_module, pcrs, sign
from simulation import NOON

MODULE = make_module()
EXPIRED = {"end": NOON - timedelta(seconds=1)}


def _authenticate(evidence: Evidence, roots: Roots = MODULE.roots) -> Claims:
    return authenticate(evidence, at=NOON, roots=roots, checks=Checks())


def _refused(evidence: Evidence, *, roots: Roots = MODULE.roots, code: str = "not_authentic") -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, roots=roots, checks=checks)
    assert refused.value.code == code
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def _raw(*parts: object) -> Evidence:
    return Evidence(format="nitro", report=cbor2.dumps(list(parts)), endorsements={})


def _payload() -> bytes:
    return cbor2.dumps(fields(MODULE))


# What is accepted.


def test_claims_are_the_documents_fields() -> None:
    """Policies and people name fields as AWS does."""
    claims = _authenticate(make_evidence(MODULE, nonce=b"n", public_key=b"k"))

    assert claims.format == "nitro"
    assert claims.bound_data == claims.vendor["user_data"] == bytes(range(64))
    assert claims.nonces == (b"n",)
    assert claims.vendor["public_key"] == b"k"
    assert claims.measurement == b"0" * 48
    assert claims.evidence_time == NOON
    assert claims.vendor["timestamp"] == unix_ms(NOON)
    assert claims.vendor["age_ms"] == 0
    assert claims.to_json()["pcrs"]["4"] == (b"4" * 48).hex()
    assert claims.debug is False
    assert claims.confidential


def test_fields_that_are_null_or_left_out_are_nothing() -> None:
    """The security module writes null; AWS's text allows for both."""
    claims = _authenticate(make_evidence(MODULE, user_data=None, nonce=..., public_key=...))

    assert claims.bound_data == b""
    assert claims.nonces == ()
    assert claims.vendor["public_key"] is None


def test_map_of_indefinite_length_is_accepted_and_hashed_as_received() -> None:
    """Some security modules write the document without its length."""
    definite = fields(MODULE)
    payload = b"\xbf" + b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in definite.items()) + b"\xff"

    assert _authenticate(make_evidence(MODULE, payload)) == _authenticate(make_evidence(MODULE))


def test_tagged_envelope_is_accepted() -> None:
    """AWS allows for the tag of COSE_Sign1."""
    evidence = make_evidence(MODULE)

    _authenticate(msgspec.structs.replace(evidence, report=b"\xd2" + evidence.report))


@pytest.mark.parametrize("size", [513, 1024])
def test_user_data_of_more_than_512_bytes_is_accepted(size: int) -> None:
    """512 is the limit of AWS's older text."""
    assert len(_authenticate(make_evidence(MODULE, user_data=bytes(size))).bound_data) == size


def test_debug_document_is_authentic_and_says_so() -> None:
    """AWS signs a debug enclave's document like any other."""
    zero = bytes(48)

    assert _authenticate(make_evidence(MODULE, pcrs=pcrs(pcr0=zero, pcr1=zero, pcr2=zero))).debug is True
    assert _authenticate(make_evidence(MODULE, pcrs=pcrs(pcr0=zero, pcr1=zero))).debug is False


def test_document_without_the_pcrs_of_the_code_is_debug() -> None:
    """What is not there says as little as what is zero."""
    assert _authenticate(make_evidence(MODULE, pcrs={3: b"3" * 48})).debug is True


def test_document_is_verified_as_of_its_own_time() -> None:
    """Its certificates live three hours; an archive is judged as of then."""
    then = NOON - timedelta(hours=2)
    evidence = make_evidence(MODULE, timestamp=unix_ms(then))
    assert evidence_time(evidence) == then

    claims = appraise_evidence(evidence, None, at=then, mode=Mode.EVIDENCE, roots=MODULE.roots)
    assert claims.vendor["age_ms"] == 0
    verdict = judge_evidence(evidence, None, at=NOON, mode=Mode.EVIDENCE, roots=MODULE.roots)
    assert not verdict.authentic


def test_document_has_an_age_at_the_time_of_the_verification() -> None:
    """Stage one has no clock; the policy bounds the age that it finds."""
    evidence = make_evidence(MODULE, timestamp=unix_ms(NOON - timedelta(minutes=5)))

    assert _authenticate(evidence).vendor["age_ms"] == 300_000


# 1. The envelope parses.


@pytest.mark.parametrize(
    "report",
    [
        b"\x84",
        b"\x80",
        cbor2.dumps({}),
        cbor2.dumps([b"", {}, b"x"]),
        cbor2.dumps([b"\xa0", {}, "text", bytes(96)]),
        make_evidence(MODULE).report + b"\0",
        b"\xd2\xd2" + make_evidence(MODULE).report,
        b"\xd1" + make_evidence(MODULE).report,
        b"\xff",
        b"\x9f" + make_evidence(MODULE).report[1:] + b"\xff",
    ],
)
def test_envelope_that_is_none_is_unreadable(report: bytes) -> None:
    """Truncated, with trailing bytes, of other parts, with another tag."""
    evidence = Evidence(format="nitro", report=report, endorsements={})

    assert _refused(evidence, code="unreadable") == "envelope"


def test_unprotected_header_is_unreadable() -> None:
    """Nobody signs it."""
    protected, _, payload, signature = sign(MODULE, _payload())

    assert _refused(_raw(protected, {4: b"key"}, payload, signature), code="unreadable") == "envelope"


@pytest.mark.parametrize("payload", [b"", bytes(16385)])
def test_payload_of_another_size_is_unreadable(payload: bytes) -> None:
    """A document is 1 to 16384 bytes."""
    assert _refused(make_evidence(MODULE, payload), code="unreadable") == "payload"


@pytest.mark.parametrize("size", [0, 95, 97, 132])
def test_signature_of_another_size_is_unreadable(size: int) -> None:
    """R and S are 48 bytes each."""
    protected, _, payload, _ = sign(MODULE, _payload())

    assert _refused(_raw(protected, {}, payload, bytes(size)), code="unreadable") == "signature"


@pytest.mark.parametrize("protected", [b"", b"\x80", b"\xa1\x01"])
def test_protected_header_that_is_no_map_is_unreadable(protected: bytes) -> None:
    """An empty one would leave the algorithm to a guess."""
    evidence = _raw(*sign(MODULE, _payload(), protected=protected))

    assert _refused(evidence, code="unreadable") == "protected header"


# 2. The algorithm.


@pytest.mark.parametrize("header", [{}, {1: -7}, {1: -36}, {1: -35, 2: [99], 99: 1}, {1: -35, 4: b"key"}, {1: "ES384"}])
def test_another_header_is_unsupported(header: dict[int, object]) -> None:
    """A critical header must not be passed over, and no other algorithm is tried."""
    evidence = _raw(*sign(MODULE, _payload(), protected=header))

    assert _refused(evidence, code="unsupported") == "algorithm"


# 3. The document parses.


@pytest.mark.parametrize("payload", [b"\xa1", b"\x01", b"\xbf\x61a", cbor2.dumps([1])])
def test_document_that_is_no_map_is_unreadable(payload: bytes) -> None:
    """The signature is over bytes; what they mean comes before."""
    assert _refused(make_evidence(MODULE, payload), code="unreadable") == "document"


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_document_without_a_mandatory_field_is_unreadable(name: str) -> None:
    """AWS lists what has to be there."""
    assert _refused(make_evidence(MODULE, **{name: ...}), code="unreadable") == "document"


@pytest.mark.parametrize(
    ("turned", "step"),
    [
        ({"module_id": ""}, "document"),
        ({"module_id": "x" * 257}, "document"),
        ({"module_id": b"x"}, "document"),
        ({"digest": b"SHA384"}, "document"),
        ({"timestamp": 0}, "document"),
        ({"timestamp": -1}, "document"),
        ({"timestamp": True}, "document"),
        ({"timestamp": 1 << 63}, "document"),
        ({"timestamp": "now"}, "document"),
        ({"cabundle": []}, "document"),
        ({"cabundle": None}, "document"),
        ({"pcrs": []}, "document"),
        ({"certificate": None}, "document"),
        ({"certificate": b""}, "certificates"),
        ({"certificate": bytes(1025)}, "certificates"),
        ({"cabundle": [b""]}, "certificates"),
        ({"cabundle": [bytes(1025)]}, "certificates"),
        ({"cabundle": ["text"]}, "certificates"),
        ({"pcrs": {}}, "pcrs"),
        ({"pcrs": {32: bytes(48)}}, "pcrs"),
        ({"pcrs": {-1: bytes(48)}}, "pcrs"),
        ({"pcrs": {"0": bytes(48)}}, "pcrs"),
        ({"pcrs": {0: bytes(47)}}, "pcrs"),
        ({"pcrs": {0: b"0" * 48, 1: None}}, "pcrs"),
        ({"user_data": bytes(1025)}, "user_data"),
        ({"user_data": "text"}, "user_data"),
        ({"nonce": bytes(1025)}, "nonce"),
        ({"nonce": 1}, "nonce"),
        ({"public_key": bytes(1025)}, "public_key"),
        ({"public_key": {}}, "public_key"),
    ],
)
def test_field_of_another_type_or_size_is_unreadable(turned: dict[str, object], step: str) -> None:
    """AWS bounds each of them."""
    assert _refused(make_evidence(MODULE, **turned), code="unreadable") == step


def test_unknown_field_is_unsupported() -> None:
    """Documents of other AWS devices are signed under the same root."""
    assert _refused(make_evidence(MODULE, nitrotpm_pcrs={4: bytes(48)}), code="unsupported") == "document"


def test_field_that_is_there_twice_is_unreadable() -> None:
    """Two readers would see two values."""
    encoded = _payload()
    twice = b"\xaa" + encoded[1:] + cbor2.dumps("user_data") + cbor2.dumps(b"other")

    assert _refused(make_evidence(MODULE, twice), code="unreadable") == "document"


@pytest.mark.parametrize("value", [1.5, cbor2.CBORTag(1, 1), cbor2.undefined])
def test_value_that_documents_do_not_have_is_unreadable(value: object) -> None:
    """Tags turn one type into another."""
    assert _refused(make_evidence(MODULE, nonce=value), code="unreadable") == "document"


# 4. The digest.


def test_another_digest_is_unsupported() -> None:
    """PCRs of another function are no digests of the same image."""
    assert _refused(make_evidence(MODULE, digest="SHA256"), code="unsupported") == "digest"


# 5. The certificates parse.


def test_certificate_that_is_none_is_unreadable() -> None:
    """Whichever it is."""
    above = [each.der for each in MODULE.above]

    assert _refused(make_evidence(MODULE, certificate=b"x"), code="unreadable") == "certificate"
    assert _refused(make_evidence(MODULE, cabundle=[above[0], b"x"]), code="unreadable") == "cabundle[1]"


# 6. Algorithms.


@pytest.mark.parametrize("turned", [{"curve": ec.SECP256R1()}, {"curve": ec.SECP521R1()}, {"digest": hashes.SHA512()}])
@pytest.mark.parametrize("link", [0, 1, 2])
def test_certificate_of_another_kind_is_refused(link: int, turned: dict[str, object]) -> None:
    """AWS makes one kind."""
    module = make_module(
        authority("root", **(turned if link == 0 else {})),
        authority("instance", **(turned if link == 1 else {})),
        leaf=Link(name="enclave", **(turned if link == 2 else {})),
    )
    protected, _, payload, _ = sign(module, cbor2.dumps(fields(module)))

    assert _refused(_raw(protected, {}, payload, bytes(96)), roots=module.roots) == "certificate algorithm"


# 7. The path.


def test_root_of_the_same_name_is_refused() -> None:
    """Anybody can make a root of AWS's name; the fingerprint tells."""
    assert _refused(make_evidence(make_module())) == "chain: root"


def test_released_roots_do_not_accept_a_test_root() -> None:
    """What these tests sign is worth nothing outside of them."""
    assert _refused(make_evidence(MODULE), roots=RELEASED_ROOTS) == "chain: root"


@pytest.mark.parametrize("turned", [EXPIRED, {"start": NOON + timedelta(seconds=1)}], ids=["expired", "not yet valid"])
@pytest.mark.parametrize("link", range(4))
def test_certificate_out_of_its_time_is_refused_at_each_link(link: int, turned: dict[str, object]) -> None:
    """The time is the caller's, not the document's."""
    names = ["root", "region", "instance"]
    links = [authority(name, **(turned if index == link else {})) for index, name in enumerate(names)]
    module = make_module(*links, leaf=Link(name="enclave", **(turned if link == 3 else {})))

    step = _refused(make_evidence(module), roots=module.roots)

    assert step == f"chain: validity of {[*names, 'enclave'][link]}"


def test_certificates_out_of_order_are_refused() -> None:
    """The root comes first."""
    above = [each.der for each in MODULE.above]

    assert _refused(make_evidence(MODULE, cabundle=above[::-1])) == "chain: root"
    assert _refused(make_evidence(MODULE, cabundle=[above[0], above[2], above[1]])).startswith("chain: ")


def test_missing_link_is_refused() -> None:
    """Each is signed by the next."""
    above = [each.der for each in MODULE.above]

    assert _refused(make_evidence(MODULE, cabundle=above[:-1])) == "chain: signature of enclave"
    assert _refused(make_evidence(MODULE, cabundle=[above[0], above[2]])) == "chain: signature of instance"


def test_over_long_chain_is_refused() -> None:
    """A stranger must not make us verify signatures without end."""
    module = make_module(*[authority(f"link {number}") for number in range(8)])

    assert _refused(make_evidence(module), roots=module.roots) == "chain: length"


@pytest.mark.parametrize("turned", [{"usage": "digital_signature"}, {"usage": None}, {"is_authority": False}])
def test_issuer_that_may_not_issue_is_refused(turned: dict[str, object]) -> None:
    """Another enclave's key must not vouch for this one."""
    module = make_module(authority("root"), authority("instance", **turned))

    assert _refused(make_evidence(module), roots=module.roots) == "chain: instance may issue"


def test_path_below_its_length_constraint_is_refused() -> None:
    """AWS bounds how many issuers may follow."""
    module = make_module(authority("root", path_length=0), authority("instance"))

    assert _refused(make_evidence(module), roots=module.roots) == "chain: root may issue"


# 8. The leaf's key.


@pytest.mark.parametrize(
    "turned",
    [{"usage": "key_agreement"}, {"usage": None}, {"is_authority": True}],
    ids=["may not sign", "no usage", "an issuer's"],
)
def test_leaf_with_a_wrong_usage_is_refused(turned: dict[str, object]) -> None:
    """Its certificate says what its key is for."""
    module = make_module(leaf=Link(name="enclave", **turned))

    assert _refused(make_evidence(module), roots=module.roots) == "leaf key"


# 9. The signature.


def test_document_that_another_key_signed_is_refused() -> None:
    """The certificate inside is genuine, and of another key."""
    other = certify(Link(name="enclave"), MODULE.above[-1])
    evidence = _raw(*sign(MODULE, _payload(), signer=other.private_key))

    assert _refused(evidence) == "signature"


def test_document_that_was_changed_after_signing_is_refused() -> None:
    """One byte of user data."""
    protected, _, payload, signature = sign(MODULE, _payload())
    assert isinstance(payload, bytes)
    changed = payload.replace(bytes(range(64)), bytes(64))

    assert _refused(_raw(protected, {}, changed, signature)) == "signature"


def test_document_that_was_encoded_anew_is_refused() -> None:
    """The same values in another order are other bytes."""
    protected, _, _, signature = sign(MODULE, _payload())
    reordered = cbor2.dumps(dict(reversed(fields(MODULE).items())))

    assert _refused(_raw(protected, {}, reordered, signature)) == "signature"


@pytest.mark.parametrize("signature", [bytes(96), b"\xff" * 96])
def test_signature_of_numbers_out_of_range_is_refused(signature: bytes) -> None:
    """Zero and numbers above the group's order are no signatures."""
    protected, _, payload, _ = sign(MODULE, _payload())

    assert _refused(_raw(protected, {}, payload, signature)) == "signature"
