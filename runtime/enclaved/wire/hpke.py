"""HPKE (RFC 9180, base mode): the one file that knows it.

Two suites, by the names that bundles and policies use. Both use HKDF-SHA256 and
AES-256-GCM; what differs is the key encapsulation:

- ``mlkem768-x25519``: X-Wing, KEM 0x647a, secure while either ML-KEM-768 or
  X25519 is. A public key is the ML-KEM key (1184 bytes), then the X25519 key (32).
- ``x25519``: DHKEM(X25519, HKDF-SHA256), KEM 0x0020, for small devices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from enclaved.clock import RandomBytes
from enclaved.errors import ProtocolError

__all__ = ["SEED_SIZE", "SUITES", "PrivateKey", "check_public_key", "generate", "open_sealed", "seal"]

SUITES = ("mlkem768-x25519", "x25519")
"""The suites' names, the preferred one first."""

SEED_SIZE = 32
_MLKEM_PUBLIC = 1184
_HPKE = {
    "mlkem768-x25519": Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    "x25519": Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
_PUBLIC_SIZE = {"mlkem768-x25519": _MLKEM_PUBLIC + 32, "x25519": 32}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PrivateKey:
    """A private key of one suite; it shows itself to nobody.

    Attributes:
        suite: the suite's name.
        public_key: the public half, 1216 or 32 bytes.
    """

    suite: str
    public_key: bytes
    _key: MLKEM768X25519PrivateKey | X25519PrivateKey

    @classmethod
    def from_seed(cls, suite: str, seed: bytes) -> PrivateKey:
        """Return the key that a 32-byte seed determines.

        For X-Wing the seed is the decapsulation key of draft-connolly-cfrg-xwing-kem,
        section 5.2: SHAKE256 expands it to the ML-KEM seed (64 bytes) and the X25519
        key (32). For X25519 it is the private key itself.

        Args:
            suite: the suite's name.
            seed: 32 secret random bytes.

        Raises:
            ProtocolError: the suite is unknown or the seed has another size.
        """
        _check_suite(suite)
        if len(seed) != SEED_SIZE:
            raise ProtocolError("private key", f"a seed has {SEED_SIZE} bytes")
        if suite == "x25519":
            key = X25519PrivateKey.from_private_bytes(seed)
            return cls(suite=suite, public_key=key.public_key().public_bytes_raw(), _key=key)
        expanded = hashlib.shake_256(seed).digest(96)
        lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = X25519PrivateKey.from_private_bytes(expanded[64:])
        public_key = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        return cls(suite=suite, public_key=public_key, _key=MLKEM768X25519PrivateKey(lattice, curve))


def generate(suite: str, *, random: RandomBytes) -> PrivateKey:
    """Return a fresh private key of a suite.

    Raises:
        ProtocolError: the suite is unknown.
    """
    return PrivateKey.from_seed(suite, random(SEED_SIZE))


def check_public_key(suite: str, public_key: bytes) -> None:
    """Check that a public key has its suite's form; a weak one is found out when it is sealed to.

    Raises:
        ProtocolError: the suite is unknown, or the key is not one of it.
    """
    _load_public(suite, public_key)


def seal(plaintext: bytes, *, suite: str, public_key: bytes, info: bytes) -> bytes:
    """Seal to a public key: encapsulated key ‖ ciphertext (RFC 9180, section 6.1, empty aad).

    Args:
        plaintext: what only the private key's holder shall read.
        suite: the suite's name.
        public_key: 1216 or 32 bytes.
        info: what both sides must agree on.

    Returns:
        1120 or 32 bytes of encapsulated key, then the ciphertext with its 16-byte tag.

    Raises:
        ProtocolError: the suite is unknown, or the key is not one of it.
    """
    key = _load_public(suite, public_key)
    try:
        return _HPKE[suite].encrypt(plaintext, key, info)
    except ValueError as error:  # a point of small order: the shared secret would be zero
        raise ProtocolError("public key", f"not a key of {suite}") from error


def open_sealed(sealed: bytes, *, key: PrivateKey, info: bytes) -> bytes:
    """Open what was sealed to a key.

    Raises:
        ProtocolError: it does not open; why is not told apart.
    """
    try:
        return _HPKE[key.suite].decrypt(sealed, key._key, info)  # noqa: SLF001 - the field is private to this file
    except (InvalidTag, ValueError) as error:
        raise ProtocolError("sealed message", "does not open") from error


def _load_public(suite: str, public_key: bytes) -> X25519PublicKey | MLKEM768X25519PublicKey:
    _check_suite(suite)
    if len(public_key) != _PUBLIC_SIZE[suite]:
        raise ProtocolError("public key", f"a key of {suite} has {_PUBLIC_SIZE[suite]} bytes")
    try:
        curve = X25519PublicKey.from_public_bytes(public_key[-32:])
        if suite == "x25519":
            return curve
        lattice = MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC])
        return MLKEM768X25519PublicKey(lattice, curve)
    except ValueError as error:
        raise ProtocolError("public key", f"not a key of {suite}") from error


def _check_suite(suite: str) -> None:
    if suite not in _HPKE:
        raise ProtocolError("suite", "unknown")
