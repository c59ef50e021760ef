"""What AMD's key distribution service knows of the machine that made an SEV-SNP report.

AMD publication 57230, chapter 4. The report decides what is asked for, and is not
verified yet, so nothing of it reaches an address but numbers and hex digits of
fixed lengths.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from enclaved.collateral.contents import certificate_ends, certificates, certificates_end, crl_ends, pem
from enclaved.collateral.error import CollateralError
from enclaved.collateral.resource import Files, Resource
from enclaved.collateral.response import Response
from enclaved.verifier.certificate import read_certificate
from enclaved.verifier.checks import Checks
from enclaved.verifier.snp.product import LINES, ProductLine, line_of_cpu, line_of_product
from enclaved.verifier.snp.report import SigningKey, SnpReport, read_report
from enclaved.verifier.snp.tcb import read_tcb_versions
from enclaved.verifier.snp.vek import read_vek

__all__ = ["amd_resources"]

_MOST_CERTIFICATE = 16 << 10
_MOST_CHAIN = 32 << 10
_MOST_CRL = 256 << 10
_CERTIFICATES_FRESH = timedelta(days=30)  # a VCEK is for one TCB version of one chip: a newer one says the same
_LISTS_FRESH = timedelta(hours=24)
_AUTHORITIES = {SigningKey.VCEK: "ask.pem", SigningKey.VLEK: "asvk.pem"}
_KEYS = ("vcek.der", "vlek.der")
_PARAMETERS = {"fmc": "fmcSPL", "bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL"}


def amd_resources(report: bytes, endorsed: Files, *, base: str, product: str | None) -> tuple[Resource, ...]:
    """Return what a report needs to be verified.

    Args:
        report: the report's bytes, not verified.
        endorsed: the endorsements that it has.
        base: the service's address.
        product: the product line, such as ``"milan"``, where the report is too old to say it.

    Returns:
        The VCEK of the chip at its reported TCB version (not for a VLEK, which the cloud provider
        has), the certificates above it, and the revocation list of its root.

    Raises:
        EvidenceError: the report cannot be read, is of an unknown product, or names no chip.
        CollateralError: what it needs is not the service's to give.
    """
    checks = Checks()
    parsed = read_report(report, checks)
    line = _line(parsed, endorsed, product, checks)
    kind = parsed.signing_key
    if kind is SigningKey.VCEK:
        return (_vcek(parsed, line, base, checks), _chain(line, kind, base), _crl(line, kind, base))
    if kind is SigningKey.NONE:
        raise checks.not_authentic("signing_key", found=kind, wanted="vcek or vlek")
    if "vlek.der" not in endorsed:
        raise CollateralError(
            base,
            "the report is signed with a VLEK, whose certificate AMD gives to cloud providers alone",
            remedy="Take vlek.der from the certificates that the provider hands the guest beside the report.",
        )
    return (_chain(line, kind, base), _crl(line, kind, base))


def _line(report: SnpReport, endorsed: Files, product: str | None, checks: Checks) -> ProductLine:
    """Return the product line; before version 3 a report does not say it, and only the key's certificate does."""
    if report.cpu is not None:
        return line_of_cpu(report.cpu, checks)
    for name in _KEYS:
        if name in endorsed:
            return line_of_product(read_vek(read_certificate(endorsed[name], name, checks), checks).product, checks)
    line = LINES.get(product or "")
    if line is None:
        raise CollateralError(
            "report",
            f"version {report.version}, which does not say what processor made it",
            remedy=f"Name the product: one of {', '.join(LINES)}.",
        )
    return line


def _vcek(report: SnpReport, line: ProductLine, base: str, checks: Checks) -> Resource:
    hw_id, rest = report.chip_id[: line.hw_id_size], report.chip_id[line.hw_id_size :]
    if not any(hw_id) or any(rest):
        raise checks.unreadable("chip_id", found=report.chip_id, wanted="the identifier of a chip, not masked")
    reported = read_tcb_versions(report, line).reported
    versions = "&".join(f"{name}={reported[part]:02d}" for part, name in _PARAMETERS.items() if part in reported)
    return Resource(
        url=f"{base}/vcek/v1/{line.title}/{hw_id.hex()}?{versions}",
        title="VCEK certificate",
        most=_MOST_CERTIFICATE,
        files=lambda response: {"vcek.der": response.body},
        ends=lambda files: certificate_ends(files["vcek.der"], "vcek.der"),
        fresh_for=_CERTIFICATES_FRESH,
    )


def _chain(line: ProductLine, kind: SigningKey, base: str) -> Resource:
    authority = _AUTHORITIES[kind]
    return Resource(
        url=f"{base}/{kind}/v1/{line.title}/cert_chain",
        title="certificate chain",
        most=_MOST_CHAIN,
        files=partial(_read_chain, authority=authority),
        ends=partial(_chain_ends, authority=authority),
        fresh_for=_CERTIFICATES_FRESH,
    )


def _read_chain(response: Response, *, authority: str) -> Files:
    """Split the chain into its two files; AMD sends the authority first, then the root."""
    issuer, root = certificates(response.body, "cert_chain", count=range(2, 3))
    return {authority: pem([issuer]), "ark.pem": pem([root])}


def _chain_ends(files: Files, *, authority: str) -> datetime:
    return min(certificates_end(files[name], name, count=range(1, 2)) for name in (authority, "ark.pem"))


def _crl(line: ProductLine, kind: SigningKey, base: str) -> Resource:
    name = f"{line.name}.crl"
    return Resource(
        url=f"{base}/{kind}/v1/{line.title}/crl",
        title="revocation list",
        most=_MOST_CRL,
        files=lambda response: {name: response.body},
        ends=lambda files: crl_ends(files[name]),
        fresh_for=_LISTS_FRESH,
    )
