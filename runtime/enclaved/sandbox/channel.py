"""What passes between the enclave and a worker before the answer.

The worker says that it is locked down, then that it has loaded the function; the
enclave writes the input, its length first. The answer is in `answer.py`.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["CHANNEL", "CONFINED", "INPUT_LENGTH", "LOADED", "NOT_LOADED"]

CHANNEL: Final = 3
"""The worker's descriptor of the socket that all this passes through."""

CONFINED: Final = b"c"
"""Sent once the worker is locked down, before any code of the function runs."""

LOADED: Final = b"l"
"""Sent once the function's module has been executed."""

NOT_LOADED: Final = b"n"
"""Sent instead where that failed; the answer to any input then says why."""

INPUT_LENGTH: Final = struct.Struct(">I")
"""Precedes the input."""
