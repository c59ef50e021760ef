"""What a WebAssembly module's bytes say before anything is compiled (WebAssembly Core 2.0, section 5.5).

A core module is a magic number, a version and sections. Only what no library tells us
is read here: whether it has a start function, which would run before any input, and
what memory it asks for, so that the reason for a refusal is in a manifest's words.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from enclaved.errors import ConfigurationError

__all__ = ["PAGE", "WasmBinary", "read_binary"]

PAGE: Final = 64 * 1024
"""Bytes of one page of a WebAssembly memory."""

_MAGIC: Final = b"\0asm"
_CORE_VERSION: Final = b"\1\0\0\0"
_COMPONENT_LAYER: Final = b"\1\0"  # the last two bytes of the version field
_MEMORY_SECTION: Final = 5
_START_SECTION: Final = 8
_HAS_MAXIMUM: Final = 0x01
_KNOWN_FLAGS: Final = _HAS_MAXIMUM  # shared, 64-bit and odd-sized memories have flags of their own
_CORE_ONLY: Final = "Build a core module, as clang's --target=wasm32 does."


class WasmBinary(NamedTuple):
    """What is known of a module before it is compiled.

    Attributes:
        starts_itself: it has a start function.
        memory_bytes: how much memory it asks for at its start; 0 where it has none of its own.
        is_plain_memory: it has at most one memory, unshared and with 32-bit addresses.
    """

    starts_itself: bool = False
    memory_bytes: int = 0
    is_plain_memory: bool = True


def read_binary(code: bytes, *, where: str) -> WasmBinary:
    """Read a module's sections.

    Args:
        code: the module's bytes.
        where: its file, for errors.

    Raises:
        ConfigurationError: it is no core module.
    """
    if not code.startswith(_MAGIC):
        raise ConfigurationError(where, "it is no WebAssembly binary", remedy="Compile it; text (.wat) is not taken.")
    if code[6:8] == _COMPONENT_LAYER:
        raise ConfigurationError(where, "it is a component, and only core modules run here", remedy=_CORE_ONLY)
    if code[4:8] != _CORE_VERSION:
        raise ConfigurationError(where, "its version of WebAssembly is not 1", remedy=_CORE_ONLY)
    found = WasmBinary()
    try:
        at = 8
        while at < len(code):
            section, begin, at = _section(code, at)
            if section == _START_SECTION:
                found = found._replace(starts_itself=True)
            elif section == _MEMORY_SECTION:
                found = _with_memory(found, code[begin:at])
    except (ValueError, IndexError) as error:
        raise ConfigurationError(where, f"it is cut or damaged: {error}", remedy="Build it anew.") from error
    return found


def _section(code: bytes, at: int) -> tuple[int, int, int]:
    """Return a section's kind, and where its contents begin and end."""
    size, begin = _unsigned(code, at + 1)
    if begin + size > len(code):
        raise ValueError("a section goes beyond the file's end")
    return code[at], begin, begin + size


def _with_memory(found: WasmBinary, section: bytes) -> WasmBinary:
    count, at = _unsigned(section, 0)
    if count == 0:
        return found
    flags = section[at]
    pages, _ = _unsigned(section, at + 1)
    is_plain = count == 1 and not flags & ~_KNOWN_FLAGS
    return found._replace(memory_bytes=pages * PAGE, is_plain_memory=is_plain)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and where it ends."""
    value = 0
    for shift in range(0, 70, 7):  # ten bytes hold the 64 bits that a large memory's size may have
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than any can be")
