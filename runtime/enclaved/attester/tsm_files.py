"""The few operations on files that configfs is asked through, so that tests can stand in for the kernel.

configfs is no ordinary file system: making a folder makes attributes appear in
it, a write is one request whole, a read computes, and removing the folder removes
the attributes. So nothing is removed one by one, and nothing is written twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from enclaved.clock import RandomBytes, system_random

__all__ = ["Files", "KernelFiles"]

_PREFIX = "enclaved-"


class Files(Protocol):
    """What is done with files; every method raises `OSError` as the kernel does."""

    def make_entry(self, folder: Path) -> Path:
        """Make an entry of a name that nobody else uses, and return its path."""
        ...

    def remove_entry(self, entry: Path) -> None:
        """Remove an entry, with the attributes that the kernel has put into it."""
        ...

    def read(self, path: Path, size: int) -> bytes:
        """Return an attribute's contents, at most so many bytes."""
        ...

    def write(self, path: Path, contents: bytes) -> None:
        """Write an attribute in one write."""
        ...


class KernelFiles:
    """The real ones.

    Args:
        random: names entries.
    """

    def __init__(self, random: RandomBytes = system_random) -> None:
        self._random = random

    def make_entry(self, folder: Path) -> Path:
        """Make an entry; its name is random, and one that is there already is an error."""
        entry = folder / f"{_PREFIX}{self._random(16).hex()}"
        entry.mkdir(mode=0o700)
        return entry

    def remove_entry(self, entry: Path) -> None:
        """Remove an entry."""
        entry.rmdir()

    def read(self, path: Path, size: int) -> bytes:
        """Return an attribute's contents; a binary one may come in several parts."""
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            return file.read(size)

    def write(self, path: Path, contents: bytes) -> None:
        """Write an attribute; one of bytes is taken when the file is closed, and only the generation tells whether."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb", buffering=0) as file:
            if file.write(contents) != len(contents):
                raise OSError("it was written in part")
