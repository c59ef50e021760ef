"""``python -m enclaved.enclave``: the process that holds the keys, and nothing else of enclaved in it."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

import anyio

from enclaved.enclave.options import parse_options
from enclaved.enclave.process import run_enclave
from enclaved.errors import ConfigurationError, Error

__all__ = ["main"]

_USAGE = 2
_FAILED = 1


def main() -> int:
    """Run the enclave process and return its exit code."""
    sys.excepthook = _report_fault
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    code = 0
    try:
        anyio.run(run_enclave, parse_options(sys.argv[1:]))
    except* ConfigurationError as errors:
        _report(errors)
        code = _USAGE
    except* Error as errors:
        _report(errors)
        code = _FAILED
    return code


def _report(errors: BaseExceptionGroup[Error]) -> None:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _report(error)
        else:
            sys.stderr.write(f"enclaved enclave: {error}\n")


def _report_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say where a fault of ours came up, and not with which words: an exception's text may hold a plaintext."""
    places = [f"{place.filename}:{place.lineno}" for place in traceback.extract_tb(trace, limit=-3)]
    sys.stderr.write(f"enclaved enclave: fault {kind.__name__} at {', '.join(places)}\n")
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        _report_fault(type(each), each, each.__traceback__)


if __name__ == "__main__":
    sys.exit(main())
