"""Tokens of issuers that sign for real: authentic or not, one thing turned at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.moment import evidence_time
from enclaved.verifier.token.keys import read_key_set
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import NOON
from token_forgery import (
    AZURE,
    EAR,
    FLAT,
    GOOGLE,
    NOW,
    OTHER_KEY,
    P256_KEY,
    P384_KEY,
    RSA_KEY,
    SHORT_KEY,
    Token,
    encoded,
    evidence,
    jwk,
    to_base64,
)

GOOD = Token()


def _judge(token: Token, at: datetime = NOON) -> Claims:
    return authenticate(evidence(token), at=at, checks=Checks())


def _refused(token: Token, *, code: str = "not_authentic", at: datetime = NOON) -> str:
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence(token), at=at, checks=checks)
    assert refused.value.code == code, refused.value
    assert checks.done[-1].check == refused.value.step
    assert not checks.done[-1].ok
    return refused.value.step


def _with(base: Mapping[str, Any], **turned: object) -> dict[str, Any]:
    return {**base, **turned}


@pytest.mark.parametrize(
    ("payload", "kind", "hardware", "measurement"),
    [
        (AZURE, "azure-attestation", "sevsnpvm", bytes([1]) * 48),
        (FLAT, "azure-attestation", "sevsnpvm", bytes([1]) * 48),
        (GOOGLE, "confidential-space", "GCP_INTEL_TDX", bytes([3]) * 32),
        (EAR, "ear", None, None),
    ],
    ids=["azurevm", "sevsnpvm", "google", "ear"],
)
def test_each_kind_is_authentic_and_says_what_it_states(
    payload: dict[str, Any], kind: str, hardware: str | None, measurement: bytes | None
) -> None:
    """Under the same names for all."""
    claims = _judge(replace(GOOD, payload=payload))

    assert claims.vendor["kind"] == kind
    assert claims.vendor["hardware"] == hardware
    assert claims.vendor["iss"] == payload["iss"]
    assert claims.measurement == measurement
    assert claims.confidential
    assert claims.evidence_time == datetime.fromtimestamp(NOW - 60, UTC)


def test_claims_of_the_token_stand_under_their_own_names() -> None:
    """In lower case; a name of ours in a token changes nothing of ours."""
    payload = _with(GOOGLE, simulated=True, format="tdx", confidential=False, Oemid=11129, kind="tdx")
    claims = _judge(replace(GOOD, payload=payload)).to_json()

    assert claims["hwmodel"] == "GCP_INTEL_TDX"
    assert claims["oemid"] == 11129
    assert claims["format"] == "token"
    assert claims["kind"] == "confidential-space"
    assert claims["simulated"] is False
    assert claims["confidential"] is True


@pytest.mark.parametrize(("algorithm", "key"), [("ES256", P256_KEY), ("ES384", P384_KEY)], ids=["ES256", "ES384"])
def test_elliptic_curves_sign_too(algorithm: str, key: object) -> None:
    """As attestation results are usually signed."""
    claims = _judge(Token(payload=EAR, algorithm=algorithm, key=key, keys=[jwk(key)]))

    assert claims.vendor["alg"] == algorithm


def test_thumbprint_is_that_of_rfc_7638() -> None:
    """The example of its section 3.1."""
    example = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV"
        "4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0z"
        "gdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFC"
        "ur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    (key,) = read_key_set(json.dumps({"keys": [example]}).encode(), Checks())
    digest = base64.urlsafe_b64decode("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=")

    assert key.thumbprint == f"sha256:{digest.hex()}"


def test_key_that_only_a_certificate_carries_is_read() -> None:
    """As Azure publishes them; the certificate vouches for nothing."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anybody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA_KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(NOON - timedelta(days=9)).not_valid_after(NOON)
    der = builder.sign(RSA_KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    carried = jwk(RSA_KEY, n=..., e=..., x5c=[base64.b64encode(der).decode()])

    claims = _judge(replace(GOOD, keys=[carried]))

    assert claims.vendor["key"] == _judge(GOOD).vendor["key"]


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "HS384", "PS256", "RS384", "ES512", "EdDSA", "", None, 1], ids=repr
)
def test_algorithm_that_is_not_on_the_list_is_refused(algorithm: object) -> None:
    """Above all those that need no key, or one that everybody knows."""
    assert _refused(replace(GOOD, header={"alg": algorithm})) == "alg"


