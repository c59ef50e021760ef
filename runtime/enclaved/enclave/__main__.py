"""``python -m enclaved.enclave``: the process that holds the keys, and nothing else of enclaved in it."""

from __future__ import annotations

import logging
import sys

import anyio

from enclaved.enclave.options import parse_options
from enclaved.enclave.process import run_enclave
from enclaved.errors import ConfigurationError, Error

__all__ = ["main"]

_USAGE = 2
_FAILED = 1


def main() -> int:
    """Run the enclave process and return its exit code."""
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


if __name__ == "__main__":
    sys.exit(main())
