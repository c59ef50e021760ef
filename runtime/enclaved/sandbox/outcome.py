"""How an invocation ended, and what it left for its caller.

The words are the protocol's codes. `output` and `log` are the function's own
words, written by code that nobody trusts: they go to the caller, sealed, and
never into a log of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Execution", "Outcome"]


class Outcome(StrEnum):
    """How an invocation that was started ended."""

    OK = "ok"
    FUNCTION_FAILED = "function_failed"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_TOO_LARGE = "output_too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One invocation that was started, and how it ended.

    Attributes:
        outcome: how it ended.
        output: the function's result, or the text of its failure in UTF-8.
        log: what it wrote to stdout and stderr, cut and marked at `LOG_BYTES`.
        duration_ms: from the moment that its input was written.
    """

    outcome: Outcome
    output: bytes = field(repr=False)  # a representation ends up in logs, and logs are the host's to read
    log: bytes = field(default=b"", repr=False)
    duration_ms: float
