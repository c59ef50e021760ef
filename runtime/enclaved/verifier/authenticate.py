"""Stage one: is the evidence authentic (RFC 9334, section 4.2).

No policy is looked at here, and no clock: the caller says as of which time. The
steps are

1. the format is one that is known;
2. the files are those of the format, and no larger than evidence is;
3. the format's own steps: signature, chain to a pinned root, validity, revocation, TCB;
4. the claims are of the format that was asked for, and say whether it is a simulation.
"""

from __future__ import annotations

from datetime import datetime

from enclaved.errors import EvidenceError
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.format import Format
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.roots import RELEASED_ROOTS, Roots
from enclaved.wire.attestation import Evidence
from enclaved.wire.limits import MAX_ATTESTATION, MAX_ENDORSEMENT, MAX_ENDORSEMENTS, MAX_REPORT

__all__ = ["authenticate"]


def authenticate(evidence: Evidence, *, at: datetime, roots: Roots = RELEASED_ROOTS, checks: Checks) -> Claims:
    """Tell authentic evidence from any other.

    Args:
        evidence: the report and its endorsements, from anywhere.
        at: the time at which certificates, CRLs and TCB information have to be valid; aware.
        roots: the pinned roots; only tests give others than the released ones.
        checks: the record of what was found and wanted.

    Returns:
        What the evidence says.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("an aware time is wanted")
    # 1. A known format: nothing is guessed from the bytes.
    format_ = FORMATS.get(evidence.format)
    if format_ is None:
        raise checks.unsupported("format", found=evidence.format[:64], wanted=f"one of {', '.join(FORMATS)}")
    # 2. Its files, and no others, before anything in them is read.
    _check_files(format_, evidence, checks)
    # 3. The format's own steps.
    claims = format_.authenticate(evidence, at=at, roots=roots, checks=checks)
    # 4. What was asked for: a format's rules would read another's claims wrongly.
    checks.equal("format", found=claims.format, wanted=evidence.format)
    checks.equal("simulated", found=claims.simulated, wanted=format_.simulated)
    return claims


def _check_files(format_: Format, evidence: Evidence, checks: Checks) -> None:
    sizes = {format_.report_file: len(evidence.report)} | {n: len(e) for n, e in evidence.endorsements.items()}
    largest = {name: MAX_REPORT if name == format_.report_file else MAX_ENDORSEMENT for name in sizes}
    for name in evidence.endorsements:
        if not format_.may_hold(name) or name == format_.report_file:
            raise checks.unreadable("files", found=name[:64], wanted=", ".join(format_.endorsement_files))
    for name, size in sizes.items():
        if not 0 < size <= largest[name]:
            raise _sized(checks, name, size, largest[name])
    if len(sizes) > MAX_ENDORSEMENTS + 1:
        raise checks.unreadable("files", found=f"{len(sizes)} files", wanted=f"at most {MAX_ENDORSEMENTS + 1}")
    total = sum(sizes.values())
    if total > MAX_ATTESTATION:
        raise _sized(checks, "all files", total, MAX_ATTESTATION)
    checks.authentic("files", found=f"{len(sizes)} files, {total} bytes", wanted="the format's own files", ok=True)


def _sized(checks: Checks, name: str, size: int, most: int) -> EvidenceError:
    return checks.unreadable("files", found=f"{name}: {size} bytes", wanted=f"1 to {most} bytes")
