"""Drafts of policies, and what a person is warned of."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import timedelta

import pytest
from enclaved.errors import AppraisalError
from enclaved.verifier import policy_warnings as warnings_module
from enclaved.verifier.attestation import check_function, verify_attestation
from enclaved.verifier.policy import Freshness
from enclaved.verifier.policy_document import parse_policy
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.policy_warnings import policy_warnings
from enclaved.verifier.rule import Waiver
from enclaved.verifier.simulated.format import SIMULATED
from enclaved.verifier.value_types import (
    duration,
    fingerprints,
    flag,
    function_digests,
    hex_values,
    integer,
    integers,
    ordered_words,
    table,
    toml_key,
    toml_string,
    word,
    words,
)
from hypothesis import given
from hypothesis import strategies as st
from simulation import DIGEST, NONCE, NOON, make_attestation, make_device, make_policy, policy_document

POLICY = make_policy()
STRICT = Freshness(challenge=True, max_age=timedelta(hours=1))


def _draft(encoded: bytes, freshness: Freshness = STRICT) -> str:
    verified = verify_attestation(encoded, POLICY, at=NOON, nonce=NONCE)
    return draft_policy(verified.bundle, verified.claims, freshness=freshness)


def test_draft_accepts_what_it_was_drafted_from() -> None:
    """Attestation and function alike."""
    policy = make_policy(_draft(make_attestation()))
    verified = verify_attestation(make_attestation(), policy, at=NOON, nonce=NONCE)

    assert check_function(verified, policy, "redact").digest == DIGEST


def test_draft_accepts_nothing_else() -> None:
    """Every claim that a rule is about is pinned."""
    policy = make_policy(_draft(make_attestation()))

    with pytest.raises(AppraisalError) as refused:
        verify_attestation(make_attestation(device=make_device(measurement=bytes(48))), policy, at=NOON, nonce=NONCE)

    assert refused.value.claim == "measurement"


def test_draft_says_what_it_is_and_what_it_is_about() -> None:
    """A person is to review it: it names the simulation, and explains each rule."""
    text = _draft(make_attestation())

    assert "Review it" in text
    assert "SIMULATED" in text
    assert all(rule.doc in text for rule in SIMULATED.rules)


@pytest.mark.parametrize(
    "freshness", [Freshness(challenge=False, max_age=Waiver.ANY), Freshness(challenge=True, max_age=timedelta(days=7))]
)
def test_draft_holds_the_freshness_that_was_asked_for(freshness: Freshness) -> None:
    """The relying party's own choice, not the evidence's."""
    assert make_policy(_draft(make_attestation(), freshness)).freshness == freshness


def test_strict_policy_has_no_warning_but_those_of_its_kind() -> None:
    """The simulation is said at each look."""
    assert [warning.split(":")[0] for warning in policy_warnings(POLICY)] == [
        "formats.simulated",
    ]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("challenge = true", "challenge = false", "freshness.challenge"),
        ('max_age = "1h"', 'max_age = "any"', "freshness.max_age"),
        (f'["{DIGEST}"]', '"any"', "functions.redact.digest"),
        ("root =", "# root =", "formats.simulated.root"),
    ],
)
def test_weakness_is_warned_of(old: str, new: str, where: str) -> None:
    """Nothing that weakens a policy is silent."""
    assert old in policy_document()
    warnings = policy_warnings(make_policy(policy_document().replace(old, new)))

    assert any(warning.startswith(f"{where}:") for warning in warnings)


def test_policy_that_accepts_nothing_is_warned_of() -> None:
    """It is safe, and hardly meant."""
    empty = parse_policy(b'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n', where="policy.toml")

    assert [warning.split(":")[0] for warning in policy_warnings(empty)] == ["functions", "formats"]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (hex_values(2, 3), ["00ff", "010203"]),
        (fingerprints(), "sha256:" + "ab" * 32),
        (fingerprints(), ["sha256:" + "ab" * 32, "sha256:" + "cd" * 32]),
        (function_digests(), [DIGEST]),
        (duration(), "90s"),
        (duration(), "2d"),
        (words("a", "b"), ["b"]),
        (words(), ['with "quotes" and \\ and \n']),
        (ordered_words("a", "b"), ["b", "a"]),
        (word("a"), "a"),
        (flag(), True),
        (integer(least=-1, most=5), 5),
        (integers(), [0, 7]),
        (table(table(integer(), keys=("snp", "tee")), keys=("milan",)), {"milan": {"snp": 8}}),
        (table(hex_values(2)), {"0": ["0000"], "a b": ["ffff"]}),
    ],
    ids=str,
)
def test_value_survives_being_written_and_read(kind: object, written: object) -> None:
    """Drafts write what the parser reads."""
    value = kind.parse(written)  # type: ignore[attr-defined]
    document = f"key = {kind.write(value)}"  # type: ignore[attr-defined]

    assert kind.parse(tomllib.loads(document)["key"]) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (hex_values(2), [1]),
        (hex_values(2), ["0x00"]),
        (word("a"), "b"),
        (word(), ""),
        (words("a"), "a"),
        (flag(), "true"),
        (integer(most=5), 6),
        (integer(), -1),
        (integer(), True),
        (table(integer()), {}),
        (table(integer()), 1),
        (table(integer(), keys=("a",)), {"b": 1}),
        (table(integer()), {"a": "1"}),
    ],
    ids=str,
)
def test_value_of_another_kind_is_an_error(kind: object, written: object) -> None:
    """What is wanted is said; what is there is not guessed at."""
    with pytest.raises(ValueError, match=r"wanted|none of"):
        kind.parse(written)  # type: ignore[attr-defined]


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_can_be_written_as_toml(text: str) -> None:
    """As a key and as a value."""
    assert tomllib.loads(f"{toml_key(text)} = {toml_string(text)}") == {text: text}


def test_rule_that_waives_code_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """On hardware, some waivers let the operator choose what runs."""
    rules = tuple(replace(rule, unmeasured_if_any=True) if rule.may_be_any else rule for rule in SIMULATED.rules)
    monkeypatch.setattr(warnings_module, "find_format", lambda _: replace(SIMULATED, rules=rules, simulated=False))
    section = replace(POLICY.formats["simulated"], values={"root": frozenset({"x"}), "measurement": Waiver.ANY})

    warnings = policy_warnings(replace(POLICY, formats={"simulated": section}))

    assert any("measurement" in warning and "unmeasured" in warning for warning in warnings)
