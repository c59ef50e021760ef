"""A folder of the enclave's own, for the time that it lives.

The standard library's `tempfile` and `shutil` would do, and bring three
decompressors along into the process that holds the keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enclaved.clock import RandomBytes

__all__ = ["make_folder", "private_folder", "remove_folder"]

_DEFAULT = "/tmp"  # noqa: S108 - only the parent: what is made in it has a random name and is nobody else's


@contextmanager
def private_folder(*, random: RandomBytes) -> Iterator[Path]:
    """Make a folder where temporary files go (``TMPDIR``), and remove it with all that is in it.

    Args:
        random: makes its name.

    Yields:
        The folder; others may pass through it, and not look around.
    """
    folder = make_folder(Path(os.environ.get("TMPDIR") or _DEFAULT), "enclaved", mode=0o711, random=random)
    try:
        yield folder
    finally:
        remove_folder(folder)


def make_folder(parent: Path, name: str, *, mode: int, random: RandomBytes) -> Path:
    """Make a folder that was not there before.

    Args:
        parent: where.
        name: how its name begins.
        mode: its permissions, whatever the umask.
        random: makes the rest of its name.
    """
    folder = parent / f"{name}-{random(8).hex()}"
    folder.mkdir(mode=0o700)  # fails where something is: nobody could have put it there beforehand
    folder.chmod(mode)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder and all that is in it."""
    for path, folders, files in os.walk(folder, topdown=False):  # links are not followed
        for name in files:
            Path(path, name).unlink()
        for name in folders:
            entry = Path(path, name)
            entry.unlink() if entry.is_symlink() else entry.rmdir()
    folder.rmdir()
