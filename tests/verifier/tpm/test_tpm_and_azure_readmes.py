"""The READMEs of TPM 2.0 and of Azure's confidential VMs say what the code does: every step, every rule."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from enclaved.verifier.azure_vtpm import verify as azure_verify
from enclaved.verifier.azure_vtpm.format import AZURE_VTPM
from enclaved.verifier.format import Format
from enclaved.verifier.rule import Waiver
from enclaved.verifier.tpm import verified_quote
from enclaved.verifier.tpm import verify as tpm_verify
from enclaved.verifier.tpm.format import TPM
from enclaved.verifier.value_types import toml_string

FORMATS = [(TPM, tpm_verify), (AZURE_VTPM, azure_verify)]


@pytest.mark.parametrize(("format_", "module"), FORMATS, ids=["tpm", "azure-vtpm"])
def test_table_of_policy_keys_is_the_codes(format_: Format, module: ModuleType) -> None:
    """Who writes a policy reads the table, and not the code."""
    rows = [_cells(line) for line in _readme(module).splitlines() if line.startswith("| `")]
    yes_or_no = {True: "yes", False: "no"}

    for row, rule in zip(rows, format_.rules, strict=True):
        default = rule.default
        written = toml_string(default.value) if isinstance(default, Waiver) else None
        shown = "" if default is None else f"`{written or rule.type.write(default)}`"
        required, may_be_any = yes_or_no[rule.required], yes_or_no[rule.may_be_any]
        assert row == [f"`{rule.key}`", rule.type.name, required, shown, may_be_any, rule.doc]


@pytest.mark.parametrize("module", [tpm_verify, verified_quote, azure_verify], ids=["tpm", "quote", "azure-vtpm"])
def test_steps_are_numbered_alike_in_module_code_and_readme(module: ModuleType) -> None:
    """A step that one of the three leaves out would not be missed by its readers."""
    head = "| quote | " if module is verified_quote else "| | "
    table = _readme(module).partition(head)[2].partition("\n\n")[0]
    in_docstring = re.findall(r"^(\d+)\. ", module.__doc__ or "", re.MULTILINE)
    in_code = re.findall(r"^    # (\d+)\. ", inspect.getsource(module), re.MULTILINE)
    in_readme = re.findall(r"^\| (\d+) \|", table, re.MULTILINE)

    assert in_docstring == in_code == in_readme == [str(number + 1) for number in range(len(in_code))]


def _readme(module: ModuleType) -> str:
    return Path(inspect.getfile(module)).with_name("README.md").read_text()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
