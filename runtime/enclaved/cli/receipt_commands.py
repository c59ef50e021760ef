"""``enclaved receipt …``: verifying receipts, offline and by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enclaved.caller.receipt_check import ReceiptVerdict, verify_receipt_file
from enclaved.cli.evidence_commands import verdict_exit_code
from enclaved.cli.files import read_file
from enclaved.cli.moments import parse_at
from enclaved.cli.options import Json
from enclaved.cli.report import finish, output_console, print_json, reporting
from enclaved.cli.verdict_view import print_receipt, print_verdict
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy_document import read_policy
from enclaved.wire.limits import MAX_ATTESTATION, MAX_RECEIPT

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Verify receipts.")


@app.callback()
def receipt() -> None:
    """Verify receipts."""


@app.command("verify")
def verify_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt from `invoke --receipt-out`.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Your policy document [authentic or not, alone].")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="As of an RFC 3339 time, 'now', or the 'evidence' [the receipt's time]."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Verify a receipt and the attestation inside it, without a network and without the data.

    Examples:
      enclaved receipt verify r.cbor
      enclaved receipt verify r.cbor --policy policy.toml --json
    """
    with reporting(json):
        accepted = None if policy is None else read_policy(policy)
        data = read_file(file, most=MAX_RECEIPT + MAX_ATTESTATION)
        moment, mode = (None, Mode.GIVEN) if at is None else parse_at(None if at == "now" else at)
        verified = verify_receipt_file(data, accepted, at=moment, mode=mode)
        _print(verified, as_json=json)


def _print(verified: ReceiptVerdict, *, as_json: bool) -> None:
    if as_json:
        print_json(verified.to_json())
    else:
        if verified.receipt is not None and verified.verdict.authentic:
            print_receipt(output_console, verified.receipt)
        print_verdict(output_console, verified.verdict, title="receipt verify")
    finish(verdict_exit_code(verified.verdict))
