"""A result: the sealed answer to one sealing of one invocation.

Its key is made from the session's secret, a fresh salt and the digest of the
very request that it answers, and is used once. So a result opens only for the
request that it belongs to, and answering a repeat is safe.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from enclaved.clock import RandomBytes
from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.envelope import MIN_ANSWER, NONCE_ZERO, derive, encode_padded, open_envelope, seal_envelope
from enclaved.wire.header import ResultHeader, ResultParts, decode_result_header
from enclaved.wire.limits import MAX_LOG, MAX_PAYLOAD, MAX_RECEIPT, MAX_RESULT
from enclaved.wire.session import SessionKeys
from enclaved.wire.text import check_content_type

__all__ = ["CODES", "ResultBody", "Status", "check_output", "open_result", "result_key", "seal_result"]

_LABEL = b"enclaved/1 result"
_SALT_SIZE = 32
_ID_SIZE = 16

Status = Literal["ok", "failed", "refused"]

CODES: dict[str, frozenset[str]] = {
    "ok": frozenset({"ok"}),
    "failed": frozenset({"function_failed", "time_limit", "memory_limit", "output_too_large"}),
    "refused": frozenset(
        {
            "function_unknown",
            "caller_refused",
            "expired",
            "overloaded",
            "isolation_unavailable",
            "answer_gone",
            "replayed",
            "input_too_large",
        }
    ),
}
"""The closed table of codes by status."""


class ResultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What only the caller reads.

    Attributes:
        status: ``"ok"``: the function returned; ``"failed"``: it ran and raised, exited,
            crashed or hit a limit; ``"refused"``: it was not started.
        code: one of `CODES` for that status.
        invocation_id: the invocation's.
        content_type: of the output.
        output: the function's output, or its own error text; empty in an event's acknowledgement.
        log: what it printed, at most 16 KiB, cut and marked.
        receipt: the signed receipt, or None where nothing ran.
        request_salt: opens the receipt's commitment to the request, 32 bytes, or None.
        result_salt: opens the commitment to the output, 32 bytes, or None.
        padding: zeros up to the size's bucket.
    """

    status: Status
    code: str
    invocation_id: bytes
    content_type: str
    output: bytes
    log: bytes
    receipt: bytes | None
    request_salt: bytes | None
    result_salt: bytes | None
    padding: bytes = b""


def result_key(keys: SessionKeys, *, salt: bytes, request_digest: bytes) -> bytes:
    """Return the one-use key of the result that carries `salt` and answers that request."""
    return derive(keys.result_secret, salt=salt, info=(_LABEL, request_digest))


def seal_result(
    body: ResultBody,
    *,
    key_id: bytes,
    sequence: int,
    keys: SessionKeys,
    request_digest: bytes,
    random: RandomBytes,
) -> ResultParts:
    """Seal the answer to one request.

    Args:
        body: the answer; `padding` is filled in here.
        key_id: the bundle's that the session belongs to.
        sequence: the request's.
        keys: the session's.
        request_digest: of the request that is answered.
        random: makes the salt.

    Returns:
        Header and ciphertext; the attestation is left to the caller of this function.
    """
    salt = random(_SALT_SIZE)
    header = encode(ResultHeader(v=1, key_id=key_id, session_id=keys.session_id, sequence=sequence, salt=salt))
    key = result_key(keys, salt=salt, request_digest=request_digest)
    ciphertext = seal_envelope(encode_padded(body, least=MIN_ANSWER), key=key, nonce=NONCE_ZERO, header=header)
    return ResultParts(header=header, ciphertext=ciphertext, attestation=None)


def open_result(parts: ResultParts, *, keys: SessionKeys, request_digest: bytes) -> ResultBody:
    """Open the answer to a request of ours.

    Args:
        parts: a result, as received.
        keys: the session's that its header names.
        request_digest: of the request that we sent.

    Returns:
        The answer.

    Raises:
        ProtocolError: it does not open, or what opens is not an answer.
    """
    header = decode_result_header(parts.header)
    key = result_key(keys, salt=header.salt, request_digest=request_digest)
    opened = open_envelope(parts.ciphertext, key=key, nonce=NONCE_ZERO, header=parts.header)
    body = decode(opened, ResultBody, what="result body", max_size=MAX_RESULT, max_depth=1)
    _check_answer(body)
    return body


def check_output(what: str, *, invocation_id: bytes, content_type: str, output: bytes, log: bytes) -> None:
    """Check what answers and sealed outputs have in common.

    Raises:
        ProtocolError: an id or a content type that is none, or an output or log over its limit.
    """
    if len(invocation_id) != _ID_SIZE:
        raise ProtocolError(what, f"an invocation id has {_ID_SIZE} bytes")
    check_content_type(content_type, what=what)
    if len(output) > MAX_PAYLOAD or len(log) > MAX_LOG:
        raise ProtocolError(what, f"an output of more than {MAX_PAYLOAD} bytes, or a log of more than {MAX_LOG}")


def _check_answer(body: ResultBody) -> None:
    if body.code not in CODES[body.status]:
        raise ProtocolError("result body", "a code that does not belong to its status")
    check_output(
        "result body",
        invocation_id=body.invocation_id,
        content_type=body.content_type,
        output=body.output,
        log=body.log,
    )
    ran = body.status != "refused"
    if ran != (body.receipt is not None) or ran != (body.request_salt is not None):
        raise ProtocolError("result body", "a receipt and its salt belong to what ran, and to nothing else")
    if body.receipt is not None and len(body.receipt) > MAX_RECEIPT:
        raise ProtocolError("result body", f"a receipt of more than {MAX_RECEIPT} bytes")
    if any(salt is not None and len(salt) != _SALT_SIZE for salt in (body.request_salt, body.result_salt)):
        raise ProtocolError("result body", f"a salt has {_SALT_SIZE} bytes")
