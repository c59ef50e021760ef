"""A second opinion: the same quote, judged by `dcap-qvl`.

That library verifies the same signatures, chains, lists and levels in code that
shares nothing with ours. Where it can be asked, both have to come to the same
status, the same advisories and the same measurements; where they differ, one of
them is wrong, and the quote is refused.

It refuses some quotes for their attributes before it says anything on their
status (debug, migratable, a bound service TD, …), needs both revocation lists,
and cannot read TCB information of version 2. It is not asked about those: that
is a claim, and a policy accepts it only if it waives the second opinion by name.

This is the one file that knows the library. Its errors are `ValueError`; a panic
below it is a `BaseException`, and neither may escape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import dcap_qvl
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.errors import EvidenceError
from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.quote import Quote
from enclaved.verifier.dcap.revocation import PCK_CRL_FILE, ROOT_CRL_FILE
from enclaved.verifier.dcap.sgx_report import SgxReport
from enclaved.verifier.dcap.signed_document import SignedDocument
from enclaved.verifier.dcap.tcb_status import TcbVerdict
from enclaved.verifier.dcap.td_report import TdReport

__all__ = ["AGREES", "Question", "ask"]

AGREES = "agrees"
_STEP = "second opinion (dcap-qvl)"
_TD_NAMES = {"rtmr0": "rt_mr0", "rtmr1": "rt_mr1", "rtmr2": "rt_mr2", "rtmr3": "rt_mr3"}
_TD_FIELDS = (
    "tee_tcb_svn", "mr_seam", "mr_signer_seam", "seam_attributes", "td_attributes", "xfam", "mr_td", "mr_config_id",
    "mr_owner", "mr_owner_config", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "report_data",
)  # fmt: skip
_SGX_FIELDS = ("cpu_svn", "attributes", "mr_enclave", "mr_signer", "report_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What both have to agree on, all of it verified by our own code.

    Attributes:
        quote: the quote.
        report: its body.
        pck_chain: PCK, authority, root.
        tcb_signing_chain: collateral's key, root.
        tcb_info: the TCB information as it was signed.
        qe_identity: the quoting enclave's identity as it was signed.
        endorsements: the files beside the quote, for the revocation lists.
    """

    quote: Quote
    report: TdReport | SgxReport
    pck_chain: list[x509.Certificate]
    tcb_signing_chain: list[x509.Certificate]
    tcb_info: SignedDocument
    qe_identity: SignedDocument
    endorsements: Mapping[str, bytes]


def ask(question: Question, verdict: TcbVerdict, *, at: datetime, checks: Checks) -> None:
    """Check that `dcap-qvl` comes to the same verdict.

    Args:
        question: the quote and its collateral.
        verdict: our own verdict.
        at: the time.
        checks: the record.

    Raises:
        EvidenceError: it refuses, or says something else; the code is ``"not_authentic"``.
    """
    status, advisories, fields = _verify(question, at, checks)
    checks.equal(f"{_STEP}: status", found=status, wanted=verdict.status.value)
    checks.equal(f"{_STEP}: advisories", found=sorted(set(advisories)), wanted=sorted(verdict.advisories))
    is_sgx = isinstance(question.report, SgxReport)
    for name in _SGX_FIELDS if is_sgx else _TD_FIELDS:
        found, wanted = fields.get(_TD_NAMES.get(name, name)), getattr(question.report, name)
        if found != wanted.hex():  # listed only where they differ: each is listed as a claim
            raise checks.not_authentic(f"{_STEP}: {name}", found=found, wanted=wanted)


def _verify(question: Question, at: datetime, checks: Checks) -> tuple[str, list[str], dict[str, object]]:
    root = question.pck_chain[-1].public_bytes(Encoding.DER)
    try:
        found = dcap_qvl.verify_with_root_ca(question.quote.whole, _collateral(question), root, int(at.timestamp()))
        report = json.loads(found.to_json())["report"]
        return str(found.status), [str(each) for each in found.advisory_ids], _flat(report)
    except Exception as error:
        raise _refused(error, checks) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3's, which cannot be imported; the rest is not the library's
            raise
        raise _refused(error, checks) from error


def _collateral(question: Question) -> object:
    signing_chain = _pem(question.tcb_signing_chain)
    return dcap_qvl.QuoteCollateralV3(
        pck_crl_issuer_chain=_pem(question.pck_chain[1:]),
        root_ca_crl=question.endorsements[ROOT_CRL_FILE],
        pck_crl=question.endorsements[PCK_CRL_FILE],
        tcb_info_issuer_chain=signing_chain,
        tcb_info=question.tcb_info.body.decode(),
        tcb_info_signature=question.tcb_info.signature,
        qe_identity_issuer_chain=signing_chain,
        qe_identity=question.qe_identity.body.decode(),
        qe_identity_signature=question.qe_identity.signature,
    )


def _pem(certificates: list[x509.Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def _flat(report: dict[str, dict[str, object]]) -> dict[str, object]:
    """Return the fields of a report, which nests TD 1.5 in TD 1.0 as ``base``."""
    (fields,) = report.values()
    base = fields.pop("base", {})
    return {**fields, **(base if isinstance(base, dict) else {})}


def _refused(error: BaseException, checks: Checks) -> EvidenceError:
    return checks.not_authentic(_STEP, found=str(error), wanted="a verified quote")
