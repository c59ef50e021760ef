"""Getting a runtime's attestation for a person to look at: fresh, and judged by nobody yet."""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.caller.observation import observe
from enclaved.cli.settings import Settings
from enclaved.clock import system_random
from enclaved.errors import EvidenceError
from enclaved.mqtt.transports import open_transport
from enclaved.wire.attestation import NONCE_SIZE, Attestation, decode_attestation
from enclaved.wire.bundle import KeyBundle, binding, bundle_digest, decode_bundle

__all__ = ["Fetched", "fetch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An attestation as it came.

    Attributes:
        encoded: its bytes.
        attestation: the same, read.
        bundle: its key bundle, read.
        nonce: our own nonce that it answers.
    """

    encoded: bytes
    attestation: Attestation
    bundle: KeyBundle
    nonce: bytes

    @property
    def binding(self) -> bytes:
        """The 64 bytes that its evidence has to carry: what `evidence verify --nonce` compares."""
        return binding(bundle_digest(self.attestation.bundle), self.nonce)


async def fetch(settings: Settings, timeout_s: float) -> Fetched:
    """Challenge a runtime with a nonce of our own and return what it answers.

    Args:
        settings: broker, namespace, access and, where one is named, the runtime.
        timeout_s: how long to wait for the announcement, and again for the answer.

    Raises:
        NoAnswer: there is no runtime, or it did not answer.
        TransportError: the broker cannot be reached or refuses.
        EvidenceError: what came is not an attestation over our nonce.
    """
    nonce = system_random(NONCE_SIZE)
    transport = open_transport(settings.transport)
    async with observe(settings.connection(), transport=transport, namespace=settings.namespace) as observation:
        announced = await observation.announced(settings.runtime_id, timeout_s=timeout_s)
        runtime_id = decode_bundle(decode_attestation(announced).bundle).runtime_id
        encoded = await observation.challenged(runtime_id, nonce, timeout_s=timeout_s)
    attestation = decode_attestation(encoded)
    if attestation.challenge is None or attestation.challenge.nonce != nonce:
        raise EvidenceError("not_authentic", "nonce", found="another", wanted="ours")
    return Fetched(encoded=encoded, attestation=attestation, bundle=decode_bundle(attestation.bundle), nonce=nonce)
