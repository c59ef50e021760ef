"""``enclaved keygen``: private keys in files, public keys as text for manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enclaved.caller.keys import caller_public_text, create_caller_key, create_recipient_key, recipient_public_text
from enclaved.cli.options import Json
from enclaved.cli.report import errors_console, output_console, print_json, reporting
from enclaved.clock import system_random
from enclaved.wire.hpke import SUITES

__all__ = ["keygen"]


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key file to make; it must not exist.")],
    recipient: Annotated[bool, typer.Option("--recipient", help="A key that event outputs are sealed to.")] = False,
    suite: Annotated[str, typer.Option("--suite", help=f"With --recipient: {' or '.join(SUITES)}.")] = SUITES[0],
    json: Json = False,
) -> None:
    """Make a private key: a caller's, or with --recipient one that outputs of events are sealed to.

    The public half is printed as manifests want it: a caller's for `callers`, a recipient's for
    `output.recipients`.

    Examples:
      enclaved keygen me.key
      enclaved keygen ward.key --recipient
    """
    with reporting(json):
        if recipient:
            public = recipient_public_text(create_recipient_key(file, suite=suite, random=system_random))
        else:
            public = caller_public_text(create_caller_key(file, random=system_random))
        if json:
            print_json({"private_key_file": str(file), "public_key": public})
            return
        errors_console.print(f"The private key is in {file}; keep it there. The public key is:")
        output_console.print(public)
