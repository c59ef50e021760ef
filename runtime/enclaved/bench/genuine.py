"""Genuine evidence to time: a folder of evidence folders, with a manifest that says which should verify.

Each case is an evidence folder by the name of its id. The manifest lists, per
case, its kind, the exit codes that are right for `evidence verify`, and as of when.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from enclaved.errors import ConfigurationError
from enclaved.verifier.evidence_folder import read_folder
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.moment import evidence_time
from enclaved.wire.attestation import Evidence

__all__ = ["GenuineCase", "read_cases"]

MANIFEST = "MANIFEST.json"
_MAX_MANIFEST = 16 << 20
_FORMATS = {"snp": "sev-snp", "maa": "token", "gcp-cs": "token"}  # what the manifest calls otherwise


class _Expect(msgspec.Struct, frozen=True):
    verify_at: datetime | None = None


class _Cli(msgspec.Struct, frozen=True):
    exit: list[int] | None = None


class _Case(msgspec.Struct, frozen=True):
    id: str
    tee: str
    expect: _Expect
    cli: _Cli


class _Manifest(msgspec.Struct, frozen=True):
    cases: list[_Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenuineCase:
    """Evidence that verifies.

    Attributes:
        id: its name.
        evidence: with its endorsements.
        at: as of when.
    """

    id: str
    evidence: Evidence
    at: datetime


def read_cases(folder: Path, *, formats: Sequence[str]) -> Iterator[GenuineCase]:
    """Return the cases of some formats that should verify.

    Args:
        folder: the folder with the manifest.
        formats: the formats.

    Raises:
        ConfigurationError: there is no manifest, or one of another shape.
        EvidenceError: a case's files cannot be read.
    """
    for case in _manifest(folder).cases:
        name = _FORMATS.get(case.tee, case.tee)
        path = folder / case.id
        if name in formats and case.cli.exit == [0] and (path / FORMATS[name].report_file).is_file():
            evidence = read_folder(name, path)
            yield GenuineCase(id=case.id, evidence=evidence, at=case.expect.verify_at or evidence_time(evidence))


def _manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_MANIFEST), type=_Manifest)
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be read ({error.strerror})", remedy="Name a folder of genuine evidence with --folder."
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(str(path), f"no manifest: {error}", remedy="Name another folder.") from error
