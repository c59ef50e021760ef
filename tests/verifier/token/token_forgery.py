"""Issuers of our own, which sign for real whatever a test turns."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from enclaved.wire.attestation import Evidence
from simulation import NOON

__all__ = ["AZURE", "EAR", "FLAT", "GOOGLE", "Token", "encoded", "evidence", "jwk"]

NOW = int(NOON.timestamp())
RSA_KEY, OTHER_KEY, SHORT_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=size) for size in (2048, 2048, 1024)
)
P256_KEY, P384_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
_TIMES = {"iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3600}
_SNP = {
    "x-ms-attestation-type": "sevsnpvm",
    "x-ms-compliance-status": "azure-compliant-cvm",
    "x-ms-sevsnpvm-is-debuggable": False,
    "x-ms-sevsnpvm-launchmeasurement": "01" * 48,
    "x-ms-sevsnpvm-hostdata": "02" * 32,
}
AZURE: dict[str, Any] = {
    "iss": "https://issuer.attest.azure.net",
    **_TIMES,
    "secureboot": True,
    "x-ms-attestation-type": "azurevm",
    "x-ms-isolation-tee": _SNP,
    "x-ms-policy-hash": "policy",
    "x-ms-azurevm-bootdebug-enabled": False,
    "x-ms-runtime": {"client-payload": {"nonce": base64.b64encode(b"our nonce").decode()}},
}
FLAT: dict[str, Any] = {"iss": "https://issuer.attest.azure.net", **_TIMES, **_SNP}
GOOGLE: dict[str, Any] = {
    "iss": "https://confidentialcomputing.googleapis.com",
    "aud": "https://relying.example",
    "sub": "https://compute.example/instances/1",
    **_TIMES,
    "eat_nonce": ["our nonce, long enough"],
    "eat_profile": "https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims",
    "secboot": True,
    "hwmodel": "GCP_INTEL_TDX",
    "swname": "CONFIDENTIAL_SPACE",
    "dbgstat": "disabled-since-boot",
    "submods": {
        "container": {"image_digest": "sha256:" + "03" * 32},
        "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
    },
    "tdx": {"gcp_attester_tcb_status": "UpToDate"},
}
EAR: dict[str, Any] = {
    "iss": "https://verifier.example",
    **_TIMES,
    "eat_profile": "tag:github.com,2023:veraison/ear",
    "eat_nonce": "our nonce, long enough",
    "ear.verifier-id": {"build": "1", "developer": "somebody"},
    "submods": {
        "PLATFORM": {"ear.status": "affirming", "ear.trustworthiness-vector": {"runtime-opaque": 2}},
        "WORKLOAD": {"ear.status": 2, "ear.trustworthiness-vector": {"runtime-opaque": 2}},
    },
}


@dataclass(frozen=True, kw_only=True)
class Token:
    """All that goes into a token and the key set beside it; the defaults make good ones."""

    payload: Mapping[str, Any] | bytes = field(default_factory=lambda: GOOGLE)
    header: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    key: Any = RSA_KEY
    keys: Any = field(default_factory=lambda: [jwk(RSA_KEY)])


def evidence(token: Token) -> Evidence:
    """Return evidence as described."""
    keys = token.keys if isinstance(token.keys, bytes) else json.dumps({"keys": token.keys}).encode()
    return Evidence(format="token", report=encoded(token), endorsements={"jwks.json": keys})


def encoded(token: Token) -> bytes:
    """Return a token as described; names whose value is ``...`` are left out."""
    header = {"alg": token.algorithm, "typ": "JWT", "kid": "a+b/c="} | dict(token.header)
    payload = token.payload if isinstance(token.payload, bytes) else _json(token.payload)
    signed = to_base64(_json(header)) + b"." + to_base64(payload)
    return signed + b"." + to_base64(_sign(token.key, signed))


def jwk(key: Any, **turned: object) -> dict[str, Any]:  # noqa: ANN401 - a key of any kind
    """Return a public key as sets hold it, with members turned; ``...`` leaves one out."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        members: dict[str, Any] = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e), "alg": "RS256"}
    else:
        size = (key.key_size + 7) // 8
        curve = f"P-{key.key_size}"
        x, y = _number(numbers.x, size), _number(numbers.y, size)
        members = {"kty": "EC", "crv": curve, "x": x, "y": y, "alg": f"ES{key.key_size}"}
    members |= {"kid": "a+b/c=", "use": "sig"}
    return {name: value for name, value in (members | turned).items() if value is not ...}


def to_base64(data: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps({name: item for name, item in value.items() if item is not ...}).encode()


def _number(value: int, size: int = 0) -> str:
    return to_base64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big")).decode()


def _sign(key: object, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest = hashes.SHA256() if key.key_size == 256 else hashes.SHA384()
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key if isinstance(key, bytes) else b""
