"""enclaved: an event-driven runtime for confidential functions.

The caller's names are offered here lazily, so that the enclave process, which
lives in the same distribution, never loads the caller or its MQTT library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enclaved.caller.caller import Caller
    from enclaved.caller.outcome import FunctionFailed, InvocationRefused, NoAnswer, Result
    from enclaved.caller.recipient import Recipient

__all__ = ["Caller", "FunctionFailed", "InvocationRefused", "NoAnswer", "Recipient", "Result", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "Caller": "enclaved.caller.caller",
    "FunctionFailed": "enclaved.caller.outcome",
    "InvocationRefused": "enclaved.caller.outcome",
    "NoAnswer": "enclaved.caller.outcome",
    "Recipient": "enclaved.caller.recipient",
    "Result": "enclaved.caller.outcome",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562 gives this signature
    """Load one of the caller's names when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'enclaved' has no attribute {name!r}")

    return getattr(import_module(_HOMES[name]), name)
