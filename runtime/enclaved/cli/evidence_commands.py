"""``enclaved evidence …``: fetching, showing, verifying and appraising evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from enclaved.cli.evidence_completion import complete_command
from enclaved.cli.evidence_view import print_evidence
from enclaved.cli.exit_codes import ExitCode
from enclaved.cli.fetching import Fetched, fetch
from enclaved.cli.moments import At, moment_of
from enclaved.cli.options import ACCESS, Json, Timeout, with_settings
from enclaved.cli.report import errors_console, finish, output_console, print_json, reporting
from enclaved.cli.settings import Settings
from enclaved.cli.verdict_view import print_verdict
from enclaved.clock import SystemClock
from enclaved.collateral.completion import COMPLETED_FORMATS
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.evidence import judge_evidence
from enclaved.verifier.evidence_folder import read_folder, write_folder
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.moment import Mode
from enclaved.verifier.policy import Policy
from enclaved.verifier.policy_document import read_policy
from enclaved.verifier.verdict import Verdict, Verification
from enclaved.wire.attestation import Evidence

__all__ = ["app", "verdict_exit_code"]

app = typer.Typer(no_args_is_help=True, help="Fetch, complete, show, verify and appraise evidence.")

_EXIT = {
    "unreadable": ExitCode.UNREADABLE,
    "unsupported": ExitCode.UNREADABLE,
    "not_authentic": ExitCode.NOT_AUTHENTIC,
    "refused": ExitCode.REFUSED,
}
_FORMAT_HELP = f"The evidence's format: {', '.join(FORMATS)}."

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Evidence folder.")]
FormatName = Annotated[str, typer.Option("--format", help=_FORMAT_HELP)]
Nonce = Annotated[
    str | None, typer.Option("--nonce", metavar="HEX", help="The exact bytes that the format's own field must hold.")
]


@app.command("fetch")
@with_settings(*ACCESS, "runtime_id")
def fetch_command(
    settings: Settings,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Evidence folder to write.")],
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Challenge a runtime with a fresh nonce and keep its evidence in a folder; nothing is judged yet.

    Examples:
      enclaved evidence fetch --out evidence/
    """
    fetched = anyio.run(fetch, settings, timeout)
    write_folder(fetched.attestation.evidence, out)
    document = _fetched_document(fetched, out)
    if json:
        print_json(document)
        return
    errors_console.print(f"[green]fetched[/] {document['format']} evidence of {document['runtime_id']} into {out}")
    errors_console.print("  it is not verified yet: enclaved evidence show, verify or appraise")
    if document["format"] in COMPLETED_FORMATS:
        errors_console.print("  what its vendor says of the machine: enclaved evidence complete")


@app.command("show")
@with_settings(*ACCESS, "runtime_id")
def show_command(
    settings: Settings,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Evidence folder [a fresh one].")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    at: At = None,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Show evidence, of a folder or fresh from a runtime: the chain of trust, the claims, each check.

    Examples:
      enclaved evidence show
      enclaved evidence show evidence/ --format simulated
    """
    if folder is None:
        evidence = anyio.run(fetch, settings, timeout).attestation.evidence
    else:
        evidence = read_folder(_format_of(folder, format_name), folder)
    verdict = _judge(evidence, None, at=at, nonce=None)
    if json:
        print_json(verdict.to_json())
    else:
        print_evidence(output_console, verdict)
    finish(verdict_exit_code(verdict))


@app.command("verify")
def verify_command(
    folder: Folder, format_name: FormatName, nonce: Nonce = None, at: At = None, json: Json = False
) -> None:
    """Tell whether evidence is authentic, and what it claims; no policy is applied.

    Examples:
      enclaved evidence verify --format simulated evidence/
    """
    with reporting(json):
        verdict = _judge_folder(folder, format_name, None, at=at, nonce=nonce)
        _print(verdict, as_json=json, title="evidence verify")


@app.command("appraise")
def appraise_command(
    folder: Folder,
    format_name: FormatName,
    policy: Annotated[Path, typer.Option("--policy", metavar="FILE", help="Your policy document.")],
    nonce: Nonce = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Tell whether evidence is authentic and whether a policy accepts it.

    Examples:
      enclaved evidence appraise --format simulated evidence/ --policy policy.toml
    """
    with reporting(json):
        verdict = _judge_folder(folder, format_name, read_policy(policy), at=at, nonce=nonce)
        _print(verdict, as_json=json, title="evidence appraise")


app.command("complete")(complete_command)


def verdict_exit_code(verdict: Verdict) -> ExitCode:
    """Return the exit code that a verdict ends a command with."""
    return ExitCode.OK if verdict.error is None else _EXIT[verdict.error.code]


def _print(verdict: Verdict, *, as_json: bool, title: str) -> None:
    if as_json:
        print_json(verdict.to_json())
    else:
        print_verdict(output_console, verdict, title=title)
    finish(verdict_exit_code(verdict))


def _judge_folder(
    folder: Path, format_name: str, policy: Policy | None, *, at: str | None, nonce: str | None
) -> Verdict:
    expected = _nonce(nonce)
    if format_name not in FORMATS:
        raise ConfigurationError("--format", "there is no such format", remedy=f"Write one of {', '.join(FORMATS)}.")
    try:
        evidence = read_folder(format_name, folder)
    except EvidenceError as error:
        failed = Verification(at=SystemClock().now(), mode=Mode.NOW, with_policy=policy is not None, format=format_name)
        return failed.failed(error)
    return _judge(evidence, policy, at=at, nonce=expected)


def _judge(evidence: Evidence, policy: Policy | None, *, at: str | None, nonce: bytes | None) -> Verdict:
    try:
        moment, mode = moment_of(at, evidence)
    except EvidenceError as error:
        failed = Verification(at=None, mode=Mode.EVIDENCE, with_policy=policy is not None, format=evidence.format)
        return failed.failed(error)
    return judge_evidence(evidence, policy, at=moment, mode=mode, nonce=nonce)


def _nonce(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise ConfigurationError("--nonce", "not hexadecimal", remedy="Write an even number of hex digits.") from error


def _format_of(folder: Path, format_name: str | None) -> str:
    """Return the format that was named, or the only one whose report lies in the folder."""
    if format_name is not None:
        return format_name
    found = [name for name, each in FORMATS.items() if (folder / each.report_file).is_file()]
    if len(found) != 1:
        raise ConfigurationError(
            str(folder), f"reports of {len(found)} formats lie there", remedy=f"Name one of {', '.join(FORMATS)}."
        )
    return found[0]


def _fetched_document(fetched: Fetched, out: Path) -> dict[str, str]:
    return {
        "format": fetched.attestation.evidence.format,
        "runtime_id": fetched.bundle.runtime_id,
        "namespace": fetched.bundle.namespace,
        "nonce": fetched.nonce.hex(),
        "binding": fetched.binding.hex(),
        "folder": str(out),
    }
