"""JSON documents that Intel signs: TCB information and the identities of quoting enclaves.

Intel, "Provisioning Certification Service API", versions 3 and 4. A file holds one
object with the document and the signature of the document's bytes as they stand
there. They are verified before anything in them is read, and never written anew:
another writer's JSON has other bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from enclaved.verifier.checks import Checks

__all__ = ["SignedDocument", "check_in_force", "read_signed_document"]

_FILE = r'\s*\{\s*"%s"\s*:\s*(\{.*\})\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]{128})"\s*\}\s*'
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document and its signature, nothing verified.

    Attributes:
        name: the file that it is from.
        body: the signed bytes.
        signature: r and s, 64 bytes.
    """

    name: str
    body: bytes
    signature: bytes

    def parse(self, checks: Checks) -> Mapping[str, object]:
        """Return what the signed bytes say, once the signature is verified.

        Raises:
            EvidenceError: they are no JSON object; the code is ``"unreadable"``.
        """
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise checks.unreadable(self.name, found=str(error), wanted="a JSON object") from error


def read_signed_document(data: bytes | None, name: str, key: str, checks: Checks) -> SignedDocument:
    """Return the document that a file holds.

    Args:
        data: the file's bytes; None where there is no such file.
        name: the file's name.
        key: the document's key in the file's object.
        checks: the record.

    Raises:
        EvidenceError: there is none, or it is of another shape; the code is ``"unreadable"``.
    """
    match = re.fullmatch((_FILE % key).encode(), data or b"", re.DOTALL)
    if match is None:
        found = "no such file" if data is None else "another shape"
        raise checks.unreadable(name, found=found, wanted=f'{{"{key}": …, "signature": "…"}}')
    return SignedDocument(name=name, body=match[1], signature=bytes.fromhex(match[2].decode()))


def check_in_force(name: str, issued: object, next_update: object, *, at: datetime, checks: Checks) -> None:
    """Check that a document is in force.

    Args:
        name: the document's name.
        issued: its ``issueDate``.
        next_update: its ``nextUpdate``.
        at: the time.
        checks: the record.

    Raises:
        EvidenceError: it is not (``"not_authentic"``), or its dates are none (``"unreadable"``).
    """
    try:
        start, end = (datetime.strptime(str(date), _TIME).replace(tzinfo=UTC) for date in (issued, next_update))
    except ValueError as error:
        raise checks.unreadable(name, found=str(error), wanted="dates such as 2025-01-31T12:00:00Z") from error
    checks.authentic(f"{name}: in force", found=at, wanted=f"{start:{_TIME}} to {end:{_TIME}}", ok=start <= at <= end)