def test_public_key_as_the_secret_of_an_hmac_is_refused() -> None:
    """The oldest trick: the verifier's public key, taken for a shared secret."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = to_base64(b'{"alg":"HS256","kid":"a+b/c="}') + b"." + to_base64(json.dumps(GOOGLE).encode())
    report = signed + b"." + to_base64(hmac.new(pem, signed, hashlib.sha256).digest())
    with pytest.raises(EvidenceError) as refused:
        authenticate(msgspec.structs.replace(evidence(GOOD), report=report), at=NOON, checks=Checks())
    assert refused.value.step == "alg"


@pytest.mark.parametrize(
    "header",
    [{"crit": ["b64"], "b64": False}, {"crit": ["exp"], "exp": 1}, {"b64": True}, {"zip": "DEF"}, {"enc": "A256GCM"}],
    ids=str,
)
def test_header_that_changes_what_is_signed_is_refused(header: dict[str, object]) -> None:
    """What is critical has to be understood, and nothing of it is."""
    assert _refused(replace(GOOD, header=header)) == "header"


def test_key_in_the_header_is_not_looked_at() -> None:
    """Who sends the token would choose the key that it is verified with."""
    header = {"jwk": jwk(OTHER_KEY), "jku": "https://attacker.example/keys", "x5u": "https://attacker.example/"}

    assert _refused(replace(GOOD, header=header, key=OTHER_KEY)) == "signature"
    assert _judge(replace(GOOD, header=header)).vendor["kind"] == "confidential-space"


@pytest.mark.parametrize("kid", ["a+b/c", "a-b_c=", "A+B/C=", "", "other"])
def test_name_of_a_key_is_compared_as_it_is(kid: str) -> None:
    """Azure's are base64: another spelling of the same bytes is another name."""
    assert _refused(replace(GOOD, header={"kid": kid})) == "kid"


def test_name_that_two_keys_have_is_refused() -> None:
    """Which of them signed would be the reader's choice."""
    assert _refused(replace(GOOD, keys=[jwk(RSA_KEY), jwk(OTHER_KEY)])) == "kid"


def test_token_without_a_keys_name_needs_a_set_of_one() -> None:
    """Trying keys one after another is guessing."""
    nameless = replace(GOOD, header={"kid": ...}, keys=[jwk(RSA_KEY, kid=...)])

    assert _judge(nameless).vendor["kid"] is None
    assert _refused(replace(nameless, keys=[jwk(RSA_KEY), jwk(OTHER_KEY, kid="other")])) == "kid"


@pytest.mark.parametrize(
    ("token", "step"),
    [
        (replace(GOOD, key=OTHER_KEY), "signature"),
        (replace(GOOD, keys=[jwk(OTHER_KEY)]), "signature"),
        (replace(GOOD, keys=[jwk(P256_KEY, alg=...)]), "key kind"),
        (replace(GOOD, algorithm="ES256", key=P256_KEY), "key kind"),
        (replace(GOOD, algorithm="ES256", key=P384_KEY, keys=[jwk(P384_KEY, alg=...)]), "key kind"),
        (replace(GOOD, algorithm="ES384", key=P256_KEY, keys=[jwk(P256_KEY, alg=...)]), "key kind"),
        (replace(GOOD, keys=[jwk(RSA_KEY, alg="RS512")]), "key algorithm"),
        (replace(GOOD, keys=[jwk(RSA_KEY, use="enc")]), "kid"),
        (replace(GOOD, key=SHORT_KEY, keys=[jwk(SHORT_KEY)]), "kid"),
        (replace(GOOD, keys=[{"kty": "oct", "k": "AAAA", "kid": "a+b/c="}]), "kid"),
        (replace(GOOD, keys=[jwk(P256_KEY, crv="secp256k1")]), "kid"),
        (replace(GOOD, key=b""), "signature"),
        (replace(GOOD, key=bytes(256)), "signature"),
    ],
    ids=[
        "another key", "another set", "curve for RSA", "RSA for a curve", "P-384 for ES256", "P-256 for ES384",
        "key of another algorithm", "key that encrypts", "short key", "secret", "another curve", "none", "zeros",
    ],
)  # fmt: skip
def test_signature_has_to_be_that_of_the_named_key_for_that_algorithm(token: Token, step: str) -> None:
    """Kind of key, its use, its size, its algorithm, and what it signed."""
    assert _refused(token) == step


