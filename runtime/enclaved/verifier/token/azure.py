"""Tokens of Microsoft Azure Attestation.

Microsoft, "Azure Attestation: Examples of an attestation token" and "Claim sets".
A token about a virtual machine (``azurevm``) wraps what the hardware said in
``x-ms-isolation-tee``; one that was asked for directly (``sevsnpvm``, ``tdxvm``,
``sgx``) has it at the top.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.statement import Statement, flag, hex_bytes, part, text

__all__ = ["AZURE", "read_azure"]

AZURE = "azure-attestation"
_TYPE = "x-ms-attestation-type"
_VIRTUAL_MACHINE = "azurevm"
_COMPLIANT = "azure-compliant-cvm"
_OS_DEBUG = tuple(f"x-ms-azurevm-{what}-enabled" for what in ("bootdebug", "hypervisordebug", "kerneldebug"))
_DEBUG = {
    "sevsnpvm": "x-ms-sevsnpvm-is-debuggable",
    "tdxvm": "tdx_td_attributes_debug",
    "sgx": "x-ms-sgx-is-debuggable",
}
_MEASUREMENT = {"sevsnpvm": "x-ms-sevsnpvm-launchmeasurement", "tdxvm": "tdx_mrtd", "sgx": "x-ms-sgx-mrenclave"}
_HOST_DATA = {"sevsnpvm": "x-ms-sevsnpvm-hostdata"}


def read_azure(claims: Mapping[str, ClaimValue]) -> Statement | None:
    """Return what a token of Azure Attestation states, or None for another kind of token."""
    type_ = text(claims, _TYPE)
    if type_ is None:
        return None
    # A machine without confidential computing has no part for it, and shows nothing about its host.
    hardware = part(claims, "x-ms-isolation-tee") if type_ == _VIRTUAL_MACHINE else claims
    tee = text(hardware, _TYPE) or ""
    compliance = text(hardware, "x-ms-compliance-status")
    return Statement(
        nonces=_nonces(claims),
        confidential=tee == "sgx" or (tee in _MEASUREMENT and compliance == _COMPLIANT),
        hardware=tee or None,
        debug=flag(hardware, _DEBUG[tee]) if tee in _DEBUG else None,
        os_debug=any(claims.get(name, False) is not False for name in _OS_DEBUG),
        measurement=hex_bytes(text(hardware, _MEASUREMENT[tee])) if tee in _MEASUREMENT else None,
        tcb_status=text(hardware, "attester_tcb_status"),
        secure_boot=flag(claims, "secureboot"),
        compliance_status=compliance,
        policy_hash=text(claims, "x-ms-policy-hash"),
        host_data=hex_bytes(text(hardware, _HOST_DATA[tee])) if tee in _HOST_DATA else None,
    )


def _nonces(claims: Mapping[str, ClaimValue]) -> tuple[bytes, ...]:
    """Return the nonce as it stands there, and what it stands for: clients write it in base64."""
    nonce = text(part(part(claims, "x-ms-runtime"), "client-payload"), "nonce") or text(claims, "nonce")
    if not nonce:
        return ()
    try:
        decoded = base64.b64decode(nonce, validate=True)
    except ValueError:
        return (nonce.encode(),)
    return (decoded, nonce.encode())
