"""Stage one for TPM 2.0: is a quote authentic.

The README beside this file names the source of each step.

1. the attestation key parses, and is a strong one;
2. the certificates that came along parse;
3. they end in the root among them, each valid at the time, and certify this key for attesting;
4. the quote, its signature by this key, its PCR values and its event log: the steps of `verified_quote`.

That the key is a TPM's, none of these can know: a policy pins the key, or the root
of those who certify such keys.
"""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.certificate import fingerprint_text
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.roots import Roots
from enclaved.verifier.tpm.chain import CHAIN_FILE, check_chain, read_chain
from enclaved.verifier.tpm.key import read_key
from enclaved.verifier.tpm.verified_quote import QuoteFiles, verify_quote
from enclaved.wire.attestation import Evidence

__all__ = ["FILES", "KEY_FILE", "NAME", "authenticate_tpm"]

NAME = "tpm"
KEY_FILE = "ak_pub.pem"
FILES = QuoteFiles(signature="quote.sig", pcrs="pcrs.json", event_log="eventlog.bin")


def authenticate_tpm(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    """Tell an authentic quote from any other.

    Args:
        evidence: ``quote.msg`` with ``quote.sig`` and ``ak_pub.pem``, and where they are at hand
            ``pcrs.json``, ``ak_chain.pem`` and ``eventlog.bin``.
        at: the time at which certificates have to be valid; aware.
        roots: unused: no root vouches for all TPMs, and which one does is a claim and the policy's.
        checks: the record.

    Returns:
        The claims, never `confidential`: a TPM measures what its host booted, and keeps nobody out.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The key parses.
    key = read_key(evidence.endorsements.get(KEY_FILE), KEY_FILE, checks)
    # 2. The certificates parse.
    path = read_chain(evidence.endorsements.get(CHAIN_FILE), checks)
    # 3. They certify this key.
    check_chain(path, key, at=at, checks=checks)
    # 4. The key signed the quote.
    verified = verify_quote(evidence.report, evidence.endorsements, FILES, key, checks)
    return Claims(
        format=NAME,
        bound_data=verified.quote.extra_data,
        confidential=False,
        simulated=False,
        debug=None,
        tcb_status=None,
        measurement=None,
        evidence_time=None,
        vendor={**verified.claims(), "ak_root": fingerprint_text(path[-1]) if path else None},
    )
