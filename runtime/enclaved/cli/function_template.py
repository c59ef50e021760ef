"""The function that ``enclaved function new`` makes: small, complete, and meant to be changed."""

from __future__ import annotations

from pathlib import Path

from enclaved.enclave.manifest import MANIFEST_NAME
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.topics import check_name

__all__ = ["write_template"]

_MANIFEST = """\
name = "{name}"
version = "0.1.0"
description = "Counts the words of a text"
engine = "python"
entrypoint = "handler:handle"
content_type = "text/plain"
callers = "any"                  # or a list of keys from `enclaved keygen`

[limits]
time_ms = 1000
memory_mib = 64

[sample]
input = "sample.txt"
output = "expected.txt"
content_type = "text/plain"
"""

_HANDLER = '''\
"""Counts the words of a text."""


def handle(payload: bytes) -> bytes:
    """Return the number of words in a UTF-8 text; what is raised reaches the caller, sealed."""
    words = payload.decode().split()
    return f"{len(words)} words\\n".encode()
'''

_FILES = {
    MANIFEST_NAME: _MANIFEST,
    "handler.py": _HANDLER,
    "sample.txt": "Only the enclave reads this.\n",
    "expected.txt": "5 words\n",
}


def write_template(name: str, *, into: Path) -> Path:
    """Write a new function's folder.

    Args:
        name: the function's name.
        into: the folder of functions; made where it is not there.

    Returns:
        The function's folder.

    Raises:
        ConfigurationError: the name cannot be one, or the folder is there already.
    """
    try:
        check_name(name, what="name")
    except ProtocolError as error:
        raise ConfigurationError(f"name {name[:80]!r}", error.reason, remedy="Write it like my-function.") from error
    folder = into / name
    try:
        folder.mkdir(parents=True)
        for file, text in _FILES.items():
            (folder / file).write_text(text.replace("{name}", name))
    except FileExistsError as error:
        raise ConfigurationError(str(folder), "is there already", remedy="Choose another name.") from error
    except OSError as error:
        raise ConfigurationError(
            str(folder), f"cannot be written ({error.strerror})", remedy="Name another folder with --functions."
        ) from error
    return folder
