"""The README's closed tables are the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from enclaved import verifier
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_types import toml_string

README = Path(inspect.getfile(verifier)).with_name("README.md").read_text()


@pytest.mark.parametrize("name", FORMATS)
def test_table_of_a_format_holds_exactly_its_rules(name: str) -> None:
    """Who writes a policy reads the table, and not the code."""
    section = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^##|\Z)", README, re.DOTALL | re.MULTILINE)
    assert section is not None
    rows = [_cells(line) for line in section[1].splitlines() if line.startswith("| `")]

    for row, rule in zip(rows, FORMATS[name].rules, strict=True):
        yes_or_no = {True: "yes", False: "no"}
        key, default = f"`{rule.key}`", _default(rule)
        assert row == [key, rule.type.name, yes_or_no[rule.required], default, yes_or_no[rule.may_be_any]]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _default(rule: Rule[Any, Any]) -> str:
    if rule.default is None:
        return ""
    return f"`{toml_string(rule.default.value) if isinstance(rule.default, Waiver) else rule.type.write(rule.default)}`"
