"""What every string has to do: be judged. Any exception but ours is a finding, and so is a new claim.

The corpus is signed under test roots, which are pinned here and nowhere else, so a
fuzzer starts behind every check that a stranger's bytes would fail first. It holds
no key: what it makes of the seeds can be authentic only if it says what they say.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from container import unpack
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.format import Format
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.roots import Roots
from enclaved.wire.attestation import Evidence

__all__ = ["CORPUS", "judge", "make_target"]

CORPUS = Path(__file__).with_name("corpus")
_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)  # the corpus was made for this time, and its certificates with it


def make_target(name: str) -> Callable[[bytes], None]:
    """Return what a fuzzer calls for a format; it raises nothing unless there is a finding."""
    format_, roots = FORMATS[name], _roots()
    known = {_said(judge(seed.read_bytes(), format_, roots)) for seed in sorted((CORPUS / name).iterdir())}

    def one_input(data: bytes) -> None:
        evidence = unpack(data, format_)
        _own_time(evidence, format_)
        try:
            claims = judge(data, format_, roots)
        except EvidenceError:
            return
        if _said(claims) not in known:
            raise AssertionError(f"accepted, and nobody signed it: {claims}")

    return one_input


def judge(data: bytes, format_: Format, roots: Roots | None = None) -> Claims:
    """Return the claims of the evidence that a string stands for, under the corpus's roots.

    Raises:
        EvidenceError: it is not authentic.
    """
    return authenticate(unpack(data, format_), at=_AT, roots=roots or _roots(), checks=Checks())


def _own_time(evidence: Evidence, format_: Format) -> None:
    with contextlib.suppress(EvidenceError):  # it has none that can be read
        format_.own_time(evidence)


def _roots() -> Roots:
    pinned = json.loads(CORPUS.with_name("roots.json").read_text())
    return Roots(fingerprints={name: frozenset({bytes.fromhex(digest)}) for name, digest in pinned.items()})


def _said(claims: Claims) -> tuple[object, ...]:
    """Return what the device signed; what a fuzzer leaves out beside it may change the rest."""
    return claims.format, claims.bound_data, claims.measurement, claims.debug, claims.evidence_time
