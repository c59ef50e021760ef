"""The README is the specification: its tables and its example are held against the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import enclaved.wire
from enclaved.wire import limits, receipt, topics
from enclaved.wire.hint import HintCode
from enclaved.wire.result import CODES
from wire_values import VECTORS

FOLDER = Path(enclaved.wire.__file__).parent
README = (FOLDER / "README.md").read_text()


def section(title: str) -> str:
    """Return the text of one section."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows, bare of marks."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_limit_stands_in_the_table_with_its_value() -> None:
    """And no other does."""
    table = {row[0]: int(row[1]) for row in rows(section("2 Limits"))[1:]}

    assert table == {name: getattr(limits, name) for name in limits.__all__}


def test_every_label_stands_in_the_table() -> None:
    """A new hash, signature or key derivation brings its label, and no label has two uses."""
    used = [label for path in FOLDER.glob("*.py") for label in re.findall(r'b"(enclaved/1 [a-z ]+)"', path.read_text())]
    table = [row[0] for row in rows(section("3 Labels"))[1:]]
    in_docstrings = ["enclaved/1 key bundle"]  # lp.py shows one

    assert sorted(used) == sorted(table + in_docstrings)
    assert len(set(table)) == len(table)


def test_every_code_stands_in_the_table_under_its_status() -> None:
    """And no other does."""
    table = {(row[0], row[1]) for row in rows(section("11 Codes"))[1:]}

    assert table == {(status, code) for status, codes in CODES.items() for code in codes}


def test_every_claim_stands_in_the_table_under_its_key() -> None:
    """And no other does."""
    table = {int(row[0]): re.split(r"[` ]", row[1])[0] for row in rows(section("13 Receipt"))[1:]}

    assert table == {key: name for name, key in receipt._KEYS.items()}
    assert receipt.PROFILE in section("13 Receipt")


def test_every_hint_stands_in_the_section() -> None:
    """By its word."""
    for code in HintCode.__args__:
        assert f"`{code}`" in section("12 Hint")


def test_every_topic_stands_in_the_table() -> None:
    """With its levels."""
    names = ("<namespace>", "<runtime_id>", "<function>")
    text = section("4 Topics and names")
    for topic in (
        topics.attestation_topic(*names[:2]),
        topics.challenge_topic(*names[:2]),
        topics.invoke_topic(*names),
        topics.dead_topic(*names),
        topics.reply_prefix(names[0]),
        topics.attestation_filter(names[0]),
    ):
        assert topic in text


def test_every_byte_of_the_example_is_a_test_vectors() -> None:
    """So the example cannot rot."""
    vectors = " ".join(json.dumps(json.loads(path.read_text())) for path in VECTORS.glob("*.json"))
    shown = re.findall(r"\b[0-9a-f]{16,}\b", section("19 A worked example"))

    assert len(shown) >= 12
    for hexadecimal in shown:
        assert hexadecimal in vectors


def test_every_section_that_is_linked_is_there() -> None:
    """The contents lead somewhere."""
    for number, title in re.findall(r"\[(\d+) ([^\]]+)\]\(#", README):
        assert f"\n## {number} {title}\n" in README
