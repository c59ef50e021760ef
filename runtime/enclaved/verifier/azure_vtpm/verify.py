"""Stage one for Azure's confidential VMs: is a virtual TPM the one that the hardware vouches for.

The README beside this file names the source of each step.

1. the HCL report parses;
2. the hardware's report in it is authentic, by the steps of that hardware's own format;
3. it was made by the paravisor, not by the guest's operating system;
4. it carries the hash of the runtime data, as they were stored, and nothing else;
5. the runtime data parse, and name one attestation key;
6. a key file that came along holds the same key;
7. the quote that came along is by that key: the steps of `enclaved.verifier.tpm.verified_quote`.

Without a quote the evidence is authentic, and bound to nothing.
"""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.azure_vtpm.hardware import check_paravisor, verify_hardware
from enclaved.verifier.azure_vtpm.hcl_report import read_hcl_report
from enclaved.verifier.azure_vtpm.runtime_data import RuntimeData, check_bound, read_runtime_data
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims, ClaimValue
from enclaved.verifier.roots import Roots
from enclaved.verifier.tpm.key import AttestationKey, read_key
from enclaved.verifier.tpm.verified_quote import QuoteFiles, VerifiedQuote, verify_quote
from enclaved.wire.attestation import Evidence

__all__ = ["FILES", "KEY_FILE", "NAME", "QUOTE_FILE", "authenticate_azure_vtpm"]

NAME = "azure-vtpm"
QUOTE_FILE = "tpm_quote.msg"
KEY_FILE = "ak_pub.pem"
FILES = QuoteFiles(signature="tpm_quote.sig", pcrs="tpm_quote.pcrs.json", event_log="eventlog.bin")


def authenticate_azure_vtpm(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    """Tell an authentic HCL report and its TPM quote from any other.

    Args:
        evidence: ``hcl_report.bin`` with the endorsements of the hardware's own format (and
            ``td_quote.bin`` on TDX), and ``tpm_quote.msg``, ``tpm_quote.sig``, ``tpm_quote.pcrs.json``.
        at: the time at which certificates and TCB information have to be valid; aware.
        roots: the pinned roots of the hardware.
        checks: the record.

    Returns:
        The hardware's claims, the TPM's, and the paravisor's, each under its own names.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The report parses.
    report = read_hcl_report(evidence.report, checks)
    # 2. The hardware's own report.
    hardware = verify_hardware(report, evidence.endorsements, at=at, roots=roots, checks=checks)
    # 3. By the paravisor: the guest could have one made over a key of its own.
    check_paravisor(report.hardware, hardware, checks)
    # 4. Over these very runtime data.
    check_bound(report.runtime_data, hardware.bound_data, checks)
    # 5. They name the key of the virtual TPM.
    runtime = read_runtime_data(report.runtime_data, checks)
    # 6. No other key came along.
    _check_key_file(evidence, runtime.key, checks)
    # 7. The key signed the quote: parts of two machines do not fit together.
    quote = _verify_quote(evidence, runtime.key, checks)
    return Claims(
        format=NAME,
        bound_data=quote.quote.extra_data if quote else b"",
        confidential=hardware.confidential,
        simulated=False,
        debug=hardware.debug,
        tcb_status=hardware.tcb_status,
        measurement=hardware.measurement,
        evidence_time=None,
        vendor={
            **hardware.vendor,
            **_quote_claims(quote),
            **_runtime_claims(runtime),
            "hardware": report.hardware.value,
        },
    )


def _check_key_file(evidence: Evidence, key: AttestationKey, checks: Checks) -> None:
    """Check that a key that came along as a file of its own, for programs that want one, is no other."""
    pem = evidence.endorsements.get(KEY_FILE)
    if pem is not None:
        checks.equal(KEY_FILE, found=read_key(pem, KEY_FILE, checks).fingerprint, wanted=key.fingerprint)


def _verify_quote(evidence: Evidence, key: AttestationKey, checks: Checks) -> VerifiedQuote | None:
    data = evidence.endorsements.get(QUOTE_FILE)
    if data is None:
        left = [name for name in FILES.names if name in evidence.endorsements]
        if left:
            raise checks.unreadable(QUOTE_FILE, found="no such file", wanted=f"the quote that goes with {left}")
        return None
    return verify_quote(data, evidence.endorsements, FILES, key, checks)


def _quote_claims(quote: VerifiedQuote | None) -> dict[str, ClaimValue]:
    return {"pcrs": {}, "events": None, "extra_data": b"", **(quote.claims() if quote else {})}


def _runtime_claims(runtime: RuntimeData) -> dict[str, ClaimValue]:
    return {"ak": runtime.key.fingerprint, "vm_configuration": runtime.configuration, "user_data": runtime.user_data}
