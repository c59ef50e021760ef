"""JSON documents that Intel signs: TCB information and the identities of quoting enclaves.

Intel, "Provisioning Certification Service API", versions 3 and 4. A file holds one
object with the document and the signature of the document's bytes as they stand
there. They are verified before anything in them is read, and never written anew:
another writer's JSON has other bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from enclaved.verifier.checks import Checks

__all__ = ["SignedDocument", "UnknownVersionError", "check_in_force", "read_signed_document"]

_Content = TypeVar("_Content")

_FILE = r'\s*\{\s*"%s"\s*:\s*(\{.*\})\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]{128})"\s*\}\s*'
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class UnknownVersionError(ValueError):
    """A document is of a version that is not known here."""


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

    def read(self, parse: Callable[[bytes], _Content], checks: Checks) -> _Content:
        """Return what the signed bytes say, once the signature is verified.

        Args:
            parse: turns the bytes into it; raises `ValueError` or an error of msgspec's.
            checks: the record.

        Raises:
            EvidenceError: they are of another shape (``"unreadable"``) or version (``"unsupported"``).
        """
        try:
            return parse(self.body)
        except UnknownVersionError as error:
            raise checks.unsupported(f"{self.name}: version", found=str(error), wanted="a known one") from error
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise checks.unreadable(self.name, found=str(error), wanted="a document of Intel's") from error


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
