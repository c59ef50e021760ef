"""Stage one for AWS Nitro Enclaves: is an attestation document authentic.

Source: AWS, "Nitro Enclaves Attestation Process"; the README beside this file
names the section for each step.

1. the envelope parses: COSE_Sign1 with its payload and 96 bytes of signature;
2. it is signed with ES384, and its header says nothing else;
3. the document parses: every field of AWS's list, of its type and size, and no other;
4. its PCRs are SHA-384;
5. its certificates parse;
6. each is a P-384 key, signed with ECDSA and SHA-384;
7. the path ends in AWS's pinned root, each link valid at the time and signed by the next;
8. the leaf's key signs documents and issues nothing;
9. it signed this document, as it was received.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.nitro.chain import check_algorithms, check_leaf, read_path
from enclaved.verifier.nitro.document import Document, check_digest, read_document
from enclaved.verifier.nitro.envelope import check_algorithm, check_signature, read_envelope
from enclaved.verifier.roots import AWS_NITRO, Roots
from enclaved.wire.attestation import Evidence

__all__ = ["NAME", "authenticate_nitro"]

NAME = "nitro"
_CODE_PCRS = (0, 1, 2)  # the image; its kernel and boot RAM disk; its application
_MILLISECOND = timedelta(milliseconds=1)


def authenticate_nitro(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    """Tell an authentic document from any other.

    Args:
        evidence: ``attestation_doc.cbor``; its certificates are inside.
        at: the time at which all certificates have to be valid; aware.
        roots: the pinned roots.
        checks: the record.

    Returns:
        The claims, debug ones included: a debug enclave's document is signed like any other.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The envelope parses.
    envelope = read_envelope(evidence.report, checks)
    # 2. Signed in the one way.
    check_algorithm(envelope, checks)
    # 3. The document parses.
    document = read_document(envelope.payload, checks)
    # 4. Measured in the one way.
    check_digest(document, checks)
    # 5. The certificates parse.
    path = read_path(document, checks)
    # 6. Keys and signatures as AWS makes them.
    check_algorithms(path, checks)
    # 7. Vouched for by the pinned root.
    check_path(path, at=at, roots=roots.of(AWS_NITRO), checks=checks)
    # 8. The leaf signs, and issues nothing.
    check_leaf(path[0], checks)
    # 9. It signed these very bytes.
    check_signature(envelope, path[0], checks)
    return _claims(document, at)


def _claims(document: Document, at: datetime) -> Claims:
    return Claims(
        format=NAME,
        bound_data=document.user_data or b"",
        confidential=True,
        simulated=False,
        # A PCR that is not there is as good as a zero one: nothing says what code runs.
        debug=not any(any(document.pcrs.get(index, b"")) for index in _CODE_PCRS),
        tcb_status=None,
        measurement=document.pcrs.get(0),
        evidence_time=document.issued_at,
        nonces=(document.nonce,) if document.nonce else (),
        vendor={
            "module_id": document.module_id,
            "digest": document.digest,
            "timestamp": document.timestamp,
            "pcrs": {str(index): value for index, value in document.pcrs.items()},
            "public_key": document.public_key,
            "user_data": document.user_data,
            "nonce": document.nonce,
            "age_ms": (at - document.issued_at) // _MILLISECOND,
        },
    )
