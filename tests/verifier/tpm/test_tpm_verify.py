"""TPM quotes: authentic or not, one thing turned at a time, signed for real by a test's keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.certificate import fingerprint_text, read_pem_certificates
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.evidence import appraise_evidence, judge_evidence
from enclaved.verifier.moment import evidence_time
from enclaved.wire.attestation import Evidence
from simulation import NOON
from tpm_forgery import (
    EC256,
    EC384,
    PCRS,
    ROOT,
    RSA,
    PrivateKey,
    Quote,
    chain,
    key_pem,
    make_evidence,
    pcrs_json,
    selection,
    sign,
    tpmt,
)

EXPIRED = {"end": NOON - timedelta(seconds=1)}


def _authenticate(evidence: Evidence) -> Claims:
    return authenticate(evidence, at=NOON, checks=Checks())


def _refused(evidence: Evidence, *, code: str = "not_authentic") -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, checks=checks)
    assert refused.value.code == code
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


# What is accepted.


def test_claims_are_the_quotes_fields() -> None:
    """Policies and people name fields as the specification does."""
    claims = _authenticate(make_evidence())
    shown = claims.to_json()

    assert claims.bound_data == claims.vendor["extra_data"] == bytes(range(32))
    assert not claims.confidential
    assert (claims.debug, claims.measurement, claims.tcb_status, claims.evidence_time) == (None, None, None, None)
    assert shown["pcrs"]["3"] == PCRS[3].hex()  # type: ignore[call-overload, index]
    assert (shown["clock"], shown["reset_count"], shown["restart_count"], shown["safe"]) == (1234, 5, 6, True)
    assert shown["firmware_version"] == "2020031200120003"
    assert shown["pcr_bank"] == "sha256"
    assert (shown["implementation"], shown["ak_root"], shown["events"]) == (None, None, None)


def test_key_is_named_by_the_digest_that_openssl_prints() -> None:
    """So that a person can compare it."""
    der = EC256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert _authenticate(make_evidence()).vendor["ak"] == f"sha256:{hashlib.sha256(der).hexdigest()}"


@pytest.mark.parametrize("scheme", ["sha256", "sha384"])
@pytest.mark.parametrize("key", [RSA, EC256, EC384], ids=["RSA", "P-256", "P-384"])
@pytest.mark.parametrize("enveloped", [True, False], ids=["TPMT_SIGNATURE", "bare"])
def test_signature_may_be_of_either_kind_and_form(key: PrivateKey, scheme: str, enveloped: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A TPM gives one form, most tools another."""
    _authenticate(make_evidence(Quote(scheme=scheme), key=key, enveloped=enveloped))


@pytest.mark.parametrize(("bank", "size"), [("sha256", 32), ("sha384", 48), ("sha512", 64)])
def test_bank_may_be_of_any_strong_hash(bank: str, size: int) -> None:
    """Whatever the signature's is."""
    claims = _authenticate(make_evidence(Quote(bank=bank, pcrs={0: bytes(size), 23: b"x" * size})))

    assert claims.vendor["pcr_bank"] == bank
    assert claims.to_json()["pcrs"] == {"0": "00" * size, "23": "78" * size}


def test_bank_with_an_empty_selection_beside_it_is_accepted() -> None:
    """Some TPMs name every bank that they have."""
    _authenticate(make_evidence(Quote(selection=selection(("sha1", ()), ("sha256", PCRS)))))


def test_quote_without_pcr_values_is_authentic_and_shows_none() -> None:
    """Only their digest is known; a policy that asks for a PCR refuses it."""
    claims = _authenticate(make_evidence(pcrs__json=None))

    assert claims.vendor["pcrs"] == {}
    assert claims.vendor["pcr_digest"]


@pytest.mark.parametrize("version", ["2019102300163636", "2024012500120000"])
def test_software_tpm_is_labelled_where_it_shows_itself(version: str) -> None:
    """Swtpm's library has firmware versions of its own."""
    claims = _authenticate(make_evidence(Quote(firmware_version=bytes.fromhex(version))))

    assert claims.vendor["implementation"] == "tpm2-software"


def test_quote_over_nothing_is_authentic_and_refused_where_a_nonce_is_demanded() -> None:
    """Anybody may have recorded it."""
    evidence = make_evidence(Quote(extra_data=b""))

    assert _authenticate(evidence).bound_data == b""
    for nonce in (b"", b"n"):
        with pytest.raises(EvidenceError) as refused:
            appraise_evidence(evidence, None, at=NOON, nonce=nonce)
        assert refused.value.step == "nonce"


def test_nonce_is_compared_with_the_qualifying_data() -> None:
    """As exact bytes."""
    verdicts = [
        judge_evidence(make_evidence(), None, at=NOON, nonce=nonce).authentic
        for nonce in (bytes(range(32)), bytes(range(31)))
    ]

    assert verdicts == [True, False]


