"""A value type: what may be written under a key of the policy document.

TOML gives strings, integers, lists and tables. Each becomes a frozen value here,
or a `ValueError` that says what is wanted; the reader of the document adds where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["ValueType"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType(Generic[_Value]):
    """What may be written under a key.

    Attributes:
        name: what a person reads in tables and errors, such as ``"list of 48-byte hex values"``.
        parse: turns what TOML gave into the frozen value; raises `ValueError` saying what is wanted.
        write: turns the value back into TOML, for drafts.
    """

    name: str
    parse: Callable[[object], _Value]
    write: Callable[[_Value], str]
