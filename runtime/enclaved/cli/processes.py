"""``enclaved gateway`` and ``enclaved enclave``: each process alone, for deployments.

Both replace this process by the module that does the work, so that nothing of the
command line, the caller or the verifier stays in a process that holds keys.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

__all__ = ["PASS_THROUGH", "enclave", "gateway"]

PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Command settings: every option goes to the module as it is."""


def gateway(context: typer.Context) -> None:
    """Carry messages between a broker and an enclave: the untrusted process, which holds no key.

    Examples:
      enclaved gateway --broker mqtts://broker.example:8883 --link unix:/run/enclaved/link
    """
    _become("enclaved.gateway", context.args)


def enclave(context: typer.Context) -> None:
    """Hold the keys and run the functions: the trusted process, behind a gateway's link.

    Examples:
      enclaved enclave --runtime-id r1 --functions functions/ --link unix:/run/enclaved/link
    """
    _become("enclaved.enclave", context.args)


def _become(module: str, arguments: list[str]) -> NoReturn:
    sys.stdout.flush()
    command = [sys.executable, "-P", "-B", "-m", module, *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and module; no shell is meant
