"""What may be written in the policy section of SEV-SNP, beyond the types that all formats share."""

from __future__ import annotations

import re
from collections.abc import Mapping

from enclaved.verifier.snp.product import LINES
from enclaved.verifier.value_type import ValueType
from enclaved.verifier.value_types import integer, table, toml_string

__all__ = ["minimum_tcb", "version"]

_NUMBER = r"(?:0|[1-9][0-9]{0,2})"


def minimum_tcb() -> ValueType[Mapping[str, Mapping[str, int]]]:
    """Take a table of product lines, each with the least value of every component of its TCB version.

    A line whose components are not all named is an error: what is left out would not be looked at.
    """
    names = sorted({name for line in LINES.values() for name in line.tcb})
    tables = table(table(integer(most=0xFF), keys=tuple(names)), keys=tuple(LINES))

    def parse(value: object) -> Mapping[str, Mapping[str, int]]:
        parsed = tables.parse(value)
        for name, components in parsed.items():
            if components.keys() != LINES[name].tcb.keys():
                raise ValueError(f"{name} has the components {', '.join(LINES[name].tcb)}")
        return parsed

    return ValueType(name=f"a table of TCB versions under {', '.join(LINES)}", parse=parse, write=tables.write)


def version(*parts: str) -> ValueType[tuple[int, ...]]:
    """Take a version as text, numbers joined by dots.

    Args:
        parts: what each number is called, such as ``"major"`` and ``"minor"``.
    """
    name = f"a version {'.'.join(parts)} as text"
    pattern = re.compile(r"\.".join([_NUMBER] * len(parts)) + r"\Z")

    def parse(value: object) -> tuple[int, ...]:
        if not isinstance(value, str) or not pattern.match(value) or any(int(part) > 0xFF for part in value.split(".")):
            raise ValueError(f"{name} is wanted")
        return tuple(int(part) for part in value.split("."))

    return ValueType(name=name, parse=parse, write=lambda value: toml_string(".".join(str(part) for part in value)))
