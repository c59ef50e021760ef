"""The closed table of the policy section ``[formats.azure-vtpm]``.

What the hardware says is judged by the hardware's own table, under its name. The
paravisor and the virtual TPM add what the machine booted and how it was set up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from enclaved.verifier.azure_vtpm.hcl_report import Hardware
from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_equal, is_one_of
from enclaved.verifier.dcap.tdx_rules import TDX_RULES
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.section import section_rule
from enclaved.verifier.snp.rules import RULES as SNP_RULES
from enclaved.verifier.tpm.pcr_rules import EVENTS, PCRS
from enclaved.verifier.value_types import flag, words

__all__ = ["RULES"]


def _is(hardware: Hardware) -> Callable[[Claims], bool]:
    return lambda claims: claims.vendor["hardware"] == hardware.value


def _setting(name: str) -> Callable[[Claims], Any]:
    return lambda claims: cast("Mapping[str, object]", claims.vendor["vm_configuration"]).get(name)


_SECURE_BOOT: Rule[object, bool] = Rule(
    key="secure_boot",
    type=flag(),
    found=_setting("secure-boot"),
    check=is_equal,
    doc="true: the firmware started signed code only; left out, pcrs decides",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=lambda found: found is True,
)
_CONSOLE: Rule[object, bool] = Rule(
    key="console_enabled",
    type=flag(),
    found=_setting("console-enabled"),
    check=is_equal,
    doc="false: no serial console is open to the machine's operator; left out, either is accepted",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=lambda found: found is True,
)
_VM_ID: Rule[object, frozenset[str]] = Rule(
    key="vm_id",
    type=words(),
    found=_setting("vmUniqueId"),
    check=is_one_of,
    doc="machines, by the identifier that Azure gives them; left out, every one is accepted",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=lambda found: frozenset({str(found)}),
)

RULES: tuple[Rule[Any, Any], ...] = (
    PCRS,
    EVENTS,
    section_rule(
        Hardware.SEV_SNP.value,
        SNP_RULES,
        applies=_is(Hardware.SEV_SNP),
        doc="what a machine on SEV-SNP has to show, by the table of sev-snp; left out, such machines are refused",
    ),
    section_rule(
        Hardware.TDX.value,
        TDX_RULES,
        applies=_is(Hardware.TDX),
        doc="what a machine on TDX has to show, by the table of tdx; left out, such machines are refused",
    ),
    _SECURE_BOOT,
    _CONSOLE,
    _VM_ID,
)
