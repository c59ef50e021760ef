"""Endorsements that an operator puts into the state folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from enclaved.attester.endorsements import FOLDER, read_endorsements
from enclaved.errors import DeviceError
from enclaved.wire.limits import MAX_ENDORSEMENT

NAMES = ("ark.pem", "vcek.der")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder, inside a state folder."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    return folder


def test_named_files_are_taken_and_no_others(folder: Path) -> None:
    """What else lies there is nobody's evidence."""
    (folder / "ark.pem").write_bytes(b"ark")
    (folder / "notes.txt").write_bytes(b"notes")

    assert read_endorsements(folder.parent, NAMES) == {"ark.pem": b"ark"}


def test_state_without_the_folder_has_none(tmp_path: Path) -> None:
    """Most devices need none."""
    assert read_endorsements(tmp_path, NAMES) == {}


@pytest.mark.parametrize("size", [0, MAX_ENDORSEMENT + 1])
def test_file_of_a_size_that_no_verifier_takes_is_an_error(folder: Path, size: int) -> None:
    """At the start, where a person sees it, and not at the relying party."""
    (folder / "ark.pem").write_bytes(bytes(size))

    with pytest.raises(DeviceError, match=r"ark\.pem"):
        read_endorsements(folder.parent, NAMES)


def test_what_is_no_file_is_an_error(folder: Path) -> None:
    """A named pipe would be waited for."""
    os.mkfifo(folder / "vcek.der")
    with pytest.raises(DeviceError, match="no regular file"):
        read_endorsements(folder.parent, NAMES)

    (folder / "vcek.der").unlink()
    (folder / "vcek.der").symlink_to("vcek.der")
    with pytest.raises(DeviceError, match="cannot be read"):
        read_endorsements(folder.parent, NAMES)
