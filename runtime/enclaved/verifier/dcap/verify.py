"""Stage one for Intel TDX and SGX: is a quote authentic.

Sources: Intel, "SGX ECDSA QuoteLibReference DCAP API", "TDX DCAP Quoting Library
API", "Provisioning Certification Service API"; the README beside this file names
the one for each step.

1. the quote parses, is of a known version and leads to its end;
2. it is of the kind of enclave that was asked for;
3. it was made by a quoting enclave of Intel's;
4. the PCK chain parses, and its certificates are those that Intel makes for these places;
5. the path ends in the pinned root, each link valid at the time and signed by the next;
6. the PCK signs and issues nothing, and the certificate says which platform it is for;
7. the PCK signed the quoting enclave's report;
8. the quoting enclave made the attestation key;
9. the attestation key signed the quote;
10. the chain of the key that signs collateral, likewise;
11. no revocation list that came along revokes a certificate of either;
12. the TCB information is signed, in force, and about this kind of enclave;
13. it is about this platform;
14. the identity of the quoting enclave is signed, in force, and fits the quoting enclave;
15. the TDX module is Intel's;
16. the status of platform, module and quoting enclave together is known, and not "revoked";
17. `dcap-qvl` comes to the same verdict, where it can be asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.chain import check_names, check_signs, read_pck_chain, read_tcb_signing_chain
from enclaved.verifier.dcap.ecdsa import check_document_signature, check_signature, public_key
from enclaved.verifier.dcap.evaluation import check_module, evaluate
from enclaved.verifier.dcap.obstacles import obstacle
from enclaved.verifier.dcap.pck import Pck, read_pck
from enclaved.verifier.dcap.qe_identity import QeIdentity, check_identity, parse_qe_identity
from enclaved.verifier.dcap.quote import Quote, Tee, read_quote
from enclaved.verifier.dcap.revocation import Revocation, check_revocation
from enclaved.verifier.dcap.second_opinion import AGREES, Question, ask
from enclaved.verifier.dcap.sgx_report import SgxReport, read_sgx_report
from enclaved.verifier.dcap.signed_document import check_in_force, read_signed_document
from enclaved.verifier.dcap.tcb_info import TcbInfo, parse_tcb_info
from enclaved.verifier.dcap.tcb_status import TcbStatus, TcbVerdict
from enclaved.verifier.dcap.td_report import TdReport, read_td_report
from enclaved.verifier.roots import INTEL_SGX, Roots
from enclaved.wire.attestation import Evidence

__all__ = ["ENDORSEMENT_FILES", "VerifiedQuote", "verify_quote"]

_TCB_INFO, _QE_IDENTITY, _SIGNING_CHAIN = "tcb_info.json", "qe_identity.json", "tcb_signing_chain.pem"
ENDORSEMENT_FILES = (
    _TCB_INFO,
    _QE_IDENTITY,
    _SIGNING_CHAIN,
    "pck_crl.der",
    "root_ca_crl.der",
    "pck_crl_issuer_chain.pem",
)
_INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote:
    """A quote that is authentic.

    Attributes:
        quote: the quote.
        report: its body.
        pck: the platform, as the PCK's certificate describes it.
        qe_report: the quoting enclave's report.
        tcb: the status.
        tcb_info: the TCB information that it follows from.
        qe_identity: the quoting enclave's identity that it follows from.
        revocation: what the revocation lists that came along show.
        second_opinion: ``"agrees"``, or why `dcap-qvl` was not asked.
    """

    quote: Quote
    report: TdReport | SgxReport
    pck: Pck
    qe_report: SgxReport
    tcb: TcbVerdict
    tcb_info: TcbInfo
    qe_identity: QeIdentity
    revocation: Revocation
    second_opinion: str


def verify_quote(evidence: Evidence, tee: Tee, *, at: datetime, roots: Roots, checks: Checks) -> VerifiedQuote:
    """Tell an authentic quote from any other.

    Args:
        evidence: ``quote.bin`` with `ENDORSEMENT_FILES`; the revocation lists may be missing.
        tee: the kind of enclave that is asked for.
        at: the time at which certificates and collateral have to be valid; aware.
        roots: the pinned roots.
        checks: the record.

    Returns:
        The quote, and what was found out on the way.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    files = evidence.endorsements
    # 1. The quote parses.
    quote = read_quote(evidence.report, checks)
    # 2. Asked for as what it is: rules for enclaves say nothing on trust domains.
    checks.equal("tee", found=quote.tee, wanted=tee)
    # 3. Made by Intel's quoting enclave, as others have certificates of other kinds.
    checks.equal("qe_vendor_id", found=quote.qe_vendor_id, wanted=_INTEL_QE)
    # 4. Each certificate is in its place.
    pck_chain = read_pck_chain(quote.pck_chain, checks)
    check_names(pck_chain, "pck chain", checks)
    # 5. Vouched for by the pinned root.
    check_path(pck_chain, at=at, roots=roots.of(INTEL_SGX), checks=checks, step="pck chain")
    # 6. A platform's key.
    pck = read_pck(pck_chain[0], checks)
    check_signs(pck.certificate, "pck", checks)
    # 7. The platform vouches for the quoting enclave.
    check_signature(
        pck.certificate.public_key(), quote.qe_report_signature, quote.qe_report, step="qe signature", checks=checks
    )
    # 8. The quoting enclave vouches for the attestation key.
    qe_report = read_sgx_report(quote.qe_report)
    _check_attestation_key(quote, qe_report, checks)
    # 9. The attestation key vouches for the quote.
    key = public_key(quote.attestation_key, "attestation key", checks)
    check_signature(key, quote.signature, quote.signed, step="signature", checks=checks)
    # 10. The key that signs collateral.
    signing_chain = read_tcb_signing_chain(files.get(_SIGNING_CHAIN), _SIGNING_CHAIN, checks)
    check_names(signing_chain, "tcb signing chain", checks)
    check_path(signing_chain, at=at, roots=roots.of(INTEL_SGX), checks=checks, step="tcb signing chain")
    check_signs(signing_chain[0], "tcb signing chain", checks)
    # 11. Not revoked.
    _, authority, root = pck_chain
    revocation = check_revocation(
        files, [*pck_chain, *signing_chain], root=root, authority=authority, at=at, checks=checks
    )
    # 12. TCB information, verified before it is read.
    tcb_document = read_signed_document(files.get(_TCB_INFO), _TCB_INFO, "tcbInfo", checks)
    signer, step = signing_chain[0], f"{_TCB_INFO}: signature"
    check_document_signature(signer, tcb_document.signature, tcb_document.body, step=step, checks=checks)
    info = tcb_document.read(parse_tcb_info, checks)
    check_in_force(_TCB_INFO, info.issue_date, info.next_update, at=at, checks=checks)
    checks.equal("tcb_info.json: id", found=info.tee, wanted=tee)
    # 13. This platform's.
    checks.equal("fmspc", found=pck.fmspc, wanted=info.fmspc)
    checks.equal("pce_id", found=pck.pce_id, wanted=info.pce_id)
    # 14. The quoting enclave is the one that Intel says it is.
    qe_document = read_signed_document(files.get(_QE_IDENTITY), _QE_IDENTITY, "enclaveIdentity", checks)
    step = f"{_QE_IDENTITY}: signature"
    check_document_signature(signer, qe_document.signature, qe_document.body, step=step, checks=checks)
    identity = qe_document.read(parse_qe_identity, checks)
    check_in_force(_QE_IDENTITY, identity.issue_date, identity.next_update, at=at, checks=checks)
    check_identity(qe_report, identity, tee, checks)
    # 15. The TDX module, which keeps the host out.
    report = _read_report(quote)
    if isinstance(report, TdReport):
        check_module(report, info, checks)
    # 16. What is known of this combination of versions; which status is good enough, is the policy's.
    tcb = evaluate(pck, qe_report, report, info, identity, checks)
    checks.authentic("tcb_status", found=tcb.status, wanted="any but Revoked", ok=tcb.status is not TcbStatus.REVOKED)
    # 17. Somebody else's code says so too.
    reason = obstacle(quote, report, info, revocation)
    if reason is None:
        question = Question(
            quote=quote,
            report=report,
            pck_chain=pck_chain,
            tcb_signing_chain=signing_chain,
            tcb_info=tcb_document,
            qe_identity=qe_document,
            endorsements=files,
        )
        ask(question, tcb, at=at, checks=checks)
    return VerifiedQuote(
        quote=quote,
        report=report,
        pck=pck,
        qe_report=qe_report,
        tcb=tcb,
        tcb_info=info,
        qe_identity=identity,
        revocation=revocation,
        second_opinion=AGREES if reason is None else f"not asked: {reason}",
    )


def _check_attestation_key(quote: Quote, qe_report: SgxReport, checks: Checks) -> None:
    """Check that the quoting enclave hashed the key into its report, as nobody else can."""
    # The key has one length, so joining the two without lengths loses nothing.
    digest = hashlib.sha256(quote.attestation_key + quote.qe_authentication_data).digest()
    checks.equal("attestation key", found=qe_report.report_data, wanted=digest + bytes(32))


def _read_report(quote: Quote) -> TdReport | SgxReport:
    if quote.tee is Tee.SGX:
        return read_sgx_report(quote.body)
    return read_td_report(quote.body, quote.body_type)