def test_quote_holds_no_time() -> None:
    """Its clock counts from the TPM's first power-on."""
    with pytest.raises(ConfigurationError):
        evidence_time(make_evidence())


# The quote.


@pytest.mark.parametrize("cut", [0, 3, 5, 40, 80, -1])
def test_truncated_quote_is_unreadable(cut: int) -> None:
    """Lengths are held against what is there."""
    evidence = make_evidence()
    report = evidence.report[:cut] or b"\xff"

    assert _refused(msgspec.structs.replace(evidence, report=report), code="unreadable") == "quote"


@pytest.mark.parametrize(
    "turned",
    [
        {"trailing": b"\0"},
        {"signer": bytes(67)},
        {"extra_data": bytes(67)},
        {"safe": 2},
        {"pcr_digest": bytes(65)},
        {"selection": (17).to_bytes(4, "big") + bytes(17 * 3)},
        {"selection": bytes.fromhex("00000001 000b 05 0000000000")},
    ],
    ids=["trailing", "signer", "extra data", "safe", "digest", "banks", "selection"],
)
def test_quote_of_another_shape_is_unreadable(turned: dict[str, object]) -> None:
    """Even if the key has signed it."""
    assert _refused(make_evidence(Quote(**turned)), code="unreadable") == "quote"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("turned", "step"),
    [({"magic": b"\xff\x54\x43\x48"}, "magic"), ({"magic": bytes(4)}, "magic"), ({"type": b"\x80\x17"}, "type")],
)
def test_what_the_tpm_did_not_quote_is_refused(turned: dict[str, bytes], step: str) -> None:
    """A key signs what its owner likes, unless it begins with the magic; and a TPM certifies other things as well."""
    assert _refused(make_evidence(Quote(**turned))) == step  # type: ignore[arg-type]


def test_bank_of_sha1_is_refused() -> None:
    """Two files of one digest can be made; also where a better bank stands beside it."""
    values = {0: bytes(20)}
    beside = selection(("sha256", PCRS), ("sha1", values))

    assert _refused(make_evidence(Quote(bank="sha1", pcrs=values))) == "bank"
    assert _refused(make_evidence(Quote(selection=beside))) == "bank"


@pytest.mark.parametrize(
    "banks",
    [(), (("sha256", ()),), (("other", (1,)),), (("sha256", (1,)), ("sha384", (1,)))],
    ids=["none", "empty", "unknown", "two"],
)
def test_other_selections_are_unsupported(banks: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
    """A quote over nothing shows nothing; over two banks, the list of values would have two meanings."""
    assert _refused(make_evidence(Quote(selection=selection(*banks))), code="unsupported") == "bank"


# The key.


def test_evidence_without_key_or_signature_is_unreadable() -> None:
    """Nothing stands in for them."""
    assert _refused(make_evidence(ak_pub__pem=None), code="unreadable") == "ak_pub.pem"
    assert _refused(make_evidence(quote__sig=None), code="unreadable") == "quote.sig"


@pytest.mark.parametrize(
    "pem", [b"no key", key_pem(EC256)[:60], b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_file_that_is_no_key_is_unreadable(pem: bytes) -> None:
    """Whatever the parser makes of it."""
    assert _refused(make_evidence(ak_pub__pem=pem), code="unreadable") == "ak_pub.pem"


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=1024),  # noqa: S505 - it has to be refused
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA-1024", "P-521", "secp256k1", "Ed25519"],
)
def test_other_kinds_of_key_are_unsupported(key: PrivateKey) -> None:
    """Some are weak, and of some no TPM makes quotes."""
    assert _refused(make_evidence(ak_pub__pem=key_pem(key)), code="unsupported") == "ak_pub.pem"


# The signature.


@pytest.mark.parametrize("key", [RSA, EC256], ids=["RSA", "P-256"])
def test_signature_of_another_key_is_refused(key: PrivateKey) -> None:
    """The key is the only thing that a policy knows."""
    other = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if key is RSA
        else ec.generate_private_key(ec.SECP256R1())
    )

    assert _refused(make_evidence(key=key, ak_pub__pem=key_pem(other))) == "signature"


def test_signature_over_another_quote_is_refused() -> None:
    """A quote of yesterday, with the nonce of today written into it."""
    evidence = make_evidence()
    turned = replace(Quote(), extra_data=bytes(32)).encoded

    assert _refused(msgspec.structs.replace(evidence, report=turned)) == "signature"


