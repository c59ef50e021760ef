"""A format: one kind of evidence, and everything that is particular to it.

A format is a folder beside this file and a row in `formats`. It says which files
hold its evidence, how to tell authentic evidence from any other, which of its
fields carries the binding, and which keys its policy section has. What is the
same for all formats is done once, round it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Protocol

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.roots import Roots
from enclaved.verifier.rule import Rule
from enclaved.wire.attestation import Evidence

__all__ = ["Authenticate", "Format"]


class Authenticate(Protocol):
    """Stage one of a format."""

    def __call__(self, evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
        """Tell authentic evidence from any other.

        Args:
            evidence: the report and its endorsements, sizes and file names already checked.
            at: the time at which certificates, CRLs and TCB information have to be valid.
            roots: the pinned roots.
            checks: the record; each step states in it what it found and wanted.

        Returns:
            What the evidence says.

        Raises:
            EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of evidence.

    Attributes:
        name: its name in policies, options and attestations, such as ``"sev-snp"``.
        title: its name for people, such as ``"AMD SEV-SNP"``.
        report_file: the file that holds the report, such as ``"report.bin"``.
        endorsement_files: names, or patterns such as ``"*.crl"``, of the files that may lie beside it.
        authenticate: stage one.
        bound_field: the vendor's name of the field that carries the binding.
        expected_binding: what that field has to hold for a 64-byte binding: the binding itself, or
            its SHA-256 where the hardware holds no more (`tpm_binding`).
        rules: the closed table of its policy section.
        alternatives: groups of keys of which a policy writes one; see `alternatives`.
        simulated: is it evidence of software that simulates a device.
        own_time: takes the evidence's own time out of it, unverified, or None where it has none;
            stage one then verifies as of that time and states it again from what is signed.
    """

    name: str
    title: str
    report_file: str
    endorsement_files: tuple[str, ...]
    authenticate: Authenticate
    bound_field: str
    expected_binding: Callable[[bytes], bytes]
    rules: tuple[Rule[Any, Any], ...]
    own_time: Callable[[Evidence], datetime | None]
    alternatives: tuple[tuple[str, ...], ...] = ()
    simulated: bool = False

    def may_hold(self, name: str) -> bool:
        """Tell whether an endorsement of that file name belongs to this format."""
        return "/" not in name and any(fnmatchcase(name, pattern) for pattern in self.endorsement_files)
