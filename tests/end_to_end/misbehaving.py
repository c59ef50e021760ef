"""Functions that fail in every way there is, with a mark in all that they say, so that it can be looked for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from whole_runtime import write_function

__all__ = ["ERROR_MARK", "MISBEHAVING", "PRINT_MARK", "Misbehaviour", "write_misbehaving"]

ERROR_MARK = "mark-of-an-error-3f1c"
PRINT_MARK = "mark-of-a-print-8a42"
_PRINT = f"""\
import os, sys
print("{PRINT_MARK}", flush=True)


def handle(payload):
    print("{PRINT_MARK}", payload.decode())
    print("{PRINT_MARK}", payload.decode(), file=sys.stderr)
    os.write(1, b"{PRINT_MARK} past the interpreter\\n")
"""


class Misbehaviour(NamedTuple):
    """A function that goes wrong, and how its caller gets to know.

    Attributes:
        code: the result's.
        says: what stands in its error text.
        handler: its code.
        manifest: more lines of its manifest.
    """

    code: str
    says: str
    handler: str
    manifest: str = ""


MISBEHAVING = {
    "raises": Misbehaviour(
        "function_failed",
        f"ValueError: {ERROR_MARK}",
        f'def handle(payload):\n    raise ValueError("{ERROR_MARK} " + payload.decode())\n',
    ),
    "loops": Misbehaviour(
        "time_limit", "", "def handle(payload):\n    while True:\n        pass\n", "limits.time_ms = 700\n"
    ),
    "sleeps": Misbehaviour(
        "time_limit",
        "",
        "import time\n\n\ndef handle(payload):\n    time.sleep(60)\n",
        "limits.time_ms = 700\n",
    ),
    "hoards": Misbehaviour(
        "memory_limit",
        "memory",
        "def handle(payload):\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n",
        "limits.memory_mib = 32\n",
    ),
    "rambles": Misbehaviour(
        "output_too_large", "", "def handle(payload):\n    return payload * 1000\n", "limits.output_bytes = 64\n"
    ),
    "exits": Misbehaviour(
        "function_failed", "exited with status 3", "import sys\n\n\ndef handle(payload):\n    sys.exit(3)\n"
    ),
    "leaves": Misbehaviour(
        "function_failed", "exited with status 4", "import os\n\n\ndef handle(payload):\n    os._exit(4)\n"
    ),
    "crashes": Misbehaviour(
        "function_failed",
        "SIGSEGV",
        "import ctypes\n\n\ndef handle(payload):\n    kept = payload * 100\n    ctypes.string_at(0)\n",
    ),
    "mistypes": Misbehaviour("function_failed", "returned str", "def handle(payload):\n    return payload.decode()\n"),
    "broken": Misbehaviour(
        "function_failed",
        f"RuntimeError: {ERROR_MARK} at import",
        f'raise RuntimeError("{ERROR_MARK} at import")\n',
    ),
    "prints-and-raises": Misbehaviour(
        "function_failed", f"KeyError: '{ERROR_MARK}'", f'{_PRINT}    raise KeyError("{ERROR_MARK}")\n'
    ),
}
PRINTS = f"{_PRINT}    return payload[::-1]\n"


def write_misbehaving(functions: Path) -> None:
    """Write all of them, and `prints`, which does nothing wrong."""
    for name, each in MISBEHAVING.items():
        write_function(functions, name, each.handler, manifest=each.manifest)
    write_function(functions, "prints", PRINTS)
