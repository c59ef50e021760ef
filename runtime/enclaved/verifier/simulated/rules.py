"""The closed table of the policy section ``[formats.simulated]``."""

from __future__ import annotations

from typing import Any

from enclaved.verifier.comparisons import is_equal, is_one_of
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_types import fingerprints, flag, hex_values

__all__ = ["RULES"]

_ROOT: Rule[str, frozenset[str]] = Rule(
    key="root",
    type=fingerprints(),
    found=lambda claims: str(claims.vendor["root"]),
    check=is_one_of,
    doc="the developer's own root; whoever holds its key can write any claim",
    required=True,
    pinned=lambda found: frozenset({found}),
)
_MEASUREMENT: Rule[bytes | None, frozenset[bytes]] = Rule(
    key="measurement",
    type=hex_values(48),
    found=lambda claims: claims.measurement,
    check=is_one_of,
    doc="digest of the runtime, by the runtime's own account; it proves nothing, so it need not be written",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=lambda found: frozenset({found} if found else ()),
)
_DEBUG: Rule[bool | None, bool] = Rule(
    key="debug",
    type=flag(),
    found=lambda claims: claims.debug,
    check=is_equal,
    doc="the device's debug flag",
    default=False,
)

RULES: tuple[Rule[Any, Any], ...] = (_ROOT, _MEASUREMENT, _DEBUG)
