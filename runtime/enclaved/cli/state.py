"""The state folder: what a runtime keeps over restarts, locked while it is in use.

It holds the runtime's name and, where evidence is simulated, the developer's own
root. No key of a bundle, no plaintext and no result is ever written to it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enclaved.clock import RandomBytes
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.topics import check_name

__all__ = ["StateFolder", "locked_state"]

_RUNTIME_ID = "runtime_id"
_LOCK = "lock"


class StateFolder:
    """A runtime's own folder, private to its user.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def runtime_id(self, *, random: RandomBytes) -> str:
        """Return the runtime's name, made up at the first start and kept since.

        Raises:
            ConfigurationError: the file that holds it was changed into something that is no name.
        """
        file = self.path / _RUNTIME_ID
        if not file.exists():
            _write_private(file, f"r-{random(6).hex()}\n")
        name = file.read_text().strip()
        try:
            check_name(name, what="runtime id")
        except ProtocolError as error:
            raise ConfigurationError(str(file), error.reason, remedy="Remove the file; a new name is made.") from error
        return name


@contextmanager
def locked_state(path: Path) -> Iterator[StateFolder]:
    """Open a state folder, making it where it is not there, and lock it.

    Args:
        path: the folder.

    Yields:
        The folder.

    Raises:
        ConfigurationError: it cannot be made, or another process uses it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be used ({error.strerror})", remedy="Name another with --state."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                str(path), "another runtime uses it", remedy="Stop that one, or name another with --state."
            ) from error
        yield StateFolder(path)
    finally:
        os.close(lock)


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
