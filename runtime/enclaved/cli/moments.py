"""``--at``: as of when something is verified."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError
from enclaved.verifier.moment import Mode, evidence_time
from enclaved.wire.attestation import Evidence

__all__ = ["At", "moment_of", "parse_at"]

At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Verify as of an RFC 3339 time, or as of the 'evidence' itself [now]."),
]


def parse_at(text: str | None) -> tuple[datetime | None, Mode]:
    """Return the time and the mode that ``--at`` gives; no time where the evidence is to say it.

    Raises:
        ConfigurationError: it is neither a time with an offset nor the word ``evidence``.
    """
    if text is None:
        return SystemClock().now(), Mode.NOW
    if text == "evidence":
        return None, Mode.EVIDENCE
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise _error("not an RFC 3339 time") from error
    if at.tzinfo is None:
        raise _error("a time without an offset")
    return at.astimezone(UTC), Mode.GIVEN


def moment_of(text: str | None, evidence: Evidence) -> tuple[datetime, Mode]:
    """Return as of when to verify evidence, and the mode.

    Raises:
        ConfigurationError: the option is wrong, or evidence of this format holds no time of its own.
        EvidenceError: its own time cannot be read.
    """
    at, mode = parse_at(text)
    return (at if at is not None else evidence_time(evidence)), mode


def _error(problem: str) -> ConfigurationError:
    return ConfigurationError("--at", problem, remedy="Write it like 2026-11-21T12:00:00Z, or write evidence.")
