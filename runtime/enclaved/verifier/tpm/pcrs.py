"""The values of the PCRs that a quote is over: a JSON list of hex strings, in the selection's order.

The quote holds only a digest of them all. The order is the quote's own, by
ascending index, and so is the bank: whoever hands the list over chooses neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives import hashes

from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.quote import DIGEST_SIZES, Quote

__all__ = ["check_pcrs", "read_pcrs"]

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


def read_pcrs(
    data: bytes | None, name: str, *, bank: str, selected: Sequence[int], checks: Checks
) -> Mapping[int, bytes]:
    """Return the PCR values that a file holds, by index.

    Args:
        data: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        bank: the quote's bank.
        selected: the indices that the quote selects, ascending.
        checks: the record.

    Returns:
        As many values as the quote selects, not yet verified; none where there is no file.

    Raises:
        EvidenceError: the file does not hold one value for each PCR; the code is ``"unreadable"``.
    """
    if data is None:
        return {}
    wanted = f"{len(selected)} values of {DIGEST_SIZES[bank]} bytes in hex"
    try:
        listed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise checks.unreadable(name, found="bytes that do not parse", wanted=f"a JSON list of {wanted}") from error
    if not isinstance(listed, list) or len(listed) != len(selected):
        found = f"{len(listed)} values" if isinstance(listed, list) else "something else"
        raise checks.unreadable(name, found=found, wanted=f"a JSON list of {wanted}")
    values = [bytes.fromhex(v) if isinstance(v, str) and _HEX.match(v) else b"" for v in listed]
    if any(len(value) != DIGEST_SIZES[bank] for value in values):
        raise checks.unreadable(name, found="a value of another size", wanted=f"a JSON list of {wanted}")
    return dict(zip(selected, values, strict=True))


def check_pcrs(pcrs: Mapping[int, bytes], quote: Quote, digest: hashes.HashAlgorithm, checks: Checks) -> None:
    """Check that the values are those that the TPM digested.

    Args:
        pcrs: the values, in the selection's order; none where only their digest is known.
        quote: the quote.
        digest: the hash of its signature's scheme.
        checks: the record.

    Raises:
        EvidenceError: they are not.
    """
    if not pcrs:
        return
    hasher = hashes.Hash(digest)
    for value in pcrs.values():
        hasher.update(value)
    checks.equal("pcr_digest", found=hasher.finalize(), wanted=quote.pcr_digest)
