"""The READMEs of SEV-SNP and Nitro say what the code does: every step, every rule."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from enclaved.verifier.format import Format
from enclaved.verifier.nitro import verify as nitro_verify
from enclaved.verifier.nitro.format import NITRO
from enclaved.verifier.rule import Waiver
from enclaved.verifier.snp import verify as snp_verify
from enclaved.verifier.snp.format import SEV_SNP
from enclaved.verifier.value_types import toml_string

FORMATS = [(SEV_SNP, snp_verify), (NITRO, nitro_verify)]
IDS = [format_.name for format_, _ in FORMATS]


@pytest.mark.parametrize(("format_", "module"), FORMATS, ids=IDS)
def test_table_of_policy_keys_is_the_codes(format_: Format, module: ModuleType) -> None:
    """Who writes a policy reads the table, and not the code."""
    rows = [_cells(line) for line in _readme(module).splitlines() if line.startswith("| `")]
    yes_or_no = {True: "yes", False: "no"}

    for row, rule in zip(rows, format_.rules, strict=True):
        default = rule.default
        written = default.value if isinstance(default, Waiver) else None
        shown = "" if default is None else f"`{toml_string(written) if written else rule.type.write(default)}`"
        assert row == [
            f"`{rule.key}`",
            rule.type.name,
            yes_or_no[rule.required],
            shown,
            yes_or_no[rule.may_be_any],
            rule.doc,
        ]


@pytest.mark.parametrize("module", [module for _, module in FORMATS], ids=IDS)
def test_steps_are_numbered_alike_in_module_code_and_readme(module: ModuleType) -> None:
    """A step that one of the three leaves out would not be missed by its readers."""
    source = inspect.getsource(module)
    in_docstring = re.findall(r"^(\d+)\. ", module.__doc__ or "", re.MULTILINE)
    in_code = re.findall(r"^    # (\d+)\. ", source, re.MULTILINE)
    in_readme = re.findall(r"^\| (\d+) \|", _readme(module), re.MULTILINE)

    assert in_docstring == in_code == in_readme == [str(number + 1) for number in range(len(in_code))]


def _readme(module: ModuleType) -> str:
    return Path(inspect.getfile(module)).with_name("README.md").read_text()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
