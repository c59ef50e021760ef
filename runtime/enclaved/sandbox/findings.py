"""What came of trying the isolation levels, as the launcher tells the enclave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from enclaved.sandbox.isolation import IsolationLevel

__all__ = ["Finding", "decode_findings", "encode_findings"]


class Finding(NamedTuple):
    """What came of trying one level: nothing is wrong with it if `problem` is empty."""

    level: IsolationLevel
    problem: str


def encode_findings(findings: Sequence[Finding]) -> bytes:
    """Return findings as the body of a message."""
    fields = [field.replace("\0", " ") for finding in findings for field in finding]
    return "\0".join(fields).encode(errors="replace")


def decode_findings(body: str) -> tuple[Finding, ...]:
    """Read findings.

    Raises:
        ValueError: they name a level that there is not, or are cut.
    """
    fields = body.split("\0")
    return tuple(
        Finding(IsolationLevel(level), problem) for level, problem in zip(fields[::2], fields[1::2], strict=True)
    )