@pytest.mark.parametrize(
    "keys",
    [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff", b'{"keys":[{"kty":"RSA"'],
)
def test_key_set_of_another_shape_is_unreadable(keys: bytes) -> None:
    """No key is guessed at."""
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(
            msgspec.structs.replace(evidence(GOOD), endorsements={"jwks.json": keys or b" "}), at=NOON, checks=checks
        )
    assert (refused.value.code, refused.value.step) == ("unreadable", "jwks.json")


@pytest.mark.parametrize(
    "turned",
    [
        {"n": "!"},
        {"e": "AA"},
        {"kid": 1},
        {"alg": 1},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"n": ..., "x5c": ["AAAA"]},
    ],
    ids=str,
)
def test_key_that_does_not_parse_is_unreadable(turned: dict[str, object]) -> None:
    """A number that is none, a point that is none, a certificate that is none."""
    assert _refused(replace(GOOD, keys=[jwk(RSA_KEY, **turned)]), code="unreadable") == "jwks.json"


def test_missing_key_set_is_unreadable() -> None:
    """The issuer's address in the token is no place to look for one."""
    checks = Checks()
    with pytest.raises(EvidenceError) as refused:
        authenticate(msgspec.structs.replace(evidence(GOOD), endorsements={}), at=NOON, checks=checks)
    assert (refused.value.code, refused.value.step) == ("unreadable", "jwks.json")


@pytest.mark.parametrize(
    "report",
    [b"a.b", b"a.b.c.d", b"..", b"\xff.a.b", b"e30=.e30.", b"W10.e30.AA", b"!!!!.e30.AA", b"e30.e30\n.AA!"],
    ids=repr,
)
def test_token_of_another_shape_is_refused(report: bytes) -> None:
    """Two parts, four, no text, no base64, no object."""
    with pytest.raises(EvidenceError):
        authenticate(msgspec.structs.replace(evidence(GOOD), report=report), at=NOON, checks=Checks())


def test_line_end_behind_a_token_is_let_be() -> None:
    """Editors write one."""
    made = msgspec.structs.replace(evidence(GOOD), report=encoded(GOOD) + b"\r\n")

    assert authenticate(made, at=NOON, checks=Checks()) == _judge(GOOD)


@pytest.mark.parametrize("typ", ["JWT", "EAT+JWT", ...], ids=str)
def test_type_of_a_token_is_not_what_tells_kinds_apart(typ: object) -> None:
    """Issuers write several."""
    assert _judge(replace(GOOD, header={"typ": typ})).vendor["kind"] == "confidential-space"


@pytest.mark.parametrize("header", [{"kid": 1}, {"typ": 1}, {"kid": ["a+b/c="]}], ids=str)
def test_header_of_other_types_is_unreadable(header: dict[str, object]) -> None:
    """Names are texts."""
    assert _refused(replace(GOOD, header=header), code="unreadable") == "token"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b'{"iss":"a","iss":"b"}',
        b'{"iss":NaN}',
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":"\xff"}',
    ],
    ids=["empty", "list", "number", "twice", "NaN", "deep", "deeper", "deepest", "not UTF-8"],
)
def test_payload_of_another_shape_is_unreadable(payload: bytes) -> None:
    """Readers would differ on it, though its issuer signed it."""
    token = replace(GOOD, payload=payload)
    if len(payload) > 60_000:  # larger than evidence may be, so the parser is asked alone
        token = replace(GOOD, payload=payload[:40_000])

    assert _refused(token, code="unreadable") == "payload"


