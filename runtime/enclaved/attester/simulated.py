"""The simulated device: evidence for developing and testing, signed like any other.

Its root is an X.509 authority that lives in the state folder; a device key, made
anew each time the device is opened and never written anywhere, is certified under
it. The evidence proves that somebody with the root's key made it, and nothing
about any machine: so its format is one of its own, and only a policy that names
this root accepts it.

The report is ``[payload, signature]`` in deterministic CBOR; the payload is the CBOR map
``{version: 1, bound_data: 64 bytes, measurement: 48 bytes, debug: bool,
host_time: Unix milliseconds}``; the signature is ECDSA on P-384 with SHA-384 over
``LP("enclaved/1 simulated report") ‖ LP(payload)``.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.attester.device import DeviceKind, DeviceOptions, check_binding
from enclaved.attester.simulated_root import SimulatedRoot, open_root
from enclaved.clock import Clock, unix_ms
from enclaved.wire.attestation import Evidence
from enclaved.wire.cbor import encode_cbor
from enclaved.wire.lp import length_prefixed

__all__ = ["SIMULATED", "SimulatedDevice", "open_simulated"]

_NAME: Final = "simulated"
_LABEL = b"enclaved/1 simulated report"
_MEASUREMENT_LABEL = b"enclaved/1 simulated measurement"
_VERSION = 1


class SimulatedDevice:
    """A device that signs whatever it is told.

    Args:
        root: the authority that certifies the device's key.
        clock: the host's clock.
        measurement: 48 bytes in place of a launch measurement.
        debug: what the report says of debugging.
    """

    name: Final = _NAME
    format: Final = _NAME

    def __init__(self, root: SimulatedRoot, *, clock: Clock, measurement: bytes, debug: bool = False) -> None:
        self._private_key = ec.generate_private_key(ec.SECP384R1())
        self._device = root.certify(self._private_key.public_key(), host_time=clock.now())
        self._root = root.certificate
        self._clock = clock
        self._measurement = measurement
        self._debug = debug

    @property
    def root(self) -> x509.Certificate:
        """The root's certificate, whose fingerprint a policy has to name."""
        return self._root

    def attest(self, binding: bytes) -> Evidence:
        """Return simulated evidence over a binding.

        Args:
            binding: 64 bytes.

        Returns:
            The report, with the device's certificate and the root.

        Raises:
            DeviceError: the binding has another size.
        """
        check_binding(binding)
        payload = encode_cbor(
            {
                "version": _VERSION,
                "bound_data": binding,
                "measurement": self._measurement,
                "debug": self._debug,
                "host_time": unix_ms(self._clock.now()),
            }
        )
        signature = self._private_key.sign(length_prefixed(_LABEL, payload), ec.ECDSA(hashes.SHA384()))
        return Evidence(
            format=_NAME,
            report=encode_cbor([payload, signature]),
            endorsements={
                "device.der": self._device.public_bytes(Encoding.DER),
                "root.der": self._root.public_bytes(Encoding.DER),
            },
        )


def open_simulated(options: DeviceOptions) -> SimulatedDevice:
    """Open the simulated device of a state folder, making its root where there is none.

    The measurement is a digest of the runtime's own digest: the runtime's word on itself.

    Raises:
        DeviceError: the root cannot be read or made, others can read its key, or it has expired.
    """
    root = open_root(options.state, host_time=options.clock.now())
    measured = length_prefixed(_MEASUREMENT_LABEL, options.runtime_digest.encode())
    return SimulatedDevice(root, clock=options.clock, measurement=hashlib.sha384(measured).digest())


SIMULATED = DeviceKind(name=_NAME, hardware=False, looked_for="nothing", is_present=lambda: True, open=open_simulated)
