"""Genuine evidence of real machines, read from the folder that ENCLAVED_VECTORS names.

None of it is ours and none is kept here: its manifest says for each case what the
verdict has to be, and where that is known from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.formats import find_format
from enclaved.wire.attestation import Evidence

__all__ = ["Case", "genuine_case", "genuine_cases", "genuine_file", "judge", "print_table"]

_EXITS = {"unreadable": 5, "unsupported": 5, "not_authentic": 3}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of the manifest.

    Attributes:
        id: its name.
        evidence: what a folder with its files holds.
        at: as of when it is judged; None where its format's own time is.
        exits: the exit codes that are right; None where the manifest leaves it open.
        entry: the rest of the manifest's entry.
    """

    id: str
    evidence: Evidence
    at: datetime | None
    exits: tuple[int, ...] | None
    entry: Mapping[str, Any]


def genuine_cases(tee: str, format_name: str) -> list[Case]:
    """Return all cases of a kind that hold evidence; skips the test where there is no folder of them."""
    return [case for case in _cases(tee, format_name) if case.evidence.report]


def genuine_case(case_id: str, format_name: str) -> Case:
    """Return the case of that name, whether it holds a report or only what goes with one."""
    return next(case for case in _cases(case_id.partition("/")[0], format_name) if case.id == case_id)


def genuine_file(case_id: str, name: str) -> bytes:
    """Return a file of a case, whether it belongs to an evidence folder or not."""
    folder = Path(_folder())
    entry = next(entry for entry in _manifest(str(folder))["cases"] if entry["id"] == case_id)
    return (folder / entry["files"][name]["path"]).read_bytes()


def judge(evidence: Evidence, at: datetime) -> tuple[int, Claims | None, str]:
    """Return the exit code of ``enclaved evidence verify``, the claims, and the error's text."""
    try:
        return 0, authenticate(evidence, at=at, checks=Checks()), ""
    except EvidenceError as error:
        return _EXITS[error.code], None, f"{error.code}: {error}"


def print_table(title: str, rows: list[tuple[str, str, str]]) -> None:
    """Print verdict, case and remark of each case, and how many have which verdict."""
    print(f"\n{title}")  # noqa: T201 - the table is what the test is run for
    for verdict, case_id, remark in rows:
        print(f"  {verdict:12} {case_id:40} {remark[:100]}")  # noqa: T201 - as above
    verdicts = [verdict for verdict, _, _ in rows]
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in sorted(set(verdicts)))
    print(f"  {len(rows)} cases: {counts}")  # noqa: T201 - as above


@cache
def _manifest(folder: str) -> Any:  # noqa: ANN401 - JSON of somebody else's
    return json.loads((Path(folder) / "MANIFEST.json").read_text())


def _cases(tee: str, format_name: str) -> Iterator[Case]:
    folder = _folder()
    format_ = find_format(format_name)
    for entry in _manifest(folder)["cases"]:
        if entry["tee"] != tee:
            continue
        files = {name: (Path(folder) / file["path"]).read_bytes() for name, file in entry["files"].items()}
        at = entry["expect"].get("verify_at")
        exits = entry["cli"]["exit"]
        yield Case(
            id=entry["id"],
            evidence=Evidence(
                format=format_name,
                report=files.get(format_.report_file, b""),
                endorsements={name: file for name, file in files.items() if format_.may_hold(name)},
            ),
            at=datetime.fromisoformat(at) if at else None,
            exits=None if exits is None else tuple(exits),
            entry=entry,
        )


def _folder() -> str:
    folder = os.environ.get("ENCLAVED_VECTORS")
    if not folder or not (Path(folder) / "MANIFEST.json").exists():
        pytest.skip("ENCLAVED_VECTORS names no folder of genuine evidence")
    return folder