@pytest.mark.parametrize("issuer", [..., "", 1, ["a"]], ids=str)
def test_token_without_an_issuer_is_refused(issuer: object) -> None:
    """A policy names one."""
    assert _refused(replace(GOOD, payload=_with(GOOGLE, iss=issuer))) == "iss"


@pytest.mark.parametrize(
    ("turned", "step"),
    [
        ({"exp": NOW}, "exp"),
        ({"exp": NOW - 1}, "exp"),
        ({"exp": ...}, "exp"),
        ({"iat": ...}, "iat"),
        ({"iat": NOW + 1}, "iat"),
        ({"nbf": NOW + 1}, "nbf"),
    ],
    ids=str,
)
def test_token_has_to_be_in_force_at_the_time(turned: dict[str, object], step: str) -> None:
    """As of the time that is given; one that never ends would be accepted for ever."""
    assert _refused(replace(GOOD, payload=_with(GOOGLE, **turned))) == step


def test_bounds_of_validity_are_exact() -> None:
    """From "not before" on, and up to "expires", which is no longer in it."""
    payload = _with(GOOGLE, iat=NOW, nbf=NOW, exp=NOW + 10)

    assert _judge(replace(GOOD, payload=payload)).evidence_time == NOON
    assert _judge(replace(GOOD, payload=payload), NOON + timedelta(seconds=9)).evidence_time == NOON
    assert _refused(replace(GOOD, payload=payload), at=NOON + timedelta(seconds=10)) == "exp"
    assert _refused(replace(GOOD, payload=payload), at=NOON - timedelta(seconds=1)) == "nbf"


def test_not_before_may_be_left_out() -> None:
    """Attestation results have none; when they were issued stands for it."""
    assert _judge(replace(GOOD, payload=_with(EAR, nbf=...))).vendor["kind"] == "ear"


@pytest.mark.parametrize("value", ["1", True, 1.5, -1, 1 << 60], ids=str)
@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
def test_time_of_another_shape_is_unreadable(name: str, value: object) -> None:
    """Texts, truth values, fractions, before 1970, after 9999."""
    assert _refused(replace(GOOD, payload=_with(GOOGLE, **{name: value})), code="unreadable") == name


def test_kind_that_is_not_known_is_unsupported() -> None:
    """A token for signing in is signed just as well."""
    payload = {name: GOOGLE[name] for name in ("iss", "aud", "iat", "nbf", "exp", "sub")}

    assert _refused(replace(GOOD, payload=payload), code="unsupported") == "kind"


def test_own_time_of_a_token_is_when_it_was_issued() -> None:
    """For archives, which are verified as of then."""
    assert evidence_time(evidence(GOOD)) == NOON - timedelta(seconds=60)
    with pytest.raises(ConfigurationError):
        evidence_time(evidence(replace(GOOD, payload=_with(GOOGLE, iat=...))))


@pytest.mark.parametrize(
    ("payload", "nonces"),
    [
        (AZURE, (b"our nonce", base64.b64encode(b"our nonce"))),
        (_with(AZURE, **{"x-ms-runtime": {"client-payload": {"nonce": "no base64"}}}), (b"no base64",)),
        (FLAT, ()),
        (_with(FLAT, nonce="plain text"), (b"plain text",)),
        (GOOGLE, (b"our nonce, long enough",)),
        (_with(GOOGLE, eat_nonce=["one", "two"]), (b"one", b"two")),
        (_with(GOOGLE, eat_nonce=""), ()),
        (_with(EAR, eat_nonce=...), ()),
    ],
    ids=["azure", "azure, plain", "flat", "flat, plain", "google", "two", "empty", "none"],
)
def test_nonce_is_where_each_issuer_puts_it(payload: dict[str, Any], nonces: tuple[bytes, ...]) -> None:
    """And a second one is no binding: it may be anybody's."""
    claims = _judge(replace(GOOD, payload=payload))

    assert claims.nonces == nonces
    assert claims.bound_data == (nonces[0] if nonces and b"two" not in nonces else b"")


