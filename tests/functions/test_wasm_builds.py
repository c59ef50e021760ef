"""The committed WebAssembly is what its source makes, to the byte, with the compiler that its README names."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import enclaved.cli
import pytest

COMPILER = "Debian clang version 14.0.6"
_TEMPLATE = Path(enclaved.cli.__file__).parent / "wasm_template"
_FUNCTIONS = Path(__file__).parents[2] / "functions"
FOLDERS = [_FUNCTIONS / "image-thumbnail", _FUNCTIONS / "word-count", _TEMPLATE]
_BUILD = re.compile(r"^ \* (clang .*)$", re.MULTILINE)


def build_line(folder: Path) -> list[str]:
    """Return the one build line of a folder's sources, as words."""
    lines = [line for source in folder.glob("*.c") for line in _BUILD.findall(source.read_text())]
    assert len(lines) == 1
    return shlex.split(lines[0])


def _missing() -> str:
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        return "clang or lld is not installed"
    found = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return "" if found.startswith(COMPILER) else f"another compiler makes other bytes: {found}, not {COMPILER}"


@pytest.mark.skipif(bool(_missing()), reason=_missing() or "never")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_source_makes_these_bytes(folder: Path, tmp_path: Path) -> None:
    """So whoever reads the source knows what runs; where it is built does not matter."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    (committed,) = folder.glob("*.wasm")
    (copy / committed.name).unlink()

    subprocess.run(build_line(folder), cwd=copy, check=True)

    assert (copy / committed.name).read_bytes() == committed.read_bytes()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_sums_are_those_of_the_modules(folder: Path) -> None:
    """`sha256sum -c SHA256SUMS` says so, too."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()

    assert lines == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in folder.glob("*.wasm")]


def test_every_folder_has_the_same_header() -> None:
    """Each is complete in itself, and none has a header of its own."""
    assert len({(folder / "enclaved.h").read_bytes() for folder in FOLDERS}) == 1
