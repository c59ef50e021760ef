"""A quote under a key that is already known: is it this key's, and what does it say.

Source: TCG, "Trusted Platform Module Library", family 2.0; the README beside this
file names the part and section for each step.

1. the quote parses, and nothing follows it;
2. a TPM made it, and it is a quote;
3. it is over PCRs of one bank, and not of SHA-1;
4. the key signed it;
5. the PCR values that came along parse, one for each PCR that the quote selects;
6. they have the digest that the TPM signed;
7. the event log that came along parses;
8. replaying it ends in those values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.tpm.event_log import check_event_log, read_event_log
from enclaved.verifier.tpm.key import AttestationKey
from enclaved.verifier.tpm.pcrs import check_pcrs, read_pcrs
from enclaved.verifier.tpm.quote import Quote, check_bank, check_generated, read_quote
from enclaved.verifier.tpm.signature import check_signature, digest_of

__all__ = ["QuoteFiles", "VerifiedQuote", "verify_quote"]

_SOFTWARE = "tpm2-software"
_LIBTPMS = frozenset({bytes.fromhex("2019102300163636"), bytes.fromhex("2024012500120000")})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFiles:
    """The names of the files that go with a quote.

    Attributes:
        signature: of the signature.
        pcrs: of the PCR values.
        event_log: of the event log.
    """

    signature: str
    pcrs: str
    event_log: str

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return self.signature, self.pcrs, self.event_log


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote:
    """A quote that a key signed.

    Attributes:
        quote: the quote.
        key: the key.
        bank: the bank that it is over.
        pcrs: the values of the bank's PCRs by index; none where they did not come along.
        events: the digests that the event log shows for each PCR; None where no log came along.
    """

    quote: Quote
    key: AttestationKey
    bank: str
    pcrs: Mapping[int, bytes]
    events: Mapping[int, tuple[bytes, ...]] | None

    def claims(self) -> dict[str, ClaimValue]:
        """Return what it says, under the TPM specification's names in lower case.

        A quote does not say what kind of TPM signed it. The one hint is the firmware version:
        swtpm's library has versions of its own, and ``implementation`` names it then. A simulator
        that hides its version is not found out; the policy's pin of the key is for that.
        """
        quote = self.quote
        return {
            "pcrs": {str(index): value for index, value in self.pcrs.items()},
            "pcr_bank": self.bank,
            "pcr_digest": quote.pcr_digest,
            "events": None if self.events is None else {str(index): each for index, each in self.events.items()},
            "extra_data": quote.extra_data,
            "qualified_signer": quote.qualified_signer,
            "clock": quote.clock,
            "reset_count": quote.reset_count,
            "restart_count": quote.restart_count,
            "safe": quote.safe,
            "firmware_version": quote.firmware_version,
            "implementation": _SOFTWARE if quote.firmware_version in _LIBTPMS else None,
            "ak": self.key.fingerprint,
        }


def verify_quote(
    data: bytes, endorsements: Mapping[str, bytes], files: QuoteFiles, key: AttestationKey, checks: Checks
) -> VerifiedQuote:
    """Tell a quote that a key signed from any other.

    Args:
        data: the quote's bytes.
        endorsements: the files beside it.
        files: what the files that go with the quote are called.
        key: the key.
        checks: the record.

    Returns:
        The quote, and what was verified with it.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The quote parses.
    quote = read_quote(data, checks)
    # 2. A TPM's own word, and not bytes that its owner had signed.
    check_generated(quote, checks)
    # 3. Over one bank, whose digests nobody can collide.
    bank, selected = check_bank(quote, checks)
    # 4. Signed by the key.
    check_signature(quote, endorsements.get(files.signature), files.signature, key, checks)
    # 5. The PCR values parse.
    pcrs = read_pcrs(endorsements.get(files.pcrs), files.pcrs, bank=bank, selected=selected, checks=checks)
    # 6. They are those that the TPM digested.
    check_pcrs(pcrs, quote, digest_of(quote, checks), checks)
    # 7. The event log parses.
    log = read_event_log(endorsements.get(files.event_log), files.event_log, bank=bank, checks=checks)
    # 8. It is true as far as it ends in these values.
    check_event_log(log, pcrs, bank=bank, checks=checks)
    events = None if log is None else {index: log.digests[index] for index in sorted(pcrs.keys() & log.digests.keys())}
    return VerifiedQuote(quote=quote, key=key, bank=bank, pcrs=pcrs, events=events)
