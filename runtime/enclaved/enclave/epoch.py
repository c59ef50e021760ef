"""An epoch: one key bundle's private keys, sessions and functions, from birth to end.

A bundle never changes. Other functions, or the passing of time, make another
epoch with keys of its own; the old one answers what was sealed to it until its
bundle ends, by the wall clock or by the monotonic one, whichever is first: a host
that sets its clock back does not make keys live longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.clock import Clock, RandomBytes, unix_ms
from enclaved.enclave.registry import Registry
from enclaved.enclave.sessions import SessionBounds, SessionTable
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire import hpke
from enclaved.wire.attestation import Attestation, Challenge, Evidence, encode_attestation, evidence_digest
from enclaved.wire.bundle import FunctionEntry, KeyBundle, PublicKey, binding, bundle_digest, decode_bundle
from enclaved.wire.codec import encode

__all__ = ["Epoch", "EpochKeys", "Identity", "Lifetime", "make_keys"]

_BOOT_ID_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays the same while an enclave process lives.

    Attributes:
        namespace: where it serves.
        runtime_id: its name there.
        boot_id: 16 random bytes of this start.
        runtime_digest: of its own code, by its own account.
    """

    namespace: str
    runtime_id: str
    boot_id: bytes
    runtime_digest: str

    @classmethod
    def of_this_boot(cls, *, namespace: str, runtime_id: str, runtime_digest: str, random: RandomBytes) -> Identity:
        """Return an identity with a fresh boot id."""
        return cls(
            namespace=namespace, runtime_id=runtime_id, boot_id=random(_BOOT_ID_SIZE), runtime_digest=runtime_digest
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long a bundle lives, and for how long two overlap.

    Attributes:
        seconds: from birth to end.
        overlap_seconds: how long before its end the next one is announced.
    """

    seconds: float = 3600.0
    overlap_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EpochKeys:
    """A bundle and its private keys, before there is evidence for them.

    Attributes:
        bundle: what will be attested.
        bundle_bytes: its bytes, as they are hashed.
        private_keys: by suite.
        receipt_key: signs receipts.
    """

    bundle: KeyBundle
    bundle_bytes: bytes
    private_keys: Mapping[str, hpke.PrivateKey]
    receipt_key: Ed25519PrivateKey

    def binding(self, nonce: bytes = b"") -> bytes:
        """Return the 64 bytes that evidence for this bundle, and for a relying party's nonce, must carry."""
        return binding(bundle_digest(self.bundle_bytes), nonce)

    def attestation(self, evidence: Evidence, *, nonce: bytes | None = None) -> bytes:
        """Return the attestation that this bundle and evidence make."""
        challenge = None if nonce is None else Challenge(nonce=nonce, path=())
        return encode_attestation(Attestation(v=1, bundle=self.bundle_bytes, challenge=challenge, evidence=evidence))


def make_keys(
    identity: Identity,
    *,
    epoch: int,
    functions: tuple[FunctionEntry, ...],
    lifetime: Lifetime,
    host_time: datetime,
    random: RandomBytes,
) -> EpochKeys:
    """Make an epoch's keys and its bundle.

    Args:
        identity: whose.
        epoch: its number, from 1.
        functions: what it runs.
        lifetime: how long it lives.
        host_time: the wall clock, by the host's account.
        random: makes the keys.

    Returns:
        The keys, yet without evidence.

    Raises:
        ConfigurationError: callers could not read the bundle, as when it names too many functions.
    """
    keys = {suite: hpke.generate(suite, random=random) for suite in hpke.SUITES}
    receipt_key = Ed25519PrivateKey.from_private_bytes(random(32))
    not_before = unix_ms(host_time)
    bundle = KeyBundle(
        v=1,
        namespace=identity.namespace,
        runtime_id=identity.runtime_id,
        boot_id=identity.boot_id,
        epoch=epoch,
        keys=tuple(PublicKey(suite=suite, public_key=key.public_key) for suite, key in keys.items()),
        receipt_public_key=receipt_key.public_key().public_bytes_raw(),
        functions=functions,
        runtime_digest=identity.runtime_digest,
        not_before=not_before,
        not_after=not_before + int(lifetime.seconds * 1000),
    )
    bundle_bytes = encode(bundle)
    try:
        decode_bundle(bundle_bytes)
    except ProtocolError as error:
        raise ConfigurationError(error.what, error.reason, remedy="Serve fewer functions.") from error
    return EpochKeys(bundle=bundle, bundle_bytes=bundle_bytes, private_keys=keys, receipt_key=receipt_key)


class Epoch:
    """A bundle that is attested and in use.

    Attributes:
        keys: its private half.
        bundle_digest: 32 bytes.
        key_id: by which messages name it.
        attestation: as it is announced.
        evidence_digest: by which receipts name that.
        registry: its functions.
        sessions: its callers.
    """

    def __init__(
        self,
        keys: EpochKeys,
        *,
        evidence: Evidence,
        registry: Registry,
        bounds: SessionBounds,
        lifetime: Lifetime,
        clock: Clock,
    ) -> None:
        self.keys = keys
        self.bundle_digest = bundle_digest(keys.bundle_bytes)
        self.key_id = self.bundle_digest[:16]
        self.attestation = keys.attestation(evidence)
        self.evidence_digest = evidence_digest(self.attestation)
        self.registry = registry
        self.sessions = SessionTable(bounds, listed_callers=registry.listed_callers)
        self._clock = clock
        self._ends = clock.monotonic() + lifetime.seconds
        self._overlap_s = lifetime.overlap_seconds

    def is_over(self) -> bool:
        """Tell whether its bundle has ended, by either clock."""
        return self.remaining_s() <= 0

    def remaining_s(self) -> float:
        """Return the seconds that it has left, by whichever clock says less."""
        by_wall_clock = (self.keys.bundle.not_after - unix_ms(self._clock.now())) / 1000
        return min(self._ends - self._clock.monotonic(), by_wall_clock)

    def renewal_due_in_s(self) -> float:
        """Return the seconds until the next epoch has to be there; 0 or less when it is due."""
        return self.remaining_s() - self._overlap_s
