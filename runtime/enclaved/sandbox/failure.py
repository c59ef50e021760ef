"""What a function's failure says to its caller.

The text is for the one who wrote or called the function: the error, and the lines
of its own code that led there. It may hold parts of the input, so it is sealed
like a result and shown to nobody else.
"""

from __future__ import annotations

import traceback
from typing import Final

from enclaved.sandbox.answer import ERROR_BYTES, Answer, Status

__all__ = ["failure"]

_FRAMES: Final = 16
_CUT: Final = b"\n[cut]"


def failure(error: BaseException, *, folder: str) -> Answer:
    """Return the answer for an exception that left the function's code.

    Args:
        error: the exception.
        folder: the function's absolute folder; only lines of files in it are told.
    """
    match error:
        case MemoryError():
            return Answer(Status.MEMORY, b"")  # there may be no memory for words
        case SystemExit(code=str() as text):  # sys.exit("why") is how a script says what is wrong
            return Answer(Status.FAILED, _cut(f"exited: {text}".encode(errors="replace")))
        case SystemExit():
            return Answer(Status.FAILED, f"exited with status {_exit_status(error)}".encode())
        case _:
            return Answer(Status.FAILED, _cut(_text(error, folder).encode(errors="replace")))


def _text(error: BaseException, folder: str) -> str:
    try:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
        lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[-_FRAMES:])] if frames else []
        return "".join([*lines, *traceback.format_exception_only(error)]).replace(f"{folder}/", "").rstrip()
    except BaseException:  # noqa: BLE001 - an exception's own words are code of the function, and may raise anything
        return type(error).__name__


def _exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _cut(text: bytes) -> bytes:
    return text if len(text) <= ERROR_BYTES else text[: ERROR_BYTES - len(_CUT)] + _CUT
