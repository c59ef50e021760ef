"""TPM 2.0 as an attestation device: quotes over everything that the machine measured.

The TPM keeps the host's boot state, not the host's administrator out: evidence of
it is never confidential. Before the first quote the runtime's own digest goes
into a PCR that only a restart resets. A runtime that replaces another without a
restart extends the same PCR once more, so both show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from enclaved.attester.device import TPM_DEVICE, DeviceKind, DeviceOptions, check_binding
from enclaved.attester.endorsements import read_endorsements
from enclaved.attester.tpm_commands import Quotation, Tpm
from enclaved.attester.tpm_connection import open_connection
from enclaved.errors import DeviceError
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding
from enclaved.wire.lp import sha256

__all__ = ["RUNTIME_PCR", "TPM", "TpmDevice", "extend_once", "pcrs_json", "quote_pcrs"]

RUNTIME_PCR = 13
"""Zero after the boot of every machine that we have evidence of: systemd uses it for system extensions only."""

_NAME: Final = "tpm"
_ALL = range(24)
_ATTEMPTS = 3  # a PCR may change between reading all and quoting
_LABEL = b"enclaved/1 TPM runtime measurement"
_ENDORSEMENTS = ("ak_chain.pem", "eventlog.bin")


class TpmDevice:
    """A TPM with an attestation key that it derives anew for each quote.

    Args:
        tpm: the TPM.
        endorsements: files that travel with the evidence.
    """

    name: Final = _NAME
    format: Final = "tpm"

    def __init__(self, tpm: Tpm, *, endorsements: Mapping[str, bytes]) -> None:
        self._tpm = tpm
        self._endorsements = dict(endorsements)

    def close(self) -> None:
        """Let go of the TPM."""
        self._tpm.close()

    def attest(self, binding: bytes) -> Evidence:
        """Return a quote over all PCRs of the SHA-256 bank, with the binding's SHA-256 as qualifying data.

        Args:
            binding: 64 bytes.

        Raises:
            DeviceError: the binding has another size, or the TPM is gone, refuses, or quotes something else.
        """
        check_binding(binding)
        key = self._tpm.create_key()
        try:
            pcrs, quotation = quote_pcrs(self._tpm, key.handle, tpm_binding(binding))
        except DeviceError:
            with suppress(DeviceError):  # the first error is the one that says what is wrong
                self._tpm.flush(key)
            raise
        self._tpm.flush(key)  # a TPM has room for three keys; one that is left behind is lost to everybody
        return Evidence(
            format=self.format,
            report=quotation.quote,
            endorsements={
                **self._endorsements,
                "quote.sig": quotation.signature,
                "pcrs.json": pcrs_json(pcrs),
                "ak_pub.pem": key.public_pem,
            },
        )


def quote_pcrs(tpm: Tpm, handle: int, extra_data: bytes) -> tuple[list[bytes], Quotation]:
    """Return the values of all PCRs of the SHA-256 bank, and a quote over exactly these.

    Args:
        tpm: the TPM.
        handle: the key to quote with.
        extra_data: the qualifying data.

    Raises:
        DeviceError: the TPM refuses, or its quotes are over something else, however often it is asked.
    """
    for _ in range(_ATTEMPTS):
        pcrs = tpm.read_pcrs(_ALL)
        quotation = tpm.quote(handle, extra_data, _ALL)
        if quotation.is_over(extra_data, pcrs):
            return pcrs, quotation
    raise DeviceError("the TPM's quote is not over the PCRs and the bytes that it was asked for")


def pcrs_json(pcrs: list[bytes]) -> bytes:
    """Return PCR values as evidence carries them: a JSON list of hex strings."""
    return json.dumps([value.hex() for value in pcrs], separators=(",", ":")).encode()


def extend_once(tpm: Tpm, runtime_digest: str) -> None:
    """Extend the runtime's PCR with its digest, unless that is the last thing that is known to be in it.

    Args:
        tpm: the TPM.
        runtime_digest: the digest of the runtime's own code.

    Raises:
        DeviceError: the TPM refuses.
    """
    digest = sha256(_LABEL, runtime_digest.encode())
    (value,) = tpm.read_pcrs([RUNTIME_PCR])
    # The same runtime, started anew: extending again would change the PCR at every start.
    if value != hashlib.sha256(bytes(len(value)) + digest).digest():
        tpm.extend_pcr(RUNTIME_PCR, digest)


def open_tpm(options: DeviceOptions) -> TpmDevice:
    """Open a TPM, and extend the runtime's digest into it.

    Raises:
        DeviceError: it cannot be opened, or refuses.
    """
    endorsements = read_endorsements(options.state, _ENDORSEMENTS)
    tpm = Tpm(open_connection(options.tpm))
    try:
        extend_once(tpm, options.runtime_digest)
    except DeviceError:
        tpm.close()
        raise
    return TpmDevice(tpm, endorsements=endorsements)


TPM = DeviceKind(
    name=_NAME, hardware=True, looked_for=str(TPM_DEVICE), is_present=TPM_DEVICE.exists, open=open_tpm, at_path=True
)
