"""Good simulated attestations, for tests to turn one thing of.

Everything is signed for real, by the same device that `up` uses, so that only
the turned thing can fail. Time stands still at `NOON`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from enclaved.attester.simulated import SimulatedDevice
from enclaved.attester.simulated_root import SimulatedRoot, make_root
from enclaved.clock import unix_ms
from enclaved.verifier.certificate import fingerprint_text
from enclaved.verifier.policy import Policy
from enclaved.verifier.policy_document import parse_policy
from enclaved.wire.attestation import Attestation, Challenge, encode_attestation
from enclaved.wire.bundle import (
    FunctionEntry,
    FunctionLimits,
    KeyBundle,
    PublicKey,
    binding,
    bundle_digest,
    callers_digest,
)
from enclaved.wire.codec import encode

__all__ = [
    "DIGEST",
    "MEASUREMENT",
    "NONCE",
    "NOON",
    "OTHER_DIGEST",
    "ROOT",
    "FixedClock",
    "make_attestation",
    "make_bundle",
    "make_device",
    "make_policy",
    "policy_document",
]

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NONCE = bytes(range(32))
MEASUREMENT = bytes(range(48))
DIGEST = "h1:" + "A" * 43 + "="
OTHER_DIGEST = "h1:" + "B" * 43 + "="


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still."""

    at: datetime = NOON

    def now(self) -> datetime:
        """Return the one time."""
        return self.at

    def monotonic(self) -> float:
        """Return zero."""
        return 0.0


ROOT = make_root(host_time=NOON)
"""One root for all tests: making a key for each would only take time."""


def make_device(
    *, root: SimulatedRoot = ROOT, at: datetime = NOON, debug: bool = False, measurement: bytes = MEASUREMENT
) -> SimulatedDevice:
    """Return a simulated device at a time."""
    return SimulatedDevice(root, clock=FixedClock(at), measurement=measurement, debug=debug)


def make_bundle(**turned: object) -> KeyBundle:
    """Return a key bundle of the runtime ``r1`` that is valid from noon to one, with fields turned."""
    limits = FunctionLimits(time_ms=1000, memory_mib=256, input_bytes=1 << 20, output_bytes=1 << 20)
    redact = FunctionEntry(
        name="redact",
        version="1",
        digest=DIGEST,
        engine="python",
        isolation="restricted",
        callers_digest=callers_digest(None),
        limits=limits,
    )
    bundle = KeyBundle(
        v=1,
        namespace="demo",
        runtime_id="r1",
        boot_id=bytes(16),
        epoch=1,
        keys=(PublicKey(suite="x25519", public_key=bytes(32)),),
        receipt_public_key=bytes(32),
        functions=(redact,),
        runtime_digest=DIGEST,
        not_before=unix_ms(NOON),
        not_after=unix_ms(NOON + timedelta(hours=1)),
    )
    return msgspec.structs.replace(bundle, **turned)


def make_attestation(
    *,
    bundle: KeyBundle | bytes | None = None,
    nonce: bytes | None = NONCE,
    device: SimulatedDevice | None = None,
    **turned: object,
) -> bytes:
    """Return an attestation's bytes: the bundle, evidence bound to it and to a nonce, with fields turned."""
    encoded = bundle if isinstance(bundle, bytes) else encode(bundle or make_bundle())
    bound = binding(bundle_digest(encoded), nonce or b"")
    attestation = Attestation(
        v=1,
        bundle=encoded,
        challenge=None if nonce is None else Challenge(nonce=nonce, path=()),
        evidence=(device or make_device()).attest(bound),
    )
    return encode_attestation(msgspec.structs.replace(attestation, **turned))


def policy_document(*, root: SimulatedRoot = ROOT) -> str:
    """Return the text of a policy that accepts `make_attestation`."""
    return f"""\
version = 1
namespace = "demo"
suites = ["mlkem768-x25519", "x25519"]
[freshness]
challenge = true
max_age = "1h"
[functions.redact]
digest = ["{DIGEST}"]
isolation = ["restricted"]
[formats.simulated]
root = "{fingerprint_text(root.certificate)}"
measurement = ["{MEASUREMENT.hex()}"]
"""


def make_policy(document: str | None = None) -> Policy:
    """Return a policy that accepts `make_attestation`, or the one that a document holds."""
    return parse_policy((document or policy_document()).encode(), where="policy.toml")
