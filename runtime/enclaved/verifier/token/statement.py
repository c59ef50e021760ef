"""What a token states, in words that the issuers' kinds of tokens share.

Each kind writes the same things under other names, or does not write them. What
is None here was not stated, and a rule that asks for it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.verifier.claims import ClaimValue

__all__ = ["Kind", "Statement", "flag", "hex_bytes", "part", "text", "texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a token states.

    Attributes:
        nonces: what the relying party's nonce may be held in.
        confidential: does it show that the host cannot read what is computed.
        hardware: what kind of machine, in the issuer's words.
        debug: can the host or an operator look in.
        os_debug: is the operating system being debugged; False where the kind has no such claim.
        measurement: the digest of what runs.
        tcb_status: the platform's status.
        secure_boot: was only signed software booted.
        compliance_status: Azure's word on the whole.
        policy_hash: the policy that Azure applied, as text.
        host_data: 32 bytes that were given at launch.
        software: Google's name of the image's kind.
        support_attributes: Google's words on the image's support.
        appraisal: an EAR's status of each part that was appraised.
    """

    nonces: tuple[bytes, ...] = ()
    confidential: bool = False
    hardware: str | None = None
    debug: bool | None = None
    os_debug: bool = False
    measurement: bytes | None = None
    tcb_status: str | None = None
    secure_boot: bool | None = None
    compliance_status: str | None = None
    policy_hash: str | None = None
    host_data: bytes | None = None
    software: str | None = None
    support_attributes: tuple[str, ...] = ()
    appraisal: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One issuer's kind of token.

    Attributes:
        name: its name.
        statement: what it states.
    """

    name: str
    statement: Statement


def text(claims: Mapping[str, ClaimValue], name: str) -> str | None:
    """Return a claim that is a text, or None."""
    value = claims.get(name)
    return value if isinstance(value, str) else None


def texts(claims: Mapping[str, ClaimValue], name: str) -> tuple[str, ...]:
    """Return a claim that is a text or a list of texts, as a list; other elements are left out."""
    value = claims.get(name)
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()


def flag(claims: Mapping[str, ClaimValue], name: str) -> bool | None:
    """Return a claim that is true or false, or None."""
    value = claims.get(name)
    return value if isinstance(value, bool) else None


def part(claims: Mapping[str, ClaimValue], name: str) -> Mapping[str, ClaimValue]:
    """Return a claim that is an object; an empty one where it is not there."""
    value = claims.get(name)
    return value if isinstance(value, Mapping) else {}


def hex_bytes(value: str | None) -> bytes | None:
    """Return what a text of hex digits stands for, or None."""
    try:
        return bytes.fromhex(value) if value else None
    except ValueError:
        return None
