"""Private keys in files: a caller's, which proves who calls, and a recipient's, which opens outputs.

A key file that others can read is refused rather than warned about: whoever read it
is the caller from then on. Nothing here prints a key.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from enclaved.clock import RandomBytes
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.hpke import SEED_SIZE, SUITES, PrivateKey
from enclaved.wire.key_text import caller_key_text, recipient_key_text
from enclaved.wire.sealed_output import RecipientKey

__all__ = [
    "caller_public_text",
    "create_caller_key",
    "create_recipient_key",
    "read_caller_key",
    "read_recipient_key",
    "recipient_public_text",
]

_MAX_KEY_FILE = 16 << 10
_SEED = "-seed"


def create_caller_key(path: Path, *, random: RandomBytes) -> Ed25519PrivateKey:
    """Make a caller's key and write it to a new file (PKCS #8 PEM, mode 0600).

    Args:
        path: where; it must not exist, so that no key is lost.
        random: makes the key.

    Returns:
        The key.

    Raises:
        ConfigurationError: the file exists or cannot be written.
    """
    key = Ed25519PrivateKey.from_private_bytes(random(32))
    _write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def read_caller_key(path: Path) -> Ed25519PrivateKey:
    """Read a caller's key.

    Raises:
        ConfigurationError: it cannot be read, others can read it, or it is no Ed25519 key.
    """
    remedy = "Make one with `enclaved keygen`"
    try:
        key = load_pem_private_key(_read_secret(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(str(path), "is no private key in PEM without a password", remedy=remedy) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(str(path), "holds a key of another kind than Ed25519", remedy=remedy)
    return key


def caller_public_text(key: Ed25519PrivateKey) -> str:
    """Return the public half as manifests list it: ``ed25519:<base64>``."""
    return caller_key_text(key.public_key().public_bytes_raw())


def create_recipient_key(path: Path, *, suite: str, random: RandomBytes) -> PrivateKey:
    """Make a recipient's key and write its seed to a new file (one line, mode 0600).

    Args:
        path: where; it must not exist.
        suite: ``"mlkem768-x25519"`` or ``"x25519"``.
        random: makes the seed.

    Returns:
        The key.

    Raises:
        ConfigurationError: the file exists or cannot be written.
        ProtocolError: the suite is unknown.
    """
    seed = random(SEED_SIZE)
    key = PrivateKey.from_seed(suite, seed)
    _write_secret(path, f"{suite}{_SEED}:{base64.b64encode(seed).decode('ascii')}\n".encode())
    return key


def read_recipient_key(path: Path) -> PrivateKey:
    """Read a recipient's key.

    Raises:
        ConfigurationError: it cannot be read, others can read it, or it holds no seed of a known suite.
    """
    kind, _, encoded = _read_secret(path).decode("ascii", "replace").strip().partition(":")
    suite = next((name for name in SUITES if kind == name + _SEED), "")  # from_seed knows no suite without a name
    try:
        return PrivateKey.from_seed(suite, base64.b64decode(encoded.encode("ascii"), validate=True))
    except (ProtocolError, binascii.Error, ValueError) as error:
        problem = f"holds no line such as {SUITES[0]}{_SEED}:<base64 of {SEED_SIZE} bytes>"
        raise ConfigurationError(str(path), problem, remedy="Make one with `enclaved keygen`") from error


def recipient_public_text(key: PrivateKey) -> str:
    """Return the public half as manifests list it: ``<suite>:<base64>``."""
    return recipient_key_text(RecipientKey(suite=key.suite, public_key=key.public_key))


def _read_secret(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode  # of the file that is read, not of one put there since
            if not stat.S_ISREG(mode):
                raise ConfigurationError(str(path), "is no regular file", remedy="Name the key's own file")
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                problem = f"others than its owner have rights to this key (mode {stat.S_IMODE(mode):04o})"
                raise ConfigurationError(str(path), problem, remedy=f"chmod 600 {path}, and consider a new key")
            content = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        remedy = "Name a key file that you may read, or make one with `enclaved keygen`"
        raise ConfigurationError(str(path), error.strerror or "cannot be read", remedy=remedy) from error
    if len(content) > _MAX_KEY_FILE:
        raise ConfigurationError(str(path), "is too large for a key", remedy="Name the key's own file")
    return content


def _write_secret(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        remedy = "Name a new file in a folder that you may write to"
        raise ConfigurationError(str(path), error.strerror or "cannot be written", remedy=remedy) from error
