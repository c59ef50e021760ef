"""Stage one for AMD SEV-SNP: is a report authentic.

Sources: AMD publications 56860 (firmware ABI) and 57230 (certificates); the
README beside this file names the section for each step.

1. the report parses: 1184 bytes, version 2 to 5;
2. reserved fields are zero, the guest's policy has no unknown bit, the signature is of the one algorithm;
3. it is signed by a VCEK or a VLEK, not by no key;
4. the certificates for that kind of key parse, one in each file;
5. the product line: from CPUID since version 3, before that from the certificate;
6. the certificates are those that AMD makes for these places and this line, by name;
7. each is signed with RSASSA-PSS and SHA-384;
8. the path ends in the line's pinned ARK, each link valid at the time and signed by the next;
9. no revocation list that came along revokes one of them;
10. the VEK is a P-384 key that signs and issues nothing;
11. the VEK signed the report;
12. the VEK is for the line that the report names;
13. TCB versions are laid out as the line lays them out;
14. the VEK is for the reported TCB version, component by component;
15. the VEK is for this chip (VCEK) or for a cloud provider (VLEK);
16. nothing is reported or committed that is newer than what runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.roots import Roots
from enclaved.verifier.snp.chain import check_algorithms, check_names, read_chain
from enclaved.verifier.snp.product import ProductLine, line_of_cpu, line_of_product
from enclaved.verifier.snp.report import SnpReport, check_reserved, check_signing_key, read_report
from enclaved.verifier.snp.revocation import Revocation, check_lists, read_lists, what_lists_show
from enclaved.verifier.snp.tcb import TcbVersions, check_layout, check_order, read_tcb_versions
from enclaved.verifier.snp.vek import Vek, check_chip, check_signature, check_tcb, check_vek, read_vek

__all__ = ["VerifiedReport", "verify_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReport:
    """A report that is authentic.

    Attributes:
        report: the report.
        line: its product line.
        tcb: its TCB versions.
        vek: the key that signed it, as its certificate describes it.
        revocation: what the revocation lists that came along show.
    """

    report: SnpReport
    line: ProductLine
    tcb: TcbVersions
    vek: Vek
    revocation: Revocation


def verify_report(
    data: bytes, endorsements: Mapping[str, bytes], *, at: datetime, roots: Roots, checks: Checks
) -> VerifiedReport:
    """Tell an authentic report from any other.

    Args:
        data: the report's bytes.
        endorsements: ``ark.pem`` with ``vcek.der`` and ``ask.pem``, or with ``vlek.der`` and ``asvk.pem``,
            and any number of ``*.crl``.
        at: the time at which certificates have to be valid; aware.
        roots: the pinned roots.
        checks: the record.

    Returns:
        The report, and what was found out on the way.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The report parses.
    report = read_report(data, checks)
    # 2. Nothing in it that is not understood.
    check_reserved(report, checks)
    # 3. Signed by a kind of key that AMD vouches for.
    check_signing_key(report, checks)
    # 4. The certificates parse.
    chain = read_chain(endorsements, report.signing_key, checks)
    vek = read_vek(chain.vek, checks)
    # 5. The product line; it decides which root is asked for.
    line = line_of_product(vek.product, checks) if report.cpu is None else line_of_cpu(report.cpu, checks)
    # 6. Each certificate is in its place.
    check_names(chain, report.signing_key, line, checks)
    # 7. Signed as AMD signs.
    check_algorithms(chain, checks)
    # 8. Vouched for by the pinned root.
    check_path(chain.path, at=at, roots=roots.of(line.root), checks=checks)
    # 9. Not revoked, as far as the lists that came along say.
    lists = read_lists(endorsements, checks)
    check_lists(lists, chain, checks)
    # 10. The VEK signs reports, and issues nothing.
    check_vek(vek, checks)
    # 11. It signed this one.
    check_signature(report, vek, checks)
    # 12. For this product line: a Genoa key must not speak for a Milan chip.
    checks.equal("vek product", found=line_of_product(vek.product, checks).name, wanted=line.name)
    # 13. TCB versions as the line has them.
    check_layout(report, line, checks)
    tcb = read_tcb_versions(report, line)
    # 14. For this TCB version: older firmware must not pass for newer.
    check_tcb(vek, tcb.reported, checks)
    # 15. For this chip, or this provider's chips.
    check_chip(vek, report, line, checks)
    # 16. What is reported and committed runs.
    check_order(tcb, report, checks)
    revocation = what_lists_show(lists, chain, at=at)
    return VerifiedReport(report=report, line=line, tcb=tcb, vek=vek, revocation=revocation)
