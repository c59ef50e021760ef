"""The key bundle: an enclave's public keys and what it will run, and how evidence names it.

A report proves that some enclave runs. It proves that *these* keys live in it
only through the 64 bytes that the hardware signs beside the measurement. Enclave
and caller both compute those bytes here, and nowhere else.

A bundle never changes: other keys or functions make another epoch's bundle.
"""

from __future__ import annotations

import hashlib

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode
from enclaved.wire.limits import MAX_BUNDLE, MAX_FUNCTIONS, MAX_SEQUENCE, MAX_TIME_MS
from enclaved.wire.lp import length_prefixed, sha256
from enclaved.wire.text import check_text
from enclaved.wire.topics import check_name

__all__ = [
    "FunctionEntry",
    "FunctionLimits",
    "KeyBundle",
    "PublicKey",
    "binding",
    "bundle_digest",
    "callers_digest",
    "decode_bundle",
    "key_id",
    "tpm_binding",
]

_LABEL = b"enclaved/1 key bundle"
_EVIDENCE_LABEL = b"enclaved/1 evidence"
_CALLERS_LABEL = b"enclaved/1 callers"


class PublicKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One HPKE public key.

    Attributes:
        suite: the suite's name, ``"mlkem768-x25519"`` or ``"x25519"``.
        public_key: 1216 bytes (ML-KEM-768 ‖ X25519) or 32 bytes.
    """

    suite: str
    public_key: bytes


class FunctionLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one invocation of a function may use.

    Attributes:
        time_ms: wall-clock time, in milliseconds.
        memory_mib: address space, in MiB.
        input_bytes: the longest payload.
        output_bytes: the longest output.
    """

    time_ms: int
    memory_mib: int
    input_bytes: int
    output_bytes: int


class FunctionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One function that the enclave will run.

    Attributes:
        name: its name in topics and headers.
        version: its manifest's version, for people.
        digest: ``h1:`` and the base64 SHA-256 of its folder.
        engine: ``"python"`` or ``"wasm"``.
        isolation: the level that its sandbox reaches, such as ``"full"``.
        callers_digest: `callers_digest` of who may call it, 32 bytes.
        limits: what one invocation may use.
    """

    name: str
    version: str
    digest: str
    engine: str
    isolation: str
    callers_digest: bytes
    limits: FunctionLimits


class KeyBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One epoch of one enclave: its keys and what they are good for.

    Attributes:
        v: 1.
        namespace: where the runtime serves.
        runtime_id: the runtime's name in topics; the same over restarts.
        boot_id: 16 random bytes of this start of the enclave.
        epoch: counts up from 1 within a boot.
        keys: one public key per suite.
        receipt_public_key: Ed25519, 32 bytes; it signs receipts and nothing else.
        functions: what the epoch runs, at most 256.
        runtime_digest: ``h1:`` digest of the runtime's own code, by its own account.
        not_before: Unix milliseconds.
        not_after: Unix milliseconds.
    """

    v: int
    namespace: str
    runtime_id: str
    boot_id: bytes
    epoch: int
    keys: tuple[PublicKey, ...]
    receipt_public_key: bytes
    functions: tuple[FunctionEntry, ...]
    runtime_digest: str
    not_before: int
    not_after: int

    def key(self, suite: str) -> bytes | None:
        """Return the public key of a suite, or None where the bundle has none."""
        return next((key.public_key for key in self.keys if key.suite == suite), None)

    def function(self, name: str) -> FunctionEntry | None:
        """Return the function of that name, or None where the bundle has none."""
        return next((entry for entry in self.functions if entry.name == name), None)


def decode_bundle(data: bytes) -> KeyBundle:
    """Return the key bundle that the bytes encode.

    Args:
        data: untrusted bytes, at most `MAX_BUNDLE`.

    Returns:
        The bundle, its names and sizes checked.

    Raises:
        ProtocolError: it is not a key bundle of version 1.
    """
    bundle = decode(data, KeyBundle, what="key bundle", max_size=MAX_BUNDLE)
    if bundle.v != 1:
        raise ProtocolError("key bundle", "its version is not 1")
    check_name(bundle.namespace, what="key bundle: namespace")
    check_name(bundle.runtime_id, what="key bundle: runtime_id")
    if len(bundle.boot_id) != 16 or len(bundle.receipt_public_key) != 32:
        raise ProtocolError("key bundle", "boot_id has 16 bytes, receipt_public_key 32")
    if not 0 < bundle.not_before < bundle.not_after <= MAX_TIME_MS or not 1 <= bundle.epoch <= MAX_SEQUENCE:
        raise ProtocolError("key bundle", "its epoch or its times are out of order")
    check_text(bundle.runtime_digest, what="key bundle: runtime_digest")
    for key in bundle.keys:
        check_name(key.suite, what="key bundle: suite")
    _check_unique("key suite", [key.suite for key in bundle.keys])
    _check_functions(bundle.functions)
    return bundle


def bundle_digest(bundle: bytes) -> bytes:
    """Return the 32-byte digest of a bundle's bytes as they were received."""
    return sha256(_LABEL, bundle)


def key_id(bundle: bytes) -> bytes:
    """Return the 16 bytes by which messages name a bundle."""
    return bundle_digest(bundle)[:16]


def binding(digest: bytes, challenge_root: bytes = b"") -> bytes:
    """Return the 64 bytes that evidence must carry to speak for a bundle.

    Args:
        digest: the `bundle_digest`, 32 bytes.
        challenge_root: the relying party's nonce, or empty for unchallenged evidence.

    Returns:
        SHA-512 over label, digest and root: all of ``report_data`` on SEV-SNP, TDX and SGX.
    """
    return hashlib.sha512(length_prefixed(_EVIDENCE_LABEL, digest, challenge_root)).digest()


def tpm_binding(binding: bytes) -> bytes:
    """Return what a TPM's quote must carry in place of a binding, because qualifying data holds no 64 bytes.

    Args:
        binding: the binding, 64 bytes.

    Returns:
        Its SHA-256.
    """
    return hashlib.sha256(binding).digest()


def callers_digest(callers: tuple[str, ...] | None) -> bytes:
    """Return the digest of who may call a function.

    Args:
        callers: the callers' keys as text, or None for anybody.

    Returns:
        32 bytes.
    """
    if callers is None:
        return sha256(_CALLERS_LABEL, b"any")
    return sha256(_CALLERS_LABEL, b"list", *(caller.encode() for caller in sorted(callers)))


def _check_functions(functions: tuple[FunctionEntry, ...]) -> None:
    if len(functions) > MAX_FUNCTIONS:
        raise ProtocolError("key bundle", f"more than {MAX_FUNCTIONS} functions")
    _check_unique("function", [entry.name for entry in functions])
    for entry in functions:
        check_name(entry.name, what="key bundle: function")
        if len(entry.callers_digest) != 32:
            raise ProtocolError("key bundle", "callers_digest has 32 bytes")
        for text in (entry.version, entry.digest, entry.engine, entry.isolation):
            check_text(text, what="key bundle: function")
        limits = entry.limits
        numbers = (limits.time_ms, limits.memory_mib, limits.input_bytes, limits.output_bytes)
        if any(not 0 <= number <= MAX_SEQUENCE for number in numbers):
            raise ProtocolError("key bundle", "a limit lies outside 0 to 2**63 - 1")


def _check_unique(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ProtocolError("key bundle", f"a {what} is named twice")
