"""``enclaved invoke``: run one function in a verified enclave, and see by what it was verified."""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from enclaved.caller.caller import Caller
from enclaved.caller.outcome import FunctionFailed, InvocationRefused, Passage, Result
from enclaved.caller.receipt_check import receipt_claims_json
from enclaved.cli.exit_codes import ExitCode, exit_code_of
from enclaved.cli.options import ACCESS, Json, Timeout, with_settings
from enclaved.cli.payload import Data, File, Source, read_payload
from enclaved.cli.progress_view import progress_shown
from enclaved.cli.report import errors_console, finish, print_json, reporting
from enclaved.cli.settings import Settings
from enclaved.cli.verdict_view import print_receipt, print_verdict
from enclaved.errors import ConfigurationError
from enclaved.verifier.verdict import Verdict

__all__ = ["invoke", "verdict_of"]


@with_settings(*ACCESS, "policy", "key", "runtime_id")
def invoke(
    settings: Settings,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function's name.")],
    source: Source = None,
    data: Data = None,
    file: File = None,
    content_type: Annotated[str, typer.Option("--content-type", help="The input's media type.")] = "",
    receipt_out: Annotated[
        Path | None, typer.Option("--receipt-out", metavar="FILE", help="Keep the receipt, self-contained.")
    ] = None,
    timeout: Timeout = 30.0,
    json: Json = False,
) -> None:
    """Seal an input to a verified enclave, run a function there, and print its verified output.

    The output goes to standard output; the verdict and the receipt to standard error.

    Examples:
      enclaved invoke redact --file functions/redact/sample.txt --policy policy.toml
      echo "call me on 555-0100" | enclaved invoke redact - --policy policy.toml --receipt-out r.cbor
    """
    with reporting(json, failure=_failure_document):
        payload = read_payload(source, data, file)
        if settings.policy is None:
            raise ConfigurationError(
                "--policy",
                "nothing is sealed without one",
                remedy="`enclaved up` writes one for its own runtime; `enclaved policy init` drafts one.",
            )
        answer = anyio.run(_invoke, settings, name, payload, content_type, timeout)
        code = _show(answer, receipt_out, as_json=json)
    finish(code)


def verdict_of(result: Result) -> Verdict:
    """Return everything that was checked, of the attestation and of the answer, as one verdict."""
    verdict = result.attestation.verdict
    return replace(verdict, checks=(*verdict.checks, *result.checks))


async def _invoke(
    settings: Settings, name: str, payload: bytes, content_type: str, timeout_s: float
) -> Result | FunctionFailed | InvocationRefused:
    """Return the verified answer, whatever it is; what did not verify is raised."""
    with progress_shown() as observer:
        async with Caller.connect(
            settings.broker_url,
            namespace=settings.namespace,
            policy=settings.policy or "",
            key=settings.key,
            runtime=settings.runtime_id,
            transport=settings.transport,
            username=settings.username,
            password=settings.password,
            tls=settings.tls,
            observer=observer,
        ) as caller:
            try:
                return await caller.invoke(name, payload, timeout=timeout_s, content_type=content_type)
            except (FunctionFailed, InvocationRefused) as answer:
                return answer


def _show(answer: Result | FunctionFailed | InvocationRefused, receipt_out: Path | None, *, as_json: bool) -> ExitCode:
    result = answer if isinstance(answer, Result) else answer.result if isinstance(answer, FunctionFailed) else None
    if result is not None and receipt_out is not None:
        _write(receipt_out, result.receipt_file())
    if as_json:
        print_json(_refused_document(answer) if isinstance(answer, InvocationRefused) else _document(result))
    elif isinstance(answer, InvocationRefused):
        print_verdict(errors_console, answer.passage.attestation.verdict, title="verdict")
        errors_console.print(f"[bold red]refused[/] {answer.code}: the enclave did not start the function")
    elif result is not None:
        _print(result)
    return ExitCode.OK if isinstance(answer, Result) else exit_code_of(answer)


def _print(result: Result) -> None:
    print_verdict(errors_console, verdict_of(result), title="verdict")
    print_receipt(errors_console, result.receipt)
    if result.log:
        errors_console.print("[dim]the function printed:[/]")
        errors_console.print(result.log.decode("utf-8", "replace"), markup=False)
    if result.status == "failed":
        errors_console.print(f"[bold red]failed[/] {result.code}: the function's own words follow")
        errors_console.print(result.output.decode("utf-8", "replace"), markup=False)
    elif result.acknowledged:
        errors_console.print("[green]acknowledged[/]: the output went, sealed, to the function's recipients")
    else:
        sys.stdout.buffer.write(result.output)
        sys.stdout.flush()


def _document(result: Result | None) -> dict[str, Any]:
    if result is None:
        return _failure_document({})
    return {
        "status": result.status,
        "code": result.code,
        "output_base64": base64.b64encode(result.output).decode(),
        "content_type": result.content_type,
        "log_base64": base64.b64encode(result.log).decode(),
        "acknowledged": result.acknowledged,
        "verdict": verdict_of(result).to_json(),
        "receipt": receipt_claims_json(result.receipt),
        "attempts": result.attempts,
        "round_trip_ms": round(result.round_trip_ms, 3),
        "error": None,
    }


def _refused_document(refusal: InvocationRefused) -> dict[str, Any]:
    passage: Passage = refusal.passage
    return _failure_document({}) | {
        "status": "refused",
        "code": refusal.code,
        "verdict": passage.attestation.verdict.to_json(),
        "attempts": passage.attempts,
        "round_trip_ms": round(passage.round_trip_ms, 3),
        "error": None,
    }


def _failure_document(error: dict[str, str]) -> dict[str, Any]:
    return {
        "status": None,
        "code": error.get("code"),
        "output_base64": None,
        "content_type": None,
        "log_base64": None,
        "acknowledged": False,
        "verdict": None,
        "receipt": None,
        "attempts": 0,
        "round_trip_ms": None,
        "error": error or None,
    }


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be written ({error.strerror})", remedy="Name another with --receipt-out."
        ) from error
