"""Turning what a function left into what its caller, and its recipients, get.

The receipt commits to input and output with salts that travel only sealed. An
event's output goes to the recipients alone: the producer's acknowledgement holds
no output and no salt by which a short output could be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enclaved.clock import RandomBytes
from enclaved.enclave.epoch import Epoch
from enclaved.enclave.manifest import EventOutput
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.wire.bundle import FunctionEntry
from enclaved.wire.frames import Output
from enclaved.wire.header import InvocationHeader, ResultParts, join_result
from enclaved.wire.invocation import InvocationBody
from enclaved.wire.receipt import (
    PROFILE,
    ReceiptClaims,
    attach_attestation,
    output_commitment,
    request_commitment,
    sign_receipt,
)
from enclaved.wire.result import ResultBody, Status, seal_result
from enclaved.wire.sealed_output import OutputBody, OutputHeader, key_fingerprint, seal_output
from enclaved.wire.session import SessionKeys

__all__ = ["Answered", "Request", "answer_execution", "answer_refusal"]

_SALT_SIZE = 32
_ERROR_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request:
    """One authentic request, and what is needed to answer it.

    Attributes:
        epoch: the bundle that it is sealed to.
        keys: its session's.
        header: its header.
        body: its input.
        digest: of exactly this sealing.
        wants_attestation: the answer carries the attestation along.
    """

    epoch: Epoch
    keys: SessionKeys
    header: InvocationHeader
    body: InvocationBody
    digest: bytes
    wants_attestation: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Answered:
    """What leaves the enclave for one invocation.

    Attributes:
        reply: the result message for the caller.
        outputs: sealed outputs for recipients.
        refused: was it a refusal.
    """

    reply: bytes
    outputs: tuple[Output, ...]
    refused: bool


def answer_refusal(request: Request, code: str, *, random: RandomBytes) -> Answered:
    """Return the sealed refusal of a request that was not started.

    Args:
        request: the request.
        code: one of the refusals' codes.
        random: makes the salt.
    """
    body = ResultBody(
        status="refused",
        code=code,
        invocation_id=request.body.invocation_id,
        content_type="",
        output=b"",
        log=b"",
        receipt=None,
        request_salt=None,
        result_salt=None,
    )
    return Answered(reply=_seal(request, body, random=random), outputs=(), refused=True)


def answer_execution(
    request: Request,
    execution: Execution,
    *,
    entry: FunctionEntry,
    content_type: str,
    event: EventOutput | None,
    host_time: datetime,
    random: RandomBytes,
) -> Answered:
    """Return what an invocation that was started leaves behind.

    Args:
        request: the request.
        execution: how it ended.
        entry: the function, as the bundle names it.
        content_type: of a successful output.
        event: where the output goes, for an event function.
        host_time: the wall clock, by the host's account.
        random: makes the salts.
    """
    ok = execution.outcome is Outcome.OK
    output_type = content_type if ok else _ERROR_TYPE
    request_salt, result_salt = random(_SALT_SIZE), random(_SALT_SIZE)
    claims = _claims(request, execution, entry=entry, host_time=host_time, commitments=(
        request_commitment(request_salt, request.body.content_type, request.body.payload),
        output_commitment(result_salt, output_type, execution.output),
    ))  # fmt: skip
    receipt = sign_receipt(claims, key=request.epoch.keys.receipt_key)
    status: Status = "ok" if ok else "failed"
    body = ResultBody(
        status=status,
        code=execution.outcome.value,
        invocation_id=request.body.invocation_id,
        content_type=output_type if event is None else "",
        output=execution.output if event is None else b"",
        log=execution.log if event is None else b"",
        receipt=receipt,
        request_salt=request_salt,
        result_salt=result_salt if event is None else None,
    )
    outputs: tuple[Output, ...] = ()
    if event is not None:
        sealed = OutputBody(
            status=status,
            code=execution.outcome.value,
            invocation_id=request.body.invocation_id,
            content_type=output_type,
            output=execution.output,
            log=execution.log,
            receipt=attach_attestation(receipt, request.epoch.attestation),
            result_salt=result_salt,
            producer=None if request.keys.caller is None else key_fingerprint(request.keys.caller),
        )
        outputs = (_seal_output(request, sealed, event=event, random=random),)
    return Answered(reply=_seal(request, body, random=random), outputs=outputs, refused=False)


def _claims(
    request: Request,
    execution: Execution,
    *,
    entry: FunctionEntry,
    host_time: datetime,
    commitments: tuple[bytes, bytes],
) -> ReceiptClaims:
    return ReceiptClaims(
        runtime_id=request.header.runtime_id,
        host_time=int(host_time.timestamp()),
        invocation_id=request.body.invocation_id,
        profile=PROFILE,
        function=entry.name,
        function_digest=entry.digest,
        request_commitment=commitments[0],
        output_commitment=commitments[1],
        bundle_digest=request.epoch.bundle_digest,
        evidence_digest=request.epoch.evidence_digest,
        engine=entry.engine,
        isolation=entry.isolation,
        duration_us=int(execution.duration_ms * 1000),
        outcome=execution.outcome.value,
        sequence=request.header.sequence,
    )


def _seal(request: Request, body: ResultBody, *, random: RandomBytes) -> bytes:
    parts = seal_result(
        body,
        key_id=request.epoch.key_id,
        sequence=request.header.sequence,
        keys=request.keys,
        request_digest=request.digest,
        random=random,
    )
    attestation = request.epoch.attestation if request.wants_attestation else None
    return join_result(ResultParts(header=parts.header, ciphertext=parts.ciphertext, attestation=attestation))


def _seal_output(request: Request, body: OutputBody, *, event: EventOutput, random: RandomBytes) -> Output:
    header = OutputHeader(
        v=1, runtime_id=request.header.runtime_id, key_id=request.epoch.key_id, function=request.header.function
    )
    payload = seal_output(body, header=header, recipients=event.recipients, random=random)
    return Output(topic=event.topic, payload=payload)
