"""Evidence as one string of bytes, as a fuzzer turns it: `file number, length, contents`, again and again.

A length that runs over the end takes what is left, and a number is taken modulo
the format's files, so nearly every string is some evidence.
"""

from __future__ import annotations

from enclaved.verifier.format import Format
from enclaved.wire.attestation import Evidence

__all__ = ["file_names", "pack", "unpack"]

_NUMBER, _LENGTH = 1, 2


def file_names(format_: Format) -> tuple[str, ...]:
    """Return the files of a format, the report first; a pattern stands for one file."""
    return (format_.report_file, *(name.replace("*", "fuzzed") for name in format_.endorsement_files))


def pack(evidence: Evidence, format_: Format) -> bytes:
    """Return evidence as one string; a file that a pattern matches takes the pattern's place."""
    names = file_names(format_)
    packed = _file(0, evidence.report)
    for name, contents in evidence.endorsements.items():
        number = names.index(name) if name in names else names.index(f"fuzzed{name[name.rindex('.') :]}")
        packed += _file(number, contents)
    return packed


def unpack(data: bytes, format_: Format) -> Evidence:
    """Return the evidence that a string stands for."""
    names = file_names(format_)
    files: dict[str, bytes] = {}
    while len(data) >= _NUMBER + _LENGTH:
        size = int.from_bytes(data[_NUMBER : _NUMBER + _LENGTH], "big")
        start = _NUMBER + _LENGTH
        files[names[data[0] % len(names)]] = data[start : start + size]
        data = data[start + size :]
    report = files.pop(format_.report_file, b"")
    return Evidence(format=format_.name, report=report, endorsements=files)


def _file(number: int, contents: bytes) -> bytes:
    return number.to_bytes(_NUMBER, "big") + len(contents).to_bytes(_LENGTH, "big") + contents
