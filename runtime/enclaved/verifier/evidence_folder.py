"""Evidence folders: raw vendor evidence under fixed file names, from wherever it came.

Only the files that the format knows are read; whatever else lies there is left
alone. Sizes are checked before contents, and nothing but a regular file is
opened, so a folder of somebody else's making costs no more than its limits.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from enclaved.errors import EvidenceError
from enclaved.verifier.format import Format
from enclaved.verifier.formats import find_format
from enclaved.wire.attestation import Evidence
from enclaved.wire.limits import MAX_ATTESTATION, MAX_ENDORSEMENT, MAX_ENDORSEMENTS, MAX_REPORT

__all__ = ["read_folder", "write_folder"]

_MOST_ENTRIES = 1024  # a folder with more is no evidence folder, and is not listed to its end


def read_folder(format_name: str, path: Path) -> Evidence:
    """Return the evidence that a folder holds.

    Args:
        format_name: the format's name, such as ``"simulated"``.
        path: the folder.

    Returns:
        The report and the endorsements that lie beside it; nothing is verified.

    Raises:
        EvidenceError: the format is unknown (``"unsupported"``), or there is no report, or a file
            is too large or cannot be read (``"unreadable"``).
    """
    format_ = find_format(format_name)
    names = sorted(name for name in _entries(path) if format_.may_hold(name) and name != format_.report_file)
    if len(names) > MAX_ENDORSEMENTS:
        raise _unreadable(path, found=f"{len(names)} endorsements", wanted=f"at most {MAX_ENDORSEMENTS}")
    report = _read(path / format_.report_file, MAX_REPORT)
    endorsements: dict[str, bytes] = {}
    left = MAX_ATTESTATION - len(report)
    for name in names:
        endorsements[name] = _read(path / name, min(MAX_ENDORSEMENT, left))
        left -= len(endorsements[name])
    return Evidence(format=format_.name, report=report, endorsements=endorsements)


def write_folder(evidence: Evidence, path: Path) -> None:
    """Write evidence into a folder, which is made where it is not there.

    Args:
        evidence: the evidence; it may come from a stranger, so its file names are checked first.
        path: the folder.

    Raises:
        EvidenceError: the format is unknown, or an endorsement's name is not one of the format's.
        OSError: the folder cannot be written.
    """
    format_ = find_format(evidence.format)
    _check_names(evidence, format_, path)
    path.mkdir(parents=True, exist_ok=True)
    (path / format_.report_file).write_bytes(evidence.report)
    for name, endorsement in evidence.endorsements.items():
        (path / name).write_bytes(endorsement)


def _check_names(evidence: Evidence, format_: Format, path: Path) -> None:
    """Refuse names that are not the format's: a stranger's would be written where the stranger says."""
    for name in evidence.endorsements:
        if not format_.may_hold(name) or name == format_.report_file:
            raise _unreadable(path, found=repr(name[:64]), wanted=f"one of {', '.join(format_.endorsement_files)}")


def _entries(path: Path) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > _MOST_ENTRIES:
                    raise _unreadable(path, found=f"more than {_MOST_ENTRIES} files", wanted="an evidence folder")
    except OSError as error:
        raise _unreadable(path, found=error.strerror, wanted="a folder with evidence") from error
    return names


def _read(path: Path, most: int) -> bytes:
    try:
        # Not blocking: opening a named pipe would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, found="no regular file", wanted="a file")
            contents = file.read(most + 1)
    except OSError as error:
        raise _unreadable(path, found=error.strerror, wanted="a file that can be read") from error
    if not 0 < len(contents) <= most:
        found = f"more than {most} bytes" if contents else "an empty file"
        raise _unreadable(path, found=found, wanted=f"1 to {most} bytes")
    return contents


def _unreadable(path: Path, *, found: object, wanted: object) -> EvidenceError:
    return EvidenceError("unreadable", str(path), found=found, wanted=wanted)