@pytest.mark.parametrize(
    "signature",
    [
        b"\0",
        bytes(256),
        tpmt(EC256, sign(EC256, b"")) + b"\0",
        tpmt(EC256, sign(EC256, b""))[:-1],
        tpmt(EC256, sign(EC256, b""), "sha384"),
        bytes.fromhex("0016 000b") + bytes(70),
        bytes.fromhex("0018 000b 0044") + bytes(80),
    ],
    ids=["byte", "zeros", "trailing", "truncated", "another hash", "another scheme", "too long"],
)
def test_signature_of_another_shape_is_unreadable(signature: bytes) -> None:
    """No form is tried after another."""
    assert _refused(make_evidence(quote__sig=signature), code="unreadable") == "quote.sig"


@pytest.mark.parametrize(
    "signature",
    [bytes(255), bytes(262), tpmt(RSA, sign(RSA, b""))[:-1] + b"\0\0", tpmt(RSA, sign(RSA, b""), "sha384")],
    ids=["short", "zeros", "trailing", "another hash"],
)
def test_rsa_signature_of_another_shape_is_unreadable(signature: bytes) -> None:
    """Its length says which form it is."""
    assert _refused(make_evidence(key=RSA, quote__sig=signature), code="unreadable") == "quote.sig"


@pytest.mark.parametrize("size", [0, 20, 64])
def test_scheme_of_another_hash_is_refused(size: int) -> None:
    """A TPM digests PCRs with the hash that it signs with; SHA-1 is not one that counts."""
    assert _refused(make_evidence(Quote(pcr_digest=bytes(size)))) == "scheme"


# PCR values.


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"{}",
        b"[" * 100_000,
        b'"text"',
        pcrs_json({0: bytes(32)}),
        pcrs_json(PCRS | {14: bytes(32)}),
        json.dumps(["00" * 32] * 10 + ["00" * 31]).encode(),
        json.dumps(["00" * 32] * 10 + ["0x" + "0" * 62]).encode(),
        json.dumps(["00" * 32] * 10 + [0]).encode(),
        json.dumps(["00" * 32] * 10 + ["00 " * 32]).encode(),
        b"\xff\xfe",
    ],
)
def test_list_of_another_shape_is_unreadable(content: bytes) -> None:
    """One value for each PCR of the quote, and no other."""
    step = "files" if not content else "pcrs.json"

    assert _refused(make_evidence(pcrs__json=content), code="unreadable") == step


def test_values_that_the_tpm_did_not_digest_are_refused() -> None:
    """Also if they are the right ones in another order."""
    swapped = PCRS | {0: PCRS[1], 1: PCRS[0]}

    assert _refused(make_evidence(pcrs__json=pcrs_json(PCRS | {13: b"m" * 32}))) == "pcr_digest"
    assert _refused(make_evidence(pcrs__json=pcrs_json(swapped))) == "pcr_digest"


# Certificates of the key.


def test_certified_key_names_its_root() -> None:
    """Which one it is, is the policy's; anybody can make one."""
    pem = chain()
    root = read_pem_certificates(pem, "", Checks())[-1]

    assert _authenticate(make_evidence(ak_chain__pem=pem)).vendor["ak_root"] == fingerprint_text(root)


@pytest.mark.parametrize("turned", [{"extended": None}, {"usage": None}, {"is_authority": None}])
def test_certificate_may_leave_out_what_it_is_for(turned: dict[str, None]) -> None:
    """Google's say nothing on attesting."""
    _authenticate(make_evidence(ak_chain__pem=chain(**turned)))


@pytest.mark.parametrize(
    ("turned", "step"),
    [
        ({"key": EC384}, "certified key"),
        ({"is_authority": True}, "certified key's use"),
        ({"usage": "key_encipherment"}, "certified key's use"),
        ({"extended": "2.23.133.8.1"}, "certified key's use"),
        (EXPIRED, "chain: validity of attestation key"),
        ({"unknown_critical": True}, "chain: critical extensions of attestation key"),
        ({"root": replace(ROOT, **EXPIRED)}, "chain: validity of root"),  # type: ignore[arg-type]
        ({"root": replace(ROOT, is_authority=False)}, "chain: root may issue"),
        ({"order": -1}, "certified key"),
    ],
)
def test_certificates_that_vouch_for_nothing_are_refused(turned: dict[str, object], step: str) -> None:
    """Another key's, an endorsement key's, an authority's own, expired, misplaced."""
    assert _refused(make_evidence(ak_chain__pem=chain(**turned))) == step  # type: ignore[arg-type]


def test_certificate_of_an_unknown_kind_of_key_is_unsupported() -> None:
    """It cannot be the key of a quote."""
    pem = chain(key=ec.generate_private_key(ec.SECP521R1()))

    assert _refused(make_evidence(ak_chain__pem=pem), code="unsupported") == "ak_chain.pem: key"


def test_file_that_holds_no_certificates_is_unreadable() -> None:
    """It was meant to vouch for something."""
    assert _refused(make_evidence(ak_chain__pem=b"none"), code="unreadable") == "ak_chain.pem"
