"""A TPM's quote, as bytes become a typed value.

TCG, "Trusted Platform Module Library", part 2 "Structures": TPMS_ATTEST (10.12.8)
with TPMS_QUOTE_INFO (10.12.1), TPMS_CLOCK_INFO (10.11.1) and TPML_PCR_SELECTION
(10.9.7). A restricted key signs a structure that begins with the magic only if
the TPM itself made it: so the first bytes tell a TPM's word from its owner's.
"""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.structure import MalformedError, Structure

__all__ = ["DIGEST_SIZES", "Quote", "check_bank", "check_generated", "read_quote"]

DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
"""The banks that are accepted, each with the size of its PCRs."""

_MAGIC = bytes.fromhex("ff544347")  # TPM_GENERATED_VALUE
_QUOTE = bytes.fromhex("8018")  # TPM_ST_ATTEST_QUOTE
_BANKS = {0x0004: "sha1", 0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512", 0x0012: "sm3_256"}  # TPM_ALG_ID
_LARGEST_DIGEST = 64
_LARGEST_NAME = 2 + _LARGEST_DIGEST  # TPM2B_NAME: an algorithm and a digest
_LARGEST_DATA = 2 + _LARGEST_DIGEST  # TPM2B_DATA: as large as a TPMT_HA
_MOST_BANKS = 16  # HASH_COUNT
_MOST_SELECTION = 4  # PCR_SELECT_MAX of every profile is 3: 24 PCRs


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote, not yet verified; `raw` is the whole of it, and what the signature covers.

    Attributes:
        raw: the structure's bytes.
        magic: what it begins with.
        type: what kind of structure it says that it is.
        qualified_signer: the qualified name of the key that signed it.
        extra_data: what the asker gave to be signed; empty where nothing was given.
        clock: milliseconds that the TPM was powered.
        reset_count: how often it was reset since its owner was last cleared.
        restart_count: how often it was restarted or resumed since the reset.
        safe: can no higher clock value have been reported before.
        firmware_version: eight bytes that the manufacturer defines.
        selection: the PCRs of each bank that is not empty, by the bank's name, each in index order.
        pcr_digest: the digest of the selected PCRs, with the hash of the signing key's scheme.
    """

    raw: bytes
    magic: bytes
    type: bytes
    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: bytes
    selection: tuple[tuple[str, tuple[int, ...]], ...]
    pcr_digest: bytes


def read_quote(data: bytes, checks: Checks) -> Quote:
    """Return the quote that the bytes hold.

    Args:
        data: the file's bytes.
        checks: the record.

    Returns:
        The quote; nothing in it is verified.

    Raises:
        EvidenceError: the bytes do not have the shape of a quote; the code is ``"unreadable"``.
    """
    try:
        return _read(data)
    except MalformedError as error:
        raise checks.unreadable("quote", found=str(error), wanted="a TPMS_ATTEST over PCRs") from error


def check_generated(quote: Quote, checks: Checks) -> None:
    """Check that the structure says of itself that a TPM made it, and that it is a quote.

    Args:
        quote: the quote.
        checks: the record.

    Raises:
        EvidenceError: it is something else that an attestation key may have signed.
    """
    checks.equal("magic", found=quote.magic, wanted=_MAGIC)
    checks.equal("type", found=quote.type, wanted=_QUOTE)


def check_bank(quote: Quote, checks: Checks) -> tuple[str, tuple[int, ...]]:
    """Check that the quote is over the PCRs of one bank whose hash has no known collisions.

    Args:
        quote: the quote.
        checks: the record.

    Returns:
        The bank's name, and the indices of its PCRs in ascending order.

    Raises:
        EvidenceError: there is no PCR or more than one bank, or an unknown one (``"unsupported"``), or a
            bank is of SHA-1 (``"not_authentic"``): whoever measures can choose two files of one digest.
    """
    names = [name for name, _ in quote.selection]
    checks.authentic("bank", found=names, wanted="no SHA-1", ok="sha1" not in names)
    if len(names) != 1 or names[0] not in DIGEST_SIZES:
        raise checks.unsupported("bank", found=names, wanted=f"one of {', '.join(DIGEST_SIZES)}")
    return quote.selection[0]


def _read(data: bytes) -> Quote:
    fields = Structure(data)
    quote = Quote(
        raw=data,
        magic=fields.take(4),
        type=fields.take(2),
        qualified_signer=fields.sized(most=_LARGEST_NAME),
        extra_data=fields.sized(most=_LARGEST_DATA),
        clock=fields.number(8),
        reset_count=fields.number(4),
        restart_count=fields.number(4),
        safe=_yes_or_no(fields.number(1)),
        firmware_version=fields.take(8),
        selection=_selection(fields),
        pcr_digest=fields.sized(most=_LARGEST_DIGEST),
    )
    fields.finish()
    return quote


def _selection(fields: Structure) -> tuple[tuple[str, tuple[int, ...]], ...]:
    count = fields.number(4)
    if count > _MOST_BANKS:
        raise MalformedError(f"{count} banks where at most {_MOST_BANKS} belong")
    banks: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(count):
        algorithm = fields.number(2)
        size = fields.number(1)
        if size > _MOST_SELECTION:
            raise MalformedError(f"a selection of {size} bytes where at most {_MOST_SELECTION} belong")
        bits = int.from_bytes(fields.take(size), "little")
        selected = tuple(index for index in range(8 * size) if bits >> index & 1)
        if selected:
            banks.append((_BANKS.get(algorithm, f"0x{algorithm:04x}"), selected))
    return tuple(banks)


def _yes_or_no(value: int) -> bool:
    if value > 1:
        raise MalformedError(f"{value} where yes or no belongs")
    return value == 1
