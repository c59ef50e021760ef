"""Product lines: which processors share a root key, a TCB layout and a form of chip identifier.

AMD publication 57230, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS
Interface Specification", and AMD publication 56860, section 2.2, table "Structure
of the TCB_VERSION". Siena and Bergamo (family 19h, model A0h) are Genoa in all
three respects, and AMD's key service knows them by that name alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from enclaved.verifier.checks import Checks
from enclaved.verifier.roots import AMD_GENOA, AMD_MILAN, AMD_TURIN
from enclaved.verifier.snp.report import Cpu

__all__ = ["LINES", "ProductLine", "line_of_cpu", "line_of_product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLine:
    """One product line.

    Attributes:
        name: its name in claims and policies, such as ``"milan"``.
        title: its name in certificates, such as ``"Milan"``.
        root: what its ARK is called in the table of roots.
        tcb: the byte of a TCB_VERSION that holds each component; the other bytes are reserved.
        hw_id_size: how many bytes of the chip identifier are used; the rest is zero.
        cpus: its families, each with its models.
    """

    name: str
    title: str
    root: str
    tcb: Mapping[str, int]
    hw_id_size: int
    cpus: Mapping[int, tuple[range, ...]]


_TCB = MappingProxyType({"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7})
_TCB_TURIN = MappingProxyType({"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7})

_MILAN = ProductLine(name="milan", title="Milan", root=AMD_MILAN, tcb=_TCB, hw_id_size=64, cpus={0x19: (range(0x10),)})
_GENOA = ProductLine(
    name="genoa",
    title="Genoa",
    root=AMD_GENOA,
    tcb=_TCB,
    hw_id_size=64,
    cpus={0x19: (range(0x10, 0x20), range(0xA0, 0xB0))},
)
_TURIN = ProductLine(
    name="turin", title="Turin", root=AMD_TURIN, tcb=_TCB_TURIN, hw_id_size=8, cpus={0x1A: (range(0x20),)}
)

LINES: Mapping[str, ProductLine] = MappingProxyType({line.name: line for line in (_MILAN, _GENOA, _TURIN)})


def line_of_cpu(cpu: Cpu, checks: Checks) -> ProductLine:
    """Return the product line of a processor.

    Args:
        cpu: what the report says of it.
        checks: the record.

    Raises:
        EvidenceError: there is none here; the code is ``"unsupported"``.
    """
    for line in LINES.values():
        if any(cpu.model in models for models in line.cpus.get(cpu.family, ())):
            return line
    raise checks.unsupported("product", found=f"family {cpu.family:x}h, model {cpu.model:x}h", wanted=_titles())


def line_of_product(product: str, checks: Checks) -> ProductLine:
    """Return the product line of a certificate's product name.

    Args:
        product: the name, with its stepping or without, such as ``"Milan-B0"`` or ``"Genoa"``.
        checks: the record.

    Raises:
        EvidenceError: there is none here; the code is ``"unsupported"``.
    """
    for line in LINES.values():
        if product.partition("-")[0] == line.title:
            return line
    raise checks.unsupported("product", found=product, wanted=_titles())


def _titles() -> list[str]:
    return [line.title for line in LINES.values()]
