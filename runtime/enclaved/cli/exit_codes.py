"""What each command's exit code means; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum

from enclaved.caller.outcome import FunctionFailed, InvocationRefused, NoAnswer
from enclaved.collateral.error import CollateralError
from enclaved.errors import AppraisalError, ConfigurationError, Error, EvidenceError, TransportError

__all__ = ["ExitCode", "error_code", "exit_code_of"]


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    """Done; the evidence is accepted, or authentic where no policy was applied."""
    FAILED = 1
    """The function failed or was refused, or a process could not run."""
    USAGE = 2
    """An option, file or configuration is wrong."""
    NOT_AUTHENTIC = 3
    """Evidence, receipt or result does not verify."""
    REFUSED = 4
    """It is authentic, but the policy refuses it."""
    UNREADABLE = 5
    """It cannot be read, or is of a kind that is not supported."""
    NO_ANSWER = 6
    """No verified answer came in time."""
    UNREACHABLE = 7
    """The broker cannot be reached, or a vendor's service has no answer."""


def exit_code_of(error: Error) -> ExitCode:
    """Return the exit code that an error ends a command with."""
    match error:
        case ConfigurationError():
            return ExitCode.USAGE
        case EvidenceError(code="not_authentic"):
            return ExitCode.NOT_AUTHENTIC
        case EvidenceError():
            return ExitCode.UNREADABLE
        case AppraisalError():
            return ExitCode.REFUSED
        case NoAnswer():
            return ExitCode.NO_ANSWER
        case TransportError() | CollateralError():
            return ExitCode.UNREACHABLE
        case FunctionFailed() | InvocationRefused():
            return ExitCode.FAILED
        case _:
            return ExitCode.FAILED


def error_code(error: Error) -> str:
    """Return the word by which a JSON document names an error."""
    match error:
        case EvidenceError(code=code):
            return code
        case FunctionFailed(code=code) | InvocationRefused(code=code):
            return code
        case AppraisalError():
            return "refused"
        case ConfigurationError():
            return "usage"
        case NoAnswer():
            return "no_answer"
        case TransportError():
            return "broker_unreachable"
        case CollateralError():
            return "collateral_unavailable"
        case _:
            return "failed"
