"""Why a zygote cannot be: told to the enclave in words that keep their parts apart.

A function that cannot be run as it is written is its author's to mend, and the text
says how; everything else is a fault of the sandbox. On its way through the control
socket the first kind is three parts joined by NUL.
"""

from __future__ import annotations

from typing import Final

from enclaved.errors import ConfigurationError, SandboxError

__all__ = ["read_refusal", "refusal_text"]

_MOST: Final = 4096
_PARTS: Final = 3


def refusal_text(error: Exception) -> bytes:
    """Return an error as the body of a message to the enclave."""
    match error:
        case ConfigurationError():
            text = "\0".join((error.where, error.problem, error.remedy))
        case _:
            text = f"{type(error).__name__}: {error}"
    return text.encode(errors="replace")[:_MOST]


def read_refusal(text: str, *, function: str) -> ConfigurationError | SandboxError:
    """Return the error that a zygote told.

    Args:
        text: what it told, or what else was wrong with it.
        function: the function's name.
    """
    parts = text.split("\0")
    if len(parts) != _PARTS:
        return SandboxError(f"function {function}: its zygote does not start: {text}")
    where, problem, remedy = parts
    return ConfigurationError(f"function {function}: {where}", problem, remedy=remedy)
