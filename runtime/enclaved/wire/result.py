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
from enclaved.wire.envelope import NONCE_ZERO, derive, encode_padded, open_envelope, seal_envelope
from enclaved.wire.header import ResultHeader, ResultParts, decode_result_header
from enclaved.wire.limits import MAX_RESULT
from enclaved.wire.session import SessionKeys

__all__ = ["CODES", "ResultBody", "Status", "open_result", "result_key", "seal_result"]

_LABEL = b"enclaved/1 result"
_SALT_SIZE = 32

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
    ciphertext = seal_envelope(encode_padded(body), key=key, nonce=NONCE_ZERO, header=header)
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
    if body.code not in CODES[body.status]:
        raise ProtocolError("result body", "a code that does not belong to its status")
    for salt in (body.request_salt, body.result_salt):
        if salt is not None and len(salt) != _SALT_SIZE:
            raise ProtocolError("result body", f"a salt has {_SALT_SIZE} bytes")
    return body
