"""The appraisal policy: what a relying party accepts (RFC 9334, section 8.5).

Everything is closed: a format without a section is refused, a function that is
not listed is refused, a rule that is required and not written refuses, and there
is no list that may be empty. A policy is a frozen value; `policy_document` reads
one from TOML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from enclaved.verifier.rule import Waiver

__all__ = ["FormatSection", "Freshness", "FunctionRule", "Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How fresh an attestation has to be.

    Attributes:
        challenge: does its evidence have to answer a nonce of the relying party's own, the only
            proof of freshness.
        max_age: the greatest age of the key bundle by the relying party's clock, or the waiver.
    """

    challenge: bool
    max_age: timedelta | Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRule:
    """What a function has to be for data to be sealed to it.

    Attributes:
        digest: the digests (``h1:…``) that its folder may have, or the waiver.
        isolation: the levels of isolation that it may run at.
    """

    digest: frozenset[str] | Waiver
    isolation: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSection:
    """What a policy says about one evidence format.

    Attributes:
        format: the format's name.
        values: the rules that are written, by key: the value of the rule's type, or the waiver.
    """

    format: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a relying party accepts.

    Attributes:
        version: 1.
        namespace: the namespace whose runtimes are meant.
        suites: the HPKE suites that data may be sealed with, in order of preference.
        freshness: how fresh an attestation has to be.
        functions: the functions that may be called, by name.
        formats: the evidence formats that are accepted, by name.
    """

    version: int
    namespace: str
    suites: tuple[str, ...]
    freshness: Freshness
    functions: Mapping[str, FunctionRule]
    formats: Mapping[str, FormatSection]
