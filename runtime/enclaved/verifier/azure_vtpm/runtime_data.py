"""The runtime data of an HCL report: the virtual TPM's keys, and how the machine is set up.

The hardware signed a hash of these very bytes, so they are hashed before they are
parsed, and nothing is ever encoded anew. A key that stands twice would let two
readers see two attestation keys: it is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.key import AttestationKey, check_kind

__all__ = ["RuntimeData", "check_bound", "read_runtime_data"]

_KEY = "HCLAkPub"
_WHERE = "runtime data"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){1,64}\Z")
_REPORT_DATA = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """What the paravisor says.

    Attributes:
        key: the virtual TPM's attestation key (``HCLAkPub``).
        configuration: how the machine is set up (``vm-configuration``).
        user_data: what the guest gave when it last had the report made; empty where it cannot.
    """

    key: AttestationKey
    configuration: Mapping[str, bool | int | str]
    user_data: bytes


def check_bound(runtime_data: bytes, report_data: bytes, checks: Checks) -> None:
    """Check that the hardware's report carries the hash of the runtime data, and nothing else.

    Args:
        runtime_data: the JSON, as it was stored.
        report_data: the report's 64 bytes.
        checks: the record.

    Raises:
        EvidenceError: it carries something else.
    """
    wanted = hashlib.sha256(runtime_data).digest().ljust(_REPORT_DATA, b"\0")
    checks.equal("runtime data's hash", found=report_data, wanted=wanted)


def read_runtime_data(data: bytes, checks: Checks) -> RuntimeData:
    """Return what the JSON holds.

    Args:
        data: the bytes, already found to be those that the hardware vouches for.
        checks: the record.

    Raises:
        EvidenceError: it does not hold exactly one attestation key (``"unreadable"``), or one of an
            unknown kind (``"unsupported"``).
    """
    try:
        document = json.loads(data, object_pairs_hook=_without_repeats)
        keys = [key for key in document["keys"] if key["kid"] == _KEY]
        (key,) = keys
        public_key = _public_key(key)
        configuration = _configuration(document.get("vm-configuration", {}))
        user_data = _user_data(document.get("user-data"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise checks.unreadable(_WHERE, found="something else", wanted=f"JSON with one {_KEY}") from error
    return RuntimeData(
        key=check_kind(public_key, f"{_WHERE}: {_KEY}", checks), configuration=configuration, user_data=user_data
    )


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name that stands twice")
    return table


def _public_key(key: Mapping[str, str]) -> rsa.RSAPublicKey:
    """Return an RSA key of a JSON Web Key (RFC 7518, section 6.3.1)."""
    if key["kty"] != "RSA":
        raise ValueError("another kind of key")
    return rsa.RSAPublicNumbers(e=_integer(key["e"]), n=_integer(key["n"])).public_key()


def _integer(text: str) -> int:
    if not _BASE64URL.match(text):
        raise ValueError("not base64url")
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _configuration(table: Mapping[str, object]) -> Mapping[str, bool | int | str]:
    configuration: dict[str, bool | int | str] = {}
    for name, value in table.items():
        if not isinstance(value, bool | int | str):
            raise TypeError("a setting that is neither a flag, a number nor a text")
        configuration[name] = value
    return configuration


def _user_data(text: str | None) -> bytes:
    if text is None:
        return b""
    if not _HEX.match(text):
        raise ValueError("user data that are not hex")
    return bytes.fromhex(text)
