"""How found and wanted values are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from enclaved.verifier.moment import Mode
from enclaved.verifier.shown import as_json, as_text
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("", "nothing"),
        (b"", "nothing"),
        ([], "nothing"),
        (True, "true"),
        (7, "7"),
        (b"\x00\xff", "00ff"),
        (datetime(2026, 11, 21, 12, tzinfo=UTC), "2026-11-21T12:00:00Z"),
        (timedelta(minutes=2), "120s"),
        (Mode.NOW, "now"),
        (frozenset({"b", "a"}), "a, b"),
        ((b"\x01", 2), "01, 2"),
        ({"a": 1, "b": [True]}, "a=1, b=true"),
        ("clear\x1b[2J\nscreen", "clear\\x1b[2J\\nscreen"),
        (1.5, "1.5"),
    ],
    ids=str,
)
def test_value_is_one_line_of_text(value: object, text: str) -> None:
    """What a stranger wrote must not move a terminal's cursor."""
    assert as_text(value) == text


def test_long_value_is_cut() -> None:
    """A table in a terminal has no room for a megabyte."""
    assert len(as_text("x" * 10_000)) == 513


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_every_claim_can_be_shown(value: object) -> None:
    """As JSON for machines, and as a printable line for people."""
    json.dumps(as_json(value))
    assert as_text(value).isprintable()
