"""TCB versions: the security version numbers of the firmware's components.

AMD publication 56860, section 2.2. A report holds four of them: what runs, what
can no longer be rolled back, what the guest was launched on, and what the
certificate was asked for. Each is compared component by component: read as one
number, a newer microcode would hide an older boot loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.verifier.checks import Checks
from enclaved.verifier.snp.product import ProductLine
from enclaved.verifier.snp.report import SnpReport

__all__ = ["TcbVersions", "check_layout", "check_order", "read_tcb_versions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbVersions:
    """A report's TCB versions, each by component.

    Attributes:
        current: what runs.
        reported: what the host has the certificate made for; never more than what runs.
        committed: what the host can no longer roll back to less than.
        launch: what ran when the guest was launched.
    """

    current: Mapping[str, int]
    reported: Mapping[str, int]
    committed: Mapping[str, int]
    launch: Mapping[str, int]


def check_layout(report: SnpReport, line: ProductLine, checks: Checks) -> None:
    """Check that TCB versions are laid out as the product line lays them out.

    Args:
        report: the report.
        line: its product line.
        checks: the record.

    Raises:
        EvidenceError: a byte that the line reserves is not zero: on another line it is a component.
    """
    for name in ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"):
        raw: bytes = getattr(report, name)
        reserved = bytes(byte for offset, byte in enumerate(raw) if offset not in line.tcb.values())
        checks.authentic(f"reserved bytes of {name}", found=reserved, wanted="all zero", ok=not any(reserved))


def read_tcb_versions(report: SnpReport, line: ProductLine) -> TcbVersions:
    """Return a report's TCB versions, read as its product line lays them out."""
    return TcbVersions(
        current=_read(report.current_tcb, line),
        reported=_read(report.reported_tcb, line),
        committed=_read(report.committed_tcb, line),
        launch=_read(report.launch_tcb, line),
    )


def check_order(tcb: TcbVersions, report: SnpReport, checks: Checks) -> None:
    """Check that nothing is reported or committed that is newer than what runs.

    Args:
        tcb: the report's TCB versions.
        report: the report, with the firmware's versions.
        checks: the record.

    Raises:
        EvidenceError: something is.
    """
    _check_at_most(tcb.reported, "reported_tcb", tcb.current, checks)
    _check_at_most(tcb.committed, "committed_tcb", tcb.current, checks)
    current, committed = report.current_version, report.committed_version
    checks.authentic("committed_version", found=committed, wanted=f"at most {current}", ok=committed <= current)


def _read(raw: bytes, line: ProductLine) -> Mapping[str, int]:
    return {component: raw[offset] for component, offset in line.tcb.items()}


def _check_at_most(found: Mapping[str, int], name: str, most: Mapping[str, int], checks: Checks) -> None:
    below = all(found[component] <= most[component] for component in most)
    checks.authentic(name, found=found, wanted=f"at most current_tcb: {dict(most)}", ok=below)
