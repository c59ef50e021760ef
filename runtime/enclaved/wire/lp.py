"""Joining the parts of a hash, signature or key-derivation input.

Joined bare, a byte could change sides between two parts and the digest would
stay the same. So every such input is a sequence of parts, each with its length
before it, and the first part is a label that no other use has.
"""

from __future__ import annotations

import hashlib

__all__ = ["length_prefixed", "sha256"]


def length_prefixed(*parts: bytes) -> bytes:
    """Return LP(part) for each part, joined: a 4-byte big-endian length, then the part.

    Args:
        parts: each at most 2**32 - 1 bytes.

    Returns:
        The joined bytes.
    """
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def sha256(label: bytes, *parts: bytes) -> bytes:
    """Return SHA-256(LP(label) ‖ LP(part) ‖ …), 32 bytes.

    Args:
        label: the domain label, such as ``b"enclaved/1 key bundle"``.
        parts: what is hashed under it.

    Returns:
        The 32-byte digest.
    """
    digest = hashlib.sha256(length_prefixed(label))
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)  # not joined first: a payload is not copied to be hashed
    return digest.digest()
