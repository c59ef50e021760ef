"""What comes of an invocation: a verified result, or an exception that says why there is none.

A `Result` exists only where every check held. That a function failed, or that the
enclave refused to start it, is sealed and verified as well, and raised. Silence is
`NoAnswer`: it proves nothing about what the runtime did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from enclaved.errors import Error
from enclaved.verifier.attestation import VerifiedAttestation
from enclaved.verifier.checks import Check
from enclaved.wire.receipt import ReceiptClaims, attach_attestation

__all__ = ["FunctionFailed", "InvocationRefused", "NoAnswer", "Passage", "Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How an invocation reached its answer.

    Attributes:
        function: the function's name.
        invocation_id: 16 bytes; the same in result, receipt and the recipients' output.
        attestation: the verified attestation of the key that it was sealed to, with its verdict.
        sealed_bytes: size of the sealed header and ciphertext that were answered, without an offer.
        attempts: how often it was sent.
        round_trip_ms: from the call to the verified answer, in milliseconds.
    """

    function: str
    invocation_id: bytes
    attestation: VerifiedAttestation
    sealed_bytes: int
    attempts: int
    round_trip_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A verified answer of a function that ran.

    Attributes:
        status: ``"ok"``, or ``"failed"`` inside `FunctionFailed`.
        code: ``"ok"`` or the failure's code.
        output: what the function returned; its own error text where it failed.
        content_type: of the output.
        log: what it printed, at most 16 KiB.
        acknowledged: it was an event: the output went to its recipients, and is empty here.
        receipt: what the receipt states, verified.
        receipt_bytes: the receipt as it was signed.
        attestation_bytes: the attestation that the receipt names.
        checks: every check of the answer, after those of `attestation`'s verdict.
        passage: how the answer was reached.
    """

    status: Literal["ok", "failed"]
    code: str
    output: bytes = field(repr=False)
    content_type: str
    log: bytes = field(repr=False)
    acknowledged: bool
    receipt: ReceiptClaims
    receipt_bytes: bytes = field(repr=False)
    attestation_bytes: bytes = field(repr=False)
    checks: tuple[Check, ...] = field(repr=False)
    passage: Passage = field(repr=False)

    @property
    def attestation(self) -> VerifiedAttestation:
        """The verified attestation of the key that the invocation was sealed to."""
        return self.passage.attestation

    @property
    def invocation_id(self) -> bytes:
        """The invocation's 16 bytes."""
        return self.passage.invocation_id

    @property
    def attempts(self) -> int:
        """How often the invocation was sent."""
        return self.passage.attempts

    @property
    def round_trip_ms(self) -> float:
        """Milliseconds from the call to the verified answer."""
        return self.passage.round_trip_ms

    def receipt_file(self) -> bytes:
        """Return the receipt as one self-contained file: its attestation rides in the unprotected header."""
        return attach_attestation(self.receipt_bytes, self.attestation_bytes)


class FunctionFailed(Error):  # noqa: N818 - a published name: it says what happened, not that the SDK erred
    """The function ran in the verified enclave, and raised, exited, crashed or hit a limit.

    Attributes:
        result: the verified answer; its `output` is the function's own error text.
        code: ``"function_failed"``, ``"time_limit"``, ``"memory_limit"`` or ``"output_too_large"``.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.passage.function}: {result.code}")
        self.result = result
        self.code = result.code

    @property
    def output(self) -> bytes:
        """The function's own error text, as bytes."""
        return self.result.output

    @property
    def error_text(self) -> str:
        """The function's own error text; what is not UTF-8 in it is replaced."""
        return self.result.output.decode("utf-8", "replace")

    @property
    def log(self) -> bytes:
        """What the function printed."""
        return self.result.log

    @property
    def receipt(self) -> ReceiptClaims:
        """What the receipt states."""
        return self.result.receipt


class InvocationRefused(Error):  # noqa: N818 - a published name
    """The verified enclave did not start the function; the refusal came sealed.

    Attributes:
        code: ``"function_unknown"``, ``"caller_refused"``, ``"expired"``, ``"overloaded"``,
            ``"isolation_unavailable"`` or ``"input_too_large"``.
        passage: how the answer was reached.
    """

    def __init__(self, code: str, *, passage: Passage) -> None:
        super().__init__(f"{passage.function}: refused, {code}")
        self.code = code
        self.passage = passage


class NoAnswer(Error):  # noqa: N818 - a published name
    """No answer that verifies came in time. Whether the function ran is not known.

    Attributes:
        waited_for: ``"slot"``: too many invocations were under way; ``"runtime"``: none was
            announced; ``"challenge"``: the runtime did not answer with fresh evidence;
            ``"answer"``: the invocation was sent.
        timeout_s: how long was waited, in seconds.
        invocation_id: 16 bytes, or None where nothing was sealed.
        attempts: how often it was sent.
        hints: the codes of the hints that came, each once.
        dropped: how many messages came that were no answer of ours.
    """

    def __init__(
        self,
        waited_for: Literal["slot", "runtime", "challenge", "answer"],
        *,
        timeout_s: float,
        invocation_id: bytes | None = None,
        attempts: int = 0,
        hints: tuple[str, ...] = (),
        dropped: int = 0,
    ) -> None:
        hinted = f"; hinted {', '.join(hints)}" if hints else ""
        super().__init__(f"no {waited_for} within {timeout_s:g} s, sent {attempts} times{hinted}")
        self.waited_for = waited_for
        self.timeout_s = timeout_s
        self.invocation_id = invocation_id
        self.attempts = attempts
        self.hints = hints
        self.dropped = dropped
