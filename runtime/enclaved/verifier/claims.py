"""Claims: what authentic evidence says, in the words that all formats share and in the vendor's own.

Policies decide on the vendor's claims, because only they say what was measured.
The few that every reader of a verdict asks about first (debug, TCB status, the
binding) stand beside them under one name for all formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from enclaved.verifier.shown import JsonValue, as_json

__all__ = ["ClaimValue", "Claims"]

ClaimValue: TypeAlias = "bool | int | str | bytes | Sequence[ClaimValue] | Mapping[str, ClaimValue] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What authentic evidence says.

    Attributes:
        format: the evidence format's name.
        bound_data: the field that carries the binding, exactly as it was signed: 64 bytes of
            ``report_data`` on SEV-SNP, TDX and SGX, ``user_data`` on Nitro, 32 bytes of qualifying
            data on TPMs; empty where the evidence carries none.
        confidential: does the evidence show that the host cannot read what is computed.
        simulated: was it made by software that simulates a device.
        debug: can the host look in; None where the format does not say.
        tcb_status: the platform's status in its vendor's words; None where there is none.
        measurement: the one digest of what was started, where the format has one.
        evidence_time: when the evidence was made, by its own signed account.
        nonces: where a challenger's bytes have a field apart from `bound_data` (``nonce`` on Nitro,
            ``eat_nonce`` in tokens), what that field holds, empty for nothing; None where
            `bound_data` is that field.
        vendor: the vendor's claims under the vendor's names in lower case.
    """

    format: str
    bound_data: bytes
    confidential: bool
    simulated: bool
    debug: bool | None
    tcb_status: str | None
    measurement: bytes | None
    evidence_time: datetime | None
    nonces: tuple[bytes, ...] | None = None
    vendor: Mapping[str, ClaimValue]

    def __post_init__(self) -> None:
        for name, value in self._common().items():
            if self.vendor.get(name, value) != value:  # two answers under one name: a reader would see only one
                raise ValueError(f"the vendor's claim {name} differs from the common claim of that name")

    def to_json(self) -> dict[str, JsonValue]:
        """Return all claims by name, the vendor's beside the common ones, bytes as hex."""
        return {name: as_json(value) for name, value in {**self._common(), **self.vendor}.items()}

    def _common(self) -> dict[str, object]:
        return {
            "format": self.format,
            "bound_data": self.bound_data,
            "confidential": self.confidential,
            "simulated": self.simulated,
            "debug": self.debug,
            "tcb_status": self.tcb_status,
            "measurement": self.measurement,
            "evidence_time": self.evidence_time,
        }
