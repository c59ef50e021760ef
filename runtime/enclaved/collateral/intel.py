"""What Intel's provisioning certification service, or a PCCS, knows of the platform that made a quote.

"API Specification, Intel SGX and Intel TDX services", version 4: TCB info by
FMSPC, the identity of the quoting enclave, and revocation lists. The quote decides
what is asked for, and is not verified yet: of it, six bytes and one of two words
reach an address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import unquote_to_bytes

from cryptography import x509

from enclaved.collateral.contents import certificates, certificates_end, crl_ends, der_crl, pem
from enclaved.collateral.resource import Files, Resource
from enclaved.collateral.response import Response
from enclaved.collateral.services import Services
from enclaved.verifier.certificate import read_pem_certificates
from enclaved.verifier.checks import Checks

__all__ = ["intel_resources"]

_MOST_DOCUMENT = 256 << 10
_MOST_CRL = 256 << 10
_FRESH = timedelta(hours=24)
_CHAIN = range(1, 5)
_SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
# SEQUENCE { OBJECT IDENTIFIER 1.2.840.113741.1.13.1.4, OCTET STRING of 6 bytes }
_FMSPC = re.compile(re.escape(bytes.fromhex("3014060a2a864886f84d010d01040406")) + b"(.{6})", re.DOTALL)
_AUTHORITIES = {"Intel SGX PCK Processor CA": "processor", "Intel SGX PCK Platform CA": "platform"}
_TCB_CHAIN_HEADERS = ("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain")  # the second is what some PCCS say
_CRL_CHAIN_HEADERS = ("sgx-pck-crl-issuer-chain",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Platform:
    fmspc: str
    authority: str


def intel_resources(quote: bytes, *, tee: str, services: Services) -> tuple[Resource, ...]:
    """Return what a quote needs to be verified.

    Args:
        quote: the quote's bytes, not verified.
        tee: ``"sgx"`` or ``"tdx"``.
        services: where to ask.

    Returns:
        TCB info with its signing chain, the quoting enclave's identity, the revocation list of the
        PCK's issuer with its chain, and that of the root.

    Raises:
        EvidenceError: the quote holds no certificate of a platform.
    """
    platform = _platform(quote)
    base = services.intel
    return (
        Resource(
            url=f"{base}/{tee}/certification/v4/tcb?fmspc={platform.fmspc}",
            title="TCB info",
            most=_MOST_DOCUMENT,
            files=partial(_read_tcb_info, fmspc=platform.fmspc),
            ends=_tcb_info_ends,
            fresh_for=_FRESH,
        ),
        Resource(
            url=f"{base}/{tee}/certification/v4/qe/identity",
            title="identity of the quoting enclave",
            most=_MOST_DOCUMENT,
            files=lambda response: {"qe_identity.json": response.body},
            ends=lambda files: _next_update(_body(files["qe_identity.json"], "enclaveIdentity")),
            fresh_for=_FRESH,
        ),
        Resource(
            url=f"{base}/sgx/certification/v4/pckcrl?ca={platform.authority}&encoding=der",
            title="revocation list of PCKs",
            most=_MOST_CRL,
            files=_read_pck_crl,
            ends=_pck_crl_ends,
            fresh_for=_FRESH,
        ),
        Resource(
            url=services.intel_root_crl,
            title="revocation list of the root",
            most=_MOST_CRL,
            files=lambda response: {"root_ca_crl.der": der_crl(response.body)},
            ends=lambda files: crl_ends(files["root_ca_crl.der"]),
            fresh_for=_FRESH,
        ),
    )


def _platform(quote: bytes) -> _Platform:
    """Read the one certificate of a platform that a quote holds, wherever it lies in it."""
    checks = Checks()
    found = [each for each in read_pem_certificates(quote, "quote", checks) if _sgx_extension(each)]
    if len(found) != 1:
        raise checks.unreadable("quote", found=f"{len(found)} PCK certificates", wanted="one PCK certificate")
    numbers = _FMSPC.findall(_sgx_extension(found[0]))
    if len(numbers) != 1:
        raise checks.unreadable("pck extension", found=f"{len(numbers)} FMSPCs", wanted="one FMSPC")
    names = found[0].issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    authority = _AUTHORITIES.get(str(names[0].value)) if len(names) == 1 else None
    if authority is None:
        issuer = found[0].issuer.rfc4514_string()
        raise checks.unsupported("pck issuer", found=issuer, wanted=f"one of {', '.join(_AUTHORITIES)}")
    return _Platform(fmspc=numbers[0].hex(), authority=authority)


def _sgx_extension(certificate: x509.Certificate) -> bytes:
    values = [each.value for each in certificate.extensions if each.oid == _SGX_EXTENSION]
    return b"".join(each.value for each in values if isinstance(each, x509.UnrecognizedExtension))


def _read_tcb_info(response: Response, *, fmspc: str) -> Files:
    found = _body(response.body, "tcbInfo").get("fmspc")
    if not isinstance(found, str) or found.lower() != fmspc:
        raise ValueError("TCB info of another FMSPC")
    return {"tcb_info.json": response.body, "tcb_signing_chain.pem": _issuer_chain(response, _TCB_CHAIN_HEADERS)}


def _tcb_info_ends(files: Files) -> datetime:
    chain = certificates_end(files["tcb_signing_chain.pem"], "tcb_signing_chain.pem", count=_CHAIN)
    return min(chain, _next_update(_body(files["tcb_info.json"], "tcbInfo")))


def _read_pck_crl(response: Response) -> Files:
    return {
        "pck_crl.der": der_crl(response.body),
        "pck_crl_issuer_chain.pem": _issuer_chain(response, _CRL_CHAIN_HEADERS),
    }


def _pck_crl_ends(files: Files) -> datetime:
    chain = certificates_end(files["pck_crl_issuer_chain.pem"], "pck_crl_issuer_chain.pem", count=_CHAIN)
    return min(chain, crl_ends(files["pck_crl.der"]))


def _issuer_chain(response: Response, names: Sequence[str]) -> bytes:
    """Return the certificates that came in a header, in PEM, with each byte that headers cannot hold as %XX."""
    value = next((response.head.headers[name] for name in names if name in response.head.headers), None)
    if value is None:
        raise ValueError(f"without the header {names[0]}")
    return pem(certificates(unquote_to_bytes(value), names[0], count=_CHAIN))


def _body(document: bytes, key: str) -> dict[str, object]:
    """Return the part of a signed document that is signed."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    body = value.get(key) if isinstance(value, dict) else None
    if not isinstance(body, dict):
        raise ValueError(f"without {key}")  # noqa: TRY004 - it is the document that is wrong
    return body


def _next_update(body: dict[str, object]) -> datetime:
    try:
        ends = datetime.fromisoformat(str(body["nextUpdate"]))
    except (KeyError, ValueError) as error:
        raise ValueError("without a next update") from error
    return ends if ends.tzinfo is not None else ends.replace(tzinfo=UTC)
