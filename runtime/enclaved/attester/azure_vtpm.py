"""The virtual TPM of an Azure confidential VM as an attestation device.

The paravisor below the guest keeps the TPM, and leaves a report of the hardware's
in its non-volatile memory that vouches for the TPM's attestation key. That key
quotes the binding. What vouches for the hardware's own key, and on TDX the quote
that Azure makes of the report, the guest gets from Azure's services: an operator
puts it into the state folder, or the relying party fetches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enclaved.attester.device import TPM_DEVICE, DeviceKind, DeviceOptions, check_binding
from enclaved.attester.endorsements import read_endorsements
from enclaved.attester.tpm import extend_once, pcrs_json, quote_pcrs
from enclaved.attester.tpm_commands import Tpm
from enclaved.attester.tpm_connection import open_connection
from enclaved.errors import DeviceError
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding

__all__ = ["AZURE_VTPM", "AzureVtpmDevice", "open_azure_vtpm"]

_NAME: Final = "azure-vtpm"
_REPORT_INDEX = 0x01400001  # non-volatile memory: the HCL report
_KEY_HANDLE = 0x81000003  # persistent: the attestation key, HCLAkPub in the report
_LARGEST_REPORT = 8 << 10  # 2600 bytes so far
_MAGIC = b"HCLA"
_ENDORSEMENTS = (
    *("vcek.der", "vlek.der", "ask.pem", "asvk.pem", "ark.pem"),
    *("td_quote.bin", "tcb_info.json", "qe_identity.json", "tcb_signing_chain.pem"),
    *("pck_crl.der", "root_ca_crl.der", "pck_crl_issuer_chain.pem", "eventlog.bin"),
)


class AzureVtpmDevice:
    """A virtual TPM that its machine's hardware vouches for.

    Args:
        tpm: the TPM.
        endorsements: files that travel with the evidence.
    """

    name: Final = _NAME
    format: Final = "azure-vtpm"

    def __init__(self, tpm: Tpm, *, endorsements: Mapping[str, bytes]) -> None:
        self._tpm = tpm
        self._endorsements = dict(endorsements)

    def close(self) -> None:
        """Let go of the TPM."""
        self._tpm.close()

    def attest(self, binding: bytes) -> Evidence:
        """Return the HCL report, and a quote with the binding's SHA-256 as qualifying data.

        Args:
            binding: 64 bytes.

        Raises:
            DeviceError: the binding has another size, or the TPM is gone, refuses, or quotes something else.
        """
        check_binding(binding)
        report = _read_report(self._tpm)
        pcrs, quotation = quote_pcrs(self._tpm, _KEY_HANDLE, tpm_binding(binding))
        return Evidence(
            format=self.format,
            report=report,
            endorsements={
                **self._endorsements,
                "tpm_quote.msg": quotation.quote,
                "tpm_quote.sig": quotation.signature,
                "tpm_quote.pcrs.json": pcrs_json(pcrs),
            },
        )


def open_azure_vtpm(options: DeviceOptions) -> AzureVtpmDevice:
    """Open the virtual TPM, and extend the runtime's digest into it.

    Raises:
        DeviceError: it cannot be opened or refuses, or holds no HCL report.
    """
    endorsements = read_endorsements(options.state, _ENDORSEMENTS)
    tpm = Tpm(open_connection(options.tpm))
    try:
        _read_report(tpm)
        extend_once(tpm, options.runtime_digest)
    except DeviceError:
        tpm.close()
        raise
    return AzureVtpmDevice(tpm, endorsements=endorsements)


def _read_report(tpm: Tpm) -> bytes:
    report = tpm.read_nv(_REPORT_INDEX, most=_LARGEST_REPORT)
    if not report.startswith(_MAGIC):
        raise DeviceError("the TPM holds no HCL report: this is no confidential VM of Azure")
    return report


def _is_present() -> bool:
    try:
        tpm = Tpm(open_connection(TPM_DEVICE))
        try:
            _read_report(tpm)
        finally:
            tpm.close()
    except DeviceError:
        return False
    return True


AZURE_VTPM = DeviceKind(
    name=_NAME,
    hardware=True,
    looked_for="an HCL report in the TPM",
    is_present=_is_present,
    open=open_azure_vtpm,
    at_path=True,
)
