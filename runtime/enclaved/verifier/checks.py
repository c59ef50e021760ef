"""Checks: a record of each thing that was looked at, so that a verdict can list them all.

A verifier hands one record through all of its steps. Each step states what it
found and what it wanted; a step that fails is recorded too, and then raises. So
nothing is decided without being listed, and nothing returns a verdict as a bool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from enclaved.errors import AppraisalError, EvidenceError
from enclaved.verifier.shown import JsonValue, as_text

__all__ = ["Check", "Checks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        check: the step or the policy's key, such as ``"chain"`` or ``"tcb_status"``.
        found: what was there, as text.
        wanted: what had to be there, as text.
        ok: was it there.
    """

    check: str
    found: str
    wanted: str
    ok: bool

    def to_json(self) -> dict[str, JsonValue]:
        """Return the check as a verdict lists it."""
        return {"check": self.check, "found": self.found, "wanted": self.wanted, "ok": self.ok}


class Checks:
    """The record of one verification, in the order in which things were looked at."""

    def __init__(self) -> None:
        self._done: list[Check] = []

    @property
    def done(self) -> tuple[Check, ...]:
        """All checks so far; only the last can be one that failed."""
        return tuple(self._done)

    def authentic(self, step: str, *, found: object, wanted: object, ok: bool) -> None:
        """Record a step of stage one.

        Args:
            step: the step's name, such as ``"signature"``.
            found: what is there.
            wanted: what has to be there.
            ok: is it.

        Raises:
            EvidenceError: it is not; the code is ``"not_authentic"``.
        """
        if not ok:
            raise self.not_authentic(step, found=found, wanted=wanted)
        self._record(step, found, wanted, ok=True)

    def equal(self, step: str, *, found: object, wanted: object) -> None:
        """Record a step of stage one that wants one exact value.

        Raises:
            EvidenceError: it is another, or of another type; the code is ``"not_authentic"``.
        """
        self.authentic(step, found=found, wanted=wanted, ok=type(found) is type(wanted) and found == wanted)

    def acceptable(self, claim: str, *, found: object, wanted: object, ok: bool) -> None:
        """Record a rule of stage two.

        Args:
            claim: the claim or the policy's key, such as ``"debug"``.
            found: what the evidence says.
            wanted: what the policy wants.
            ok: is it so.

        Raises:
            AppraisalError: it is not.
        """
        if not ok:
            raise self.not_acceptable(claim, found=found, wanted=wanted)
        self._record(claim, found, wanted, ok=True)

    def unreadable(self, step: str, *, found: object, wanted: object) -> EvidenceError:
        """Record a step that could not parse its input, and return the error to raise."""
        return self._failed("unreadable", step, found, wanted)

    def unsupported(self, step: str, *, found: object, wanted: object) -> EvidenceError:
        """Record a step that met a kind of input that it does not know, and return the error to raise."""
        return self._failed("unsupported", step, found, wanted)

    def not_authentic(self, step: str, *, found: object, wanted: object) -> EvidenceError:
        """Record a failed step of stage one, and return the error to raise."""
        return self._failed("not_authentic", step, found, wanted)

    def not_acceptable(self, claim: str, *, found: object, wanted: object) -> AppraisalError:
        """Record a failed rule of stage two, and return the error to raise."""
        self._record(claim, found, wanted, ok=False)
        return AppraisalError(claim, found=as_text(found), wanted=as_text(wanted))

    def _failed(
        self, code: Literal["unreadable", "unsupported", "not_authentic"], step: str, found: object, wanted: object
    ) -> EvidenceError:
        self._record(step, found, wanted, ok=False)
        return EvidenceError(code, step, found=as_text(found), wanted=as_text(wanted))

    def _record(self, check: str, found: object, wanted: object, *, ok: bool) -> None:
        self._done.append(Check(check=check, found=as_text(found), wanted=as_text(wanted), ok=ok))
