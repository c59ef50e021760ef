"""Evidence folders: from wherever they came."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier.evidence_folder import read_folder, write_folder
from enclaved.wire.limits import MAX_ENDORSEMENT, MAX_REPORT
from simulation import make_device

EVIDENCE = make_device().attest(bytes(64))


def _unreadable(path: Path) -> None:
    with pytest.raises(EvidenceError) as refused:
        read_folder("simulated", path)
    assert refused.value.code == "unreadable"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Under the format's fixed file names."""
    write_folder(EVIDENCE, tmp_path / "evidence")

    assert sorted(os.listdir(tmp_path / "evidence")) == ["device.der", "root.der", "simulated.cbor"]
    assert read_folder("simulated", tmp_path / "evidence") == EVIDENCE


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A folder may hold notes, and evidence of another format."""
    write_folder(EVIDENCE, tmp_path)
    (tmp_path / "notes.txt").write_text("not evidence")
    (tmp_path / "folder").mkdir()

    assert read_folder("simulated", tmp_path) == EVIDENCE


def test_unknown_format_is_unsupported(tmp_path: Path) -> None:
    """Nothing is guessed from the files."""
    with pytest.raises(EvidenceError) as refused:
        read_folder("another", tmp_path)

    assert refused.value.code == "unsupported"


def test_missing_folder_is_unreadable(tmp_path: Path) -> None:
    """So is a file in its place."""
    _unreadable(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    _unreadable(tmp_path / "file")


def test_missing_report_is_unreadable(tmp_path: Path) -> None:
    """Endorsements alone are no evidence."""
    write_folder(EVIDENCE, tmp_path)
    (tmp_path / "simulated.cbor").unlink()

    _unreadable(tmp_path)


@pytest.mark.parametrize(("name", "size"), [("simulated.cbor", MAX_REPORT + 1), ("root.der", MAX_ENDORSEMENT + 1)])
def test_file_that_is_too_large_is_unreadable(tmp_path: Path, name: str, size: int) -> None:
    """Sizes come before contents."""
    write_folder(EVIDENCE, tmp_path)
    (tmp_path / name).write_bytes(bytes(size))

    _unreadable(tmp_path)


@pytest.mark.parametrize("name", ["simulated.cbor", "root.der"])
def test_empty_file_is_unreadable(tmp_path: Path, name: str) -> None:
    """A download that failed leaves one."""
    write_folder(EVIDENCE, tmp_path)
    (tmp_path / name).write_bytes(b"")

    _unreadable(tmp_path)


@pytest.mark.parametrize("name", ["simulated.cbor", "root.der"])
def test_what_is_no_file_is_unreadable(tmp_path: Path, name: str) -> None:
    """A named pipe would wait for a writer that never comes; a folder has no contents."""
    write_folder(EVIDENCE, tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    _unreadable(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    _unreadable(tmp_path)


def test_endless_folder_is_unreadable(tmp_path: Path) -> None:
    """Listing has a bound too."""
    write_folder(EVIDENCE, tmp_path)
    for number in range(1100):
        (tmp_path / str(number)).touch()

    _unreadable(tmp_path)


@pytest.mark.parametrize("name", ["../escaped.der", "/escaped.der", "another.der", "simulated.cbor"])
def test_strangers_file_names_are_not_written(tmp_path: Path, name: str) -> None:
    """Evidence from the network names its own files."""
    evidence = msgspec.structs.replace(EVIDENCE, endorsements={name: b"x"})

    with pytest.raises(EvidenceError):
        write_folder(evidence, tmp_path / "evidence")

    assert list(tmp_path.rglob("*")) == []
