"""Policy documents: what is not exactly a policy is an error that says where and what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from enclaved.errors import ConfigurationError
from enclaved.verifier.policy_document import MAX_POLICY, parse_policy, read_policy
from enclaved.verifier.rule import Waiver
from hypothesis import given
from hypothesis import strategies as st
from simulation import DIGEST, MEASUREMENT, make_policy, policy_document


def _turned(old: str, new: str) -> str:
    document = policy_document()
    assert old in document
    return document.replace(old, new)


def test_document_becomes_a_policy() -> None:
    """Every key arrives where it belongs."""
    policy = make_policy()

    assert policy.namespace == "demo"
    assert policy.suites == ("mlkem768-x25519", "x25519")
    assert policy.freshness.challenge
    assert policy.freshness.max_age == timedelta(hours=1)
    assert policy.functions["redact"].digest == {DIGEST}
    assert policy.functions["redact"].isolation == {"restricted"}
    assert policy.formats["simulated"].values["measurement"] == {MEASUREMENT}


def test_freshness_that_is_not_written_is_strict() -> None:
    """A forgotten section does not open the door."""
    policy = make_policy(_turned('[freshness]\nchallenge = true\nmax_age = "1h"\n', ""))

    assert policy.freshness.challenge
    assert policy.freshness.max_age == timedelta(hours=1)


def test_waivers_are_written_by_name() -> None:
    """The word any, where the rule allows it, is a value of its own."""
    document = _turned('max_age = "1h"', 'max_age = "any"').replace(f'digest = ["{DIGEST}"]', 'digest = "any"')
    policy = make_policy(document)

    assert policy.freshness.max_age is Waiver.ANY
    assert policy.functions["redact"].digest is Waiver.ANY


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("version = 1\n", "", "version"),
        ("version = 1\n", "version = 2\n", "version"),
        ("version = 1\n", "version = true\n", "version"),
        ("version = 1\n", "version = 1\nverison = 1\n", "verison"),
        ('namespace = "demo"\n', "", "namespace"),
        ('namespace = "demo"', 'namespace = "Demo"', "namespace"),
        ('namespace = "demo"', "namespace = 1", "namespace"),
        ('suites = ["mlkem768-x25519", "x25519"]', "", "suites"),
        ('suites = ["mlkem768-x25519", "x25519"]', "suites = []", "suites"),
        ('suites = ["mlkem768-x25519", "x25519"]', 'suites = "any"', "suites"),
        ('suites = ["mlkem768-x25519", "x25519"]', 'suites = ["rot13"]', "suites"),
        ('suites = ["mlkem768-x25519", "x25519"]', 'suites = ["x25519", 1]', "suites"),
        ("challenge = true", "challenge = 1", "freshness.challenge"),
        ("challenge = true", 'challenge = "any"', "freshness.challenge"),
        ("challenge = true", "challenges = true", "freshness.challenges"),
        ('max_age = "1h"', 'max_age = "1 hour"', "freshness.max_age"),
        ('max_age = "1h"', 'max_age = "0h"', "freshness.max_age"),
        ('max_age = "1h"', "max_age = 3600", "freshness.max_age"),
        ("[functions.redact]", "[functions]\nother = 1\n[functions.redact]", "functions.other"),
        (f'digest = ["{DIGEST}"]', "", "functions.redact.digest"),
        (f'digest = ["{DIGEST}"]', "digest = []", "functions.redact.digest"),
        (f'digest = ["{DIGEST}"]', f'digest = "{DIGEST}"', "functions.redact.digest"),
        (f'digest = ["{DIGEST}"]', 'digest = ["h1:short"]', "functions.redact.digest"),
        ('isolation = ["restricted"]', "", "functions.redact.isolation"),
        ('isolation = ["restricted"]', "isolation = []", "functions.redact.isolation"),
        ('isolation = ["restricted"]', 'isolation = "any"', "functions.redact.isolation"),
        ('isolation = ["restricted"]', 'isolation = ["some"]', "functions.redact.isolation"),
        ('isolation = ["restricted"]', 'isolation = ["restricted"]\ncallers = []', "functions.redact.callers"),
        ("[formats.simulated]", "[formats.another]", "formats.another"),
        ('root = "sha256:', 'root = "sha512:', "formats.simulated.root"),
        ('root = "sha256:', 'root = "sha256:00', "formats.simulated.root"),
        ("measurement = [", "measurements = [", "formats.simulated.measurements"),
        (f'measurement = ["{MEASUREMENT.hex()}"]', "measurement = []", "formats.simulated.measurement"),
        (f'measurement = ["{MEASUREMENT.hex()}"]', 'measurement = ["00"]', "formats.simulated.measurement"),
        (f'measurement = ["{MEASUREMENT.hex()}"]', "measurement = 7", "formats.simulated.measurement"),
        (MEASUREMENT.hex(), MEASUREMENT.hex(" "), "formats.simulated.measurement"),
        ("[formats.simulated]", '[formats.simulated]\ndebug = "any"', "formats.simulated.debug"),
        ("[formats.simulated]", "[formats.simulated]\ndebug = 0", "formats.simulated.debug"),
    ],
)
def test_what_is_no_policy_is_an_error_that_names_the_key(old: str, new: str, where: str) -> None:
    """Unknown keys, missing keys, wrong types, empty lists, waivers that no rule allows."""
    with pytest.raises(ConfigurationError) as wrong:
        make_policy(_turned(old, new))

    assert wrong.value.where == f"policy.toml: {where}"
    assert wrong.value.remedy


def test_root_can_never_be_any() -> None:
    """Accepting every root would accept evidence of everybody's making."""
    start = policy_document().index("root = ")
    document = policy_document()[:start] + 'root = "any"\n'

    with pytest.raises(ConfigurationError) as wrong:
        make_policy(document)

    assert wrong.value.where.endswith("formats.simulated.root")
    assert "any" in wrong.value.problem


@pytest.mark.parametrize("section", ["functions", "formats", "freshness"])
def test_section_that_is_no_table_is_an_error(section: str) -> None:
    """A value under a section's name is not an empty section."""
    document = f'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n{section} = 1\n'

    with pytest.raises(ConfigurationError) as wrong:
        make_policy(document)

    assert wrong.value.where == f"policy.toml: {section}"


@pytest.mark.parametrize("document", [b"\xff", b"version = ", b"a = 1\na = 2\n", b"#" * (MAX_POLICY + 1)], ids=range(4))
def test_document_that_is_not_toml_is_an_error(document: bytes) -> None:
    """Not UTF-8, not TOML, a key twice, too large."""
    with pytest.raises(ConfigurationError):
        parse_policy(document, where="policy.toml")


@given(st.text(max_size=200))
def test_no_document_escapes_as_another_exception(text: str) -> None:
    """Whatever a person writes, the answer is an error of ours."""
    with pytest.raises(ConfigurationError):
        parse_policy(text.encode("utf-8", "surrogatepass"), where="policy.toml")


def test_policy_is_read_from_a_file(tmp_path: Path) -> None:
    """The file's path is what errors name."""
    path = tmp_path / "policy.toml"
    path.write_text(policy_document())

    assert read_policy(path) == make_policy()


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """Nothing stands in for a policy that is not there."""
    with pytest.raises(ConfigurationError) as wrong:
        read_policy(tmp_path / "policy.toml")

    assert "policy init" in wrong.value.remedy
