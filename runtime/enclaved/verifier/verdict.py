"""The verdict: everything that was looked at, and what came of it.

Code that goes on only with good evidence calls what raises. A verdict is for
people and machines that want to see how it was decided; both come from one run
of the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from enclaved.errors import AppraisalError, EvidenceError, ProtocolError
from enclaved.verifier.checks import Check, Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.moment import Mode
from enclaved.verifier.shown import JsonValue, rfc3339

__all__ = ["Failure", "Verdict", "VerdictError", "Verification"]

Failure = EvidenceError | AppraisalError | ProtocolError
"""What ends a verification before its last step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictError:
    """Why evidence was not accepted.

    Attributes:
        code: ``"unreadable"``, ``"unsupported"``, ``"not_authentic"`` or ``"refused"``.
        message: the failing step, what was found and what was wanted.
    """

    code: Literal["unreadable", "unsupported", "not_authentic", "refused"]
    message: str

    def to_json(self) -> dict[str, JsonValue]:
        """Return the error as a verdict holds it."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one verification.

    Attributes:
        authentic: stage one passed, bindings included.
        accepted: the policy accepts it; None where no policy was applied.
        format: the evidence format; None where it was never read.
        at: as of when it was verified; None where that was never found out.
        mode: where that time comes from.
        claims: what the evidence says; None unless the format's own steps passed.
        checks: all that was looked at, in order.
        error: why it was not accepted.
    """

    authentic: bool
    accepted: bool | None
    format: str | None
    at: datetime | None
    mode: Mode
    claims: Claims | None
    checks: tuple[Check, ...]
    error: VerdictError | None

    def to_json(self) -> dict[str, JsonValue]:
        """Return the verdict as a document: the same for every command that prints one."""
        return {
            "authentic": self.authentic,
            "accepted": self.accepted,
            "format": self.format,
            "at": None if self.at is None else rfc3339(self.at),
            "mode": self.mode.value,
            "claims": {} if self.claims is None else self.claims.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "error": None if self.error is None else self.error.to_json(),
        }


@dataclass(slots=True, kw_only=True)
class Verification:
    """One run of the steps: what it was asked, and how far it has come.

    Attributes:
        at: as of when; None where evidence that could not be read was to say.
        mode: where that time comes from.
        with_policy: is stage two part of it.
        format: the evidence format, once it is known.
        claims: the claims, once the format's own steps have passed.
        checks: what was looked at so far.
    """

    at: datetime | None
    mode: Mode
    with_policy: bool
    format: str | None = None
    claims: Claims | None = None
    checks: Checks = field(default_factory=Checks)

    def passed(self) -> Verdict:
        """Return the verdict of a run whose steps have all passed."""
        return self._verdict(authentic=True, accepted=True if self.with_policy else None, error=None)

    def failed(self, failure: Failure) -> Verdict:
        """Return the verdict of a run that this failure ended."""
        refused = isinstance(failure, AppraisalError)
        accepted = False if self.with_policy else None
        return self._verdict(authentic=refused, accepted=accepted, error=_verdict_error(failure))

    def _verdict(self, *, authentic: bool, accepted: bool | None, error: VerdictError | None) -> Verdict:
        return Verdict(
            authentic=authentic,
            accepted=accepted,
            format=self.format,
            at=self.at,
            mode=self.mode,
            claims=self.claims,
            checks=self.checks.done,
            error=error,
        )


def _verdict_error(failure: Failure) -> VerdictError:
    match failure:
        case AppraisalError():
            return VerdictError(code="refused", message=str(failure))
        case ProtocolError():
            return VerdictError(code="unreadable", message=str(failure))
        case EvidenceError(code="unreadable" | "unsupported" | "not_authentic" as code):
            return VerdictError(code=code, message=str(failure))
        case _:
            return VerdictError(code="not_authentic", message=str(failure))
