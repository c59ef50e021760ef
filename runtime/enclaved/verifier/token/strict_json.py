"""JSON of strangers, read in one way only (RFC 8259).

Names that are there twice, numbers that JSON has no form for and nesting without
end are refused: what one reader overlooks, another would act on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from enclaved.verifier.claims import ClaimValue

__all__ = ["read_object"]

_DEEPEST = 16


def read_object(data: bytes) -> Mapping[str, ClaimValue]:
    """Return the JSON object that the bytes encode.

    Args:
        data: the bytes, UTF-8.

    Returns:
        The object as claims hold it: lists are tuples, fractions are texts.

    Raises:
        ValueError: they encode none.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=str, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - one kind of error for all that does not parse
    frozen = _frozen(value, _DEEPEST)
    assert isinstance(frozen, Mapping)  # noqa: S101 - for the type checker: an object stays one
    return frozen


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name that is there twice")
    return dict(pairs)


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _frozen(value: object, left: int) -> ClaimValue:
    if left == 0:
        raise ValueError("nested too deep")
    match value:
        case None | bool() | int() | str():
            return value
        case dict():
            return MappingProxyType({str(name): _frozen(item, left - 1) for name, item in value.items()})
        case list():
            return tuple(_frozen(item, left - 1) for item in value)
        case _:
            raise ValueError(f"{type(value).__name__} in JSON")