@pytest.mark.parametrize(
    "payload",
    [
        _with(AZURE, **{"x-ms-isolation-tee": ...}),
        _with(AZURE, **{"x-ms-isolation-tee": {"x-ms-attestation-type": "sevsnpvm"}}),
        _with(FLAT, **{"x-ms-compliance-status": "azure-signed-uvm"}),
        _with(GOOGLE, hwmodel="GCP_AMD_SEV"),
        _with(GOOGLE, hwmodel="GCP_SHIELDED_VM"),
        _with(GOOGLE, hwmodel=...),
        _with(EAR, submods={}),
        _with(EAR, submods={"A": {"ear.status": "affirming"}}),
        _with(EAR, submods=EAR["submods"] | {"B": {"ear.trustworthiness-vector": {"runtime-opaque": 32}}}),
    ],
    ids=[
        "trusted launch", "not compliant", "other compliance", "SEV", "shielded", "no hardware", "no parts",
        "no vector", "one part that is open",
    ],
)  # fmt: skip
def test_machine_whose_host_may_look_in_is_not_confidential(payload: dict[str, Any]) -> None:
    """What the issuer does not state, is not assumed."""
    assert not _judge(replace(GOOD, payload=payload)).confidential


@pytest.mark.parametrize(
    ("payload", "debug"),
    [
        (_with(GOOGLE, dbgstat="enabled"), True),
        (_with(GOOGLE, dbgstat="disabled"), True),
        (_with(GOOGLE, dbgstat="disabled-permanently"), False),
        (_with(GOOGLE, dbgstat=...), None),
        (_with(FLAT, **{"x-ms-sevsnpvm-is-debuggable": True}), True),
        (_with(FLAT, **{"x-ms-sevsnpvm-is-debuggable": "false"}), None),
        (EAR, None),
    ],
    ids=["enabled", "disabled now", "for good", "not stated", "azure", "a text", "ear"],
)
def test_debug_is_what_the_issuer_says_and_nothing_else(payload: dict[str, Any], debug: bool | None) -> None:  # noqa: FBT001 - a parameter of the table
    """Disabled by now is not disabled since boot; not stated is neither."""
    assert _judge(replace(GOOD, payload=payload)).debug is debug


def test_no_flipped_character_yields_other_claims() -> None:
    """Whatever character of the token is turned, it is refused or says the same."""
    made, wanted = evidence(GOOD), _judge(GOOD)
    for offset in range(0, len(made.report), 3):
        report = bytearray(made.report)
        report[offset] ^= 1 << offset // 3 % 7
        try:
            claims = authenticate(msgspec.structs.replace(made, report=bytes(report)), at=NOON, checks=Checks())
        except EvidenceError:
            continue
        assert claims == wanted


@given(report=st.binary(min_size=1, max_size=200), keys=st.binary(min_size=1, max_size=200))
@settings(deadline=None)
def test_no_input_escapes_as_another_exception(report: bytes, keys: bytes) -> None:
    """Whatever arrives, only errors of ours leave."""
    for made in (
        msgspec.structs.replace(evidence(GOOD), report=report),
        msgspec.structs.replace(evidence(GOOD), endorsements={"jwks.json": keys}),
    ):
        with pytest.raises(EvidenceError):
            authenticate(made, at=NOON, checks=Checks())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(base=st.sampled_from([AZURE, FLAT, GOOGLE, EAR]), data=st.data(), value=_json)
@settings(deadline=None, max_examples=200)
def test_no_payload_escapes_as_another_exception(base: dict[str, Any], data: st.DataObject, value: object) -> None:
    """Even an issuer who writes anything in any place."""
    payload = base | {data.draw(st.sampled_from(sorted(base))): value}
    try:
        claims = _judge(replace(GOOD, payload=payload))
    except EvidenceError:
        return
    json.dumps(claims.to_json())


@given(members=st.dictionaries(st.sampled_from(["kty", "n", "e", "kid", "alg", "use", "x5c", "crv", "x", "y"]), _json))
@settings(deadline=None)
def test_no_key_escapes_as_another_exception(members: dict[str, object]) -> None:
    """Numbers, certificates and points of all kinds."""
    for base in (jwk(RSA_KEY), jwk(P256_KEY), {}):
        try:
            _judge(replace(GOOD, keys=[{**base, **members}]))
        except EvidenceError:
            continue
