"""Endorsements that an operator has put beside the runtime, to travel with its evidence.

What vouches for a device changes seldom and is no secret: certificates, revocation
lists, a quote that a cloud makes once for each boot. Devices that cannot give it
themselves find it in the state folder. Nothing in it is believed here; verifiers
check it, and a wrong one costs only the evidence that it travels with.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from enclaved.errors import DeviceError
from enclaved.wire.limits import MAX_ENDORSEMENT

__all__ = ["FOLDER", "read_endorsements"]

FOLDER = "endorsements"


def read_endorsements(state: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return those of the named files that lie in the state folder's ``endorsements``.

    Args:
        state: the runtime's state folder.
        names: the file names that a device's evidence may have.

    Raises:
        DeviceError: one cannot be read, or is no file of at most `MAX_ENDORSEMENT` bytes.
    """
    found = {name: _read(state / FOLDER / name) for name in names}
    return {name: contents for name, contents in found.items() if contents is not None}


def _read(path: Path) -> bytes | None:
    try:
        # Not blocking: opening a named pipe would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DeviceError(f"{path}: no regular file")
            contents = file.read(MAX_ENDORSEMENT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeviceError(f"{path}: it cannot be read: {error.strerror}") from error
    if not 0 < len(contents) <= MAX_ENDORSEMENT:
        raise DeviceError(f"{path}: 1 to {MAX_ENDORSEMENT} bytes are wanted")
    return contents
