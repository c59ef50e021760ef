"""Public keys as text, for manifests and people: the kind, a colon, and base64.

``ed25519:…`` is a caller's key; ``x25519:…`` and ``mlkem768-x25519:…`` are a
recipient's. One key has one spelling, so that two lists of the same keys are equal.
"""

from __future__ import annotations

import base64
import binascii

from enclaved.errors import ProtocolError
from enclaved.wire.hpke import SUITES, check_public_key
from enclaved.wire.sealed_output import RecipientKey

__all__ = ["caller_key_text", "parse_caller_key", "parse_recipient_key", "recipient_key_text"]

_CALLER_KIND = "ed25519"
_CALLER_SIZE = 32
_MAX_TEXT = 2048


def caller_key_text(public_key: bytes) -> str:
    """Return a caller's Ed25519 public key as text."""
    return _text(_CALLER_KIND, public_key)


def parse_caller_key(text: str) -> bytes:
    """Return the 32-byte Ed25519 public key that a text names.

    Raises:
        ProtocolError: it is not ``ed25519:`` and base64 of 32 bytes.
    """
    kind, key = _parse(text)
    if kind != _CALLER_KIND or len(key) != _CALLER_SIZE:
        raise ProtocolError("caller key", "not ed25519: and the base64 of 32 bytes")
    return key


def recipient_key_text(key: RecipientKey) -> str:
    """Return a recipient's public key as text."""
    return _text(key.suite, key.public_key)


def parse_recipient_key(text: str) -> RecipientKey:
    """Return the recipient's public key that a text names.

    Raises:
        ProtocolError: it is not a suite's name, a colon, and base64 of a key of that suite.
    """
    suite, key = _parse(text)
    if suite not in SUITES:
        raise ProtocolError("recipient key", f"not one of {', '.join(SUITES)}, a colon and base64")
    check_public_key(suite, key)
    return RecipientKey(suite=suite, public_key=key)


def _text(kind: str, key: bytes) -> str:
    return f"{kind}:{base64.b64encode(key).decode()}"


def _parse(text: str) -> tuple[str, bytes]:
    kind, _, encoded = text.partition(":")
    if len(text) > _MAX_TEXT:
        raise ProtocolError("key", f"more than {_MAX_TEXT} characters")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("key", "not a kind, a colon and base64") from error
    if _text(kind, key) != text:
        raise ProtocolError("key", "not in its one spelling")
    return kind, key
