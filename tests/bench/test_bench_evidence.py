"""``enclaved bench evidence``: which evidence is timed, and what is said of the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from enclaved.bench.evidence import EvidenceOptions, bench_evidence
from enclaved.bench.measure import Plan
from enclaved.bench.report import Report
from enclaved.cli.app import main
from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError
from enclaved.verifier.formats import FORMATS

QUICK = Plan(runs=2, uncounted=1)


def bench(folder: Path | None = None, formats: tuple[str, ...] = tuple(FORMATS)) -> Report:
    """Run the mode, as quickly as it can be run."""
    return bench_evidence(EvidenceOptions(formats=formats, folder=folder, plan=QUICK), clock=SystemClock())


def test_simulated_evidence_is_always_at_hand() -> None:
    """Warm and cold; formats without evidence are named."""
    report = bench()

    assert [row.labels["chain"] for row in report.rows] == ["warm", "cold"]
    assert {row.labels["format"] for row in report.rows} == {"simulated"}
    assert "sev-snp: no evidence at hand" in report.left_out


def test_only_the_formats_that_are_asked_for_are_timed() -> None:
    """Nothing is made or read for the others."""
    report = bench(formats=("nitro",))
    assert (report.rows, report.left_out) == ((), ("nitro: no evidence at hand",))


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"cases": [{"id": 7}]}', "[" * 100_000])
def test_a_folder_without_a_manifest_is_refused(tmp_path: Path, manifest: str | None) -> None:
    """The error says which file is wrong."""
    if manifest is not None:
        (tmp_path / "MANIFEST.json").write_text(manifest)
    with pytest.raises(ConfigurationError, match=r"MANIFEST\.json"):
        bench(tmp_path)


def test_evidence_that_does_not_verify_is_left_out_and_named(tmp_path: Path) -> None:
    """A failure is quicker than a verification, and would be a good figure for nothing."""
    case = {"id": "snp/bad", "tee": "snp", "expect": {"verify_at": "2026-11-21T12:00:00Z"}, "cli": {"exit": [0]}}
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"cases": [case]}))
    (tmp_path / "snp" / "bad").mkdir(parents=True)
    (tmp_path / "snp" / "bad" / "report.bin").write_bytes(bytes(1184))
    report = bench(tmp_path, ("sev-snp",))

    assert report.rows == ()
    assert report.left_out[0].startswith("snp/bad: version")


@pytest.mark.vectors
def test_genuine_evidence_is_timed_where_it_is_at_hand() -> None:
    """All cases that should verify do."""
    folder = os.environ.get("ENCLAVED_VECTORS")
    if not folder:
        pytest.skip("ENCLAVED_VECTORS names no folder of genuine evidence")
    report = bench(Path(folder), ("sev-snp", "nitro"))

    assert [(row.labels["format"], row.labels["chain"]) for row in report.rows] == [
        ("sev-snp", "warm"),
        ("sev-snp", "cold"),
        ("nitro", "warm"),
        ("nitro", "cold"),
    ]
    assert report.left_out == ()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process, and return its exit code."""
    monkeypatch.setattr("sys.argv", ["enclaved", "bench", "evidence", "--format=simulated", "--runs=1", *arguments])
    monkeypatch.delenv("ENCLAVED_VECTORS", raising=False)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_prints_one_document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, standard output is JSON and nothing else."""
    assert run(monkeypatch, "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert document["mode"] == "evidence"
    assert all({"p50_ms", "p90_ms", "p99_ms", "runs"} <= row.keys() for row in document["rows"])


def test_an_unknown_format_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The formats that there are stand in the message."""
    assert run(monkeypatch, "--format=nothing", "--json") == 2
    assert "sev-snp" in json.loads(capsys.readouterr().out)["error"]["message"]
