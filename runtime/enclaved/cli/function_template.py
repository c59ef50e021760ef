"""The functions that ``enclaved function new`` makes: small, complete, and meant to be changed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclaved.enclave.manifest import MANIFEST_NAME
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.topics import check_name

__all__ = ["TemplateEngine", "write_template"]


class TemplateEngine(StrEnum):
    """The engines that there is a template for."""

    PYTHON = "python"
    WASM = "wasm"


_MANIFEST: Final = """\
name = "{name}"
version = "0.1.0"
description = "Counts the words of a text"
{engine}
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

_HANDLER: Final = '''\
"""Counts the words of a text."""


def handle(payload: bytes) -> bytes:
    """Return the number of words in a UTF-8 text; what is raised reaches the caller, sealed."""
    words = payload.decode().split()
    return f"{len(words)} words\\n".encode()
'''

_SAMPLE: Final = {"sample.txt": b"Only the enclave reads this.\n", "expected.txt": b"5 words\n"}
_ENGINE_KEYS: Final = {
    TemplateEngine.PYTHON: 'engine = "python"\nentrypoint = "handler:handle"',
    TemplateEngine.WASM: 'engine = "wasm"\nmodule = "function.wasm"         # function.c says how it is built',
}
_WASM_FILES: Final = Path(__file__).parent / "wasm_template"


def write_template(name: str, *, into: Path, engine: TemplateEngine) -> Path:
    """Write a new function's folder.

    Args:
        name: the function's name.
        into: the folder of functions; made where it is not there.
        engine: what it is to run on.

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
        for file, contents in _files(name, engine).items():
            (folder / file).write_bytes(contents)
    except FileExistsError as error:
        raise ConfigurationError(str(folder), "is there already", remedy="Choose another name.") from error
    except OSError as error:
        raise ConfigurationError(
            str(folder), f"cannot be written ({error.strerror})", remedy="Name another folder with --functions."
        ) from error
    return folder


def _files(name: str, engine: TemplateEngine) -> Mapping[str, bytes]:
    manifest = _MANIFEST.replace("{name}", name).replace("{engine}", _ENGINE_KEYS[engine])
    return {MANIFEST_NAME: manifest.encode(), **_code(engine), **_SAMPLE}


def _code(engine: TemplateEngine) -> Mapping[str, bytes]:
    match engine:
        case TemplateEngine.PYTHON:
            return {"handler.py": _HANDLER.encode()}
        case TemplateEngine.WASM:
            return {path.name: path.read_bytes() for path in _WASM_FILES.iterdir() if path.is_file()}
