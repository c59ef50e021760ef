"""Reading files that a person names, sizes before contents."""

from __future__ import annotations

import sys
from pathlib import Path

from enclaved.errors import ConfigurationError

__all__ = ["read_file", "read_stdin"]


def read_file(path: Path, *, most: int) -> bytes:
    """Return a file's bytes.

    Args:
        path: the file.
        most: how many bytes it may have.

    Raises:
        ConfigurationError: it cannot be read, or has more.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be read ({error.strerror})", remedy="Name another file."
        ) from error
    return _bounded(data, str(path), most)


def read_stdin(*, most: int) -> bytes:
    """Return what standard input holds.

    Raises:
        ConfigurationError: it has more than `most` bytes.
    """
    return _bounded(sys.stdin.buffer.read(most + 1), "standard input", most)


def _bounded(data: bytes, where: str, most: int) -> bytes:
    if len(data) > most:
        raise ConfigurationError(where, f"more than {most} bytes", remedy="Send it in parts.")
    return data
