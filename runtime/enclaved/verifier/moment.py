"""As of when evidence is verified, which every verdict names.

Certificates, CRLs and TCB information are valid for a while. Live evidence is
verified as of now; an archive as of a time that a person gives, or as of the
time that the evidence itself was made. The last two say that it was authentic
then, and nothing about freshness.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from enclaved.errors import ConfigurationError
from enclaved.verifier.formats import find_format
from enclaved.wire.attestation import Evidence

__all__ = ["Mode", "evidence_time"]


class Mode(StrEnum):
    """Where the time of a verification comes from."""

    NOW = "now"
    GIVEN = "given"
    EVIDENCE = "evidence"


def evidence_time(evidence: Evidence) -> datetime:
    """Return the time at which evidence says that it was made, to verify it as of then.

    It is not verified here: a verification in `Mode.EVIDENCE` holds it against what is signed.

    Args:
        evidence: the evidence, from anywhere.

    Returns:
        An aware time.

    Raises:
        ConfigurationError: evidence of this format holds no time.
        EvidenceError: it cannot be read, or is of no known format.
    """
    at = find_format(evidence.format).own_time(evidence)
    if at is None:
        raise ConfigurationError(
            "time", f"evidence of the format {evidence.format} holds no time of its own", remedy="Give an RFC 3339 time"
        )
    return at
