"""The README of tokens says what the code does: every step, every rule."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from enclaved.verifier.format import Format
from enclaved.verifier.rule import Waiver
from enclaved.verifier.token import verify
from enclaved.verifier.token.format import TOKEN
from enclaved.verifier.value_types import toml_string

README = Path(inspect.getfile(verify)).with_name("README.md").read_text()


@pytest.mark.parametrize("format_", [TOKEN], ids=["token"])
def test_table_of_policy_keys_is_the_codes(format_: Format) -> None:
    """Who writes a policy reads the table, and not the code."""
    section = README.partition(f"`[formats.{format_.name}]`")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]

    for row, rule in zip(rows, format_.rules, strict=True):
        default = rule.default
        written = toml_string(default.value) if isinstance(default, Waiver) else None
        shown = "" if default is None else f"`{written or rule.type.write(default)}`"
        flags = ["yes" if flag else "no" for flag in (rule.required, rule.may_be_any)]
        assert row == [f"`{rule.key}`", rule.type.name, flags[0], shown, flags[1], rule.doc]


def test_steps_are_numbered_alike_in_module_code_and_readme() -> None:
    """A step that one of the three leaves out would not be missed by its readers."""
    source = inspect.getsource(verify)
    in_docstring = re.findall(r"^(\d+)\. ", verify.__doc__ or "", re.MULTILINE)
    in_code = re.findall(r"^    # (\d+)\. ", source, re.MULTILINE)
    in_readme = re.findall(r"^\| (\d+) \|", README, re.MULTILINE)

    assert in_docstring == in_code == in_readme == [str(number + 1) for number in range(len(in_code))]
