"""Anybody can recompute a function's digest with a shell; what a shell would see otherwise is an error."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from enclaved.enclave import folder_digest
from enclaved.enclave.folder_digest import digest_files, read_folder
from enclaved.errors import ConfigurationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# xxd and base64 follow.
PIPELINE = r"find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum | cut -c1-64"


def by_shell(folder: Path) -> str:
    """Return the digest that the documented pipeline gives."""
    hexadecimal = subprocess.run(["sh", "-c", PIPELINE], cwd=folder, capture_output=True, check=True).stdout
    return "h1:" + base64.b64encode(bytes.fromhex(hexadecimal.decode())).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a function's might be."""
    folder = tmp_path / "f"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "handler.py").write_bytes(b"def handle(payload): return payload\n")
    (folder / "data" / "deep" / "x.bin").write_bytes(bytes(range(256)))
    (folder / "data.txt").write_bytes(b"")
    return folder


def test_it_is_the_shells(folder: Path) -> None:
    """The one line that the documentation gives."""
    assert read_folder(folder).digest == by_shell(folder)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.lists(st.text("aZ0 _-!~'\"$*é€😀", min_size=1, max_size=6), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=20),
        min_size=1,
        max_size=6,
    )
)
def test_it_is_the_shells_for_any_names(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Spaces, quotes, letters of any script, sorted by their bytes; or the folder is refused."""
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, contents in files.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(contents)
        except OSError:  # one name is a file and a folder
            continue
    try:
        digest = read_folder(folder).digest
    except ConfigurationError:
        assert any(path.startswith("-") for path in files)
    else:
        assert digest == by_shell(folder)


def test_it_knows_paths_and_contents(folder: Path) -> None:
    """Of everything that is there, by its path from the folder."""
    assert dict(read_folder(folder).files) == {
        "handler.py": b"def handle(payload): return payload\n",
        "data/deep/x.bin": bytes(range(256)),
        "data.txt": b"",
    }


def test_each_byte_counts() -> None:
    """Contents, names, and which is whose."""
    digests = {
        digest_files(files)
        for files in ({"a": b"x", "b": b"y"}, {"a": b"y", "b": b"x"}, {"a": b"x"}, {"a": b"x", "c": b"y"})
    }

    assert len(digests) == 4


def _symlink(folder: Path) -> None:
    (folder / "link").symlink_to("handler.py")


def _folder_symlink(folder: Path) -> None:
    (folder / "link").symlink_to("data")


def _dangling(folder: Path) -> None:
    (folder / "link").symlink_to("nothing")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "fifo")


def _bytecode(folder: Path) -> None:
    (folder / "data" / "__pycache__").mkdir()


def _named(name: str | bytes) -> Callable[[Path], None]:
    def turn(folder: Path) -> None:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb"):
            pass

    return turn


@pytest.mark.parametrize(
    "turn",
    [
        _symlink,
        _folder_symlink,
        _dangling,
        _fifo,
        _bytecode,
        _named("new\nline"),
        _named("carriage\rreturn"),
        _named("back\\slash"),
        _named("-c"),
        _named("bell\a"),
        _named(b"not-\xff-utf8"),
    ],
    ids=["symlink", "folder", "dangling", "fifo", "pycache", "newline", "return", "backslash", "dash", "bell", "bytes"],
)
def test_what_a_digest_could_not_name_is_an_error(folder: Path, turn: Callable[[Path], None]) -> None:
    """Two readers could see two different folders; the error says which file and what to do."""
    turn(folder)

    with pytest.raises(ConfigurationError) as refused:
        read_folder(folder)

    assert refused.value.remedy


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Of configuration, not of the operating system."""
    with pytest.raises(ConfigurationError):
        read_folder(tmp_path / "nothing")


@pytest.mark.parametrize("sizes", [[(128 << 20) + 1], [50 << 20, 50 << 20, 50 << 20]], ids=["one", "together"])
def test_a_folder_that_is_too_big_is_an_error(folder: Path, sizes: list[int]) -> None:
    """It is held in memory; the size is looked at before the contents."""
    for number, size in enumerate(sizes):
        with (folder / f"big{number}").open("wb") as big:
            big.truncate(size)

    with pytest.raises(ConfigurationError) as refused:
        read_folder(folder)
    assert "MiB" in str(refused.value)


def test_too_many_files_are_an_error(folder: Path) -> None:
    """More than four thousand."""
    for number in range(4096):
        (folder / "data" / str(number)).touch()

    with pytest.raises(ConfigurationError):
        read_folder(folder)


def test_a_file_that_is_swapped_for_a_link_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between listing and reading; what it points to may be anything on the host."""
    read = folder_digest._read_file

    def swap_first(path: str) -> bytes:
        Path(path).unlink()
        Path(path).symlink_to("/etc/hostname")
        return read(path)

    monkeypatch.setattr(folder_digest, "_read_file", swap_first)
    with pytest.raises(ConfigurationError):
        read_folder(folder)


def test_what_is_written_is_what_was_hashed(folder: Path, tmp_path: Path) -> None:
    """Whatever became of the source since."""
    snapshot = read_folder(folder)
    (folder / "handler.py").write_bytes(b"something else")
    snapshot.write_to(tmp_path / "copy" / "f")

    assert read_folder(tmp_path / "copy" / "f").digest == snapshot.digest


def test_what_is_written_can_be_read_by_another_user_and_written_by_none(folder: Path, tmp_path: Path) -> None:
    """Sandboxes may run as another user, and the enclave's umask lets nobody in."""
    snapshot = read_folder(folder)
    before = os.umask(0o077)
    try:
        (tmp_path / "copy").mkdir()
        snapshot.write_to(tmp_path / "copy" / "f")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").rglob("*")}

    assert modes == {"f": 0o755, "data": 0o755, "deep": 0o755, "handler.py": 0o444, "data.txt": 0o444, "x.bin": 0o444}
