"""What a receipt has to say, wherever one is looked at: in an answer, an event's output, or a file.

Each rule is a function that raises, so that each reader lists those that it applies
as its own steps. A receipt that contradicts the verified bundle that signed it is not
authentic; a level of isolation that the policy does not list is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from enclaved.errors import ProtocolError
from enclaved.verifier.checks import Checks
from enclaved.verifier.policy import Policy
from enclaved.wire.bundle import FunctionEntry, KeyBundle
from enclaved.wire.receipt import Receipt, ReceiptClaims, decode_receipt, verify_receipt

__all__ = ["check_function_claims", "check_isolation", "check_signature", "read_receipt", "receipt_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = 253_402_300_799  # the last second of the year 9999


def read_receipt(data: bytes | None, *, checks: Checks) -> Receipt:
    """Return the receipt that the bytes encode; its signature is still unverified.

    Args:
        data: the receipt, or None where the answer held none.
        checks: the record.

    Raises:
        EvidenceError: there is none, or it is none.
    """
    if data is None:
        raise checks.not_authentic("receipt", found=None, wanted="a receipt for a function that ran")
    try:
        return decode_receipt(data)
    except ProtocolError as error:
        raise checks.unreadable("receipt", found=error.reason, wanted="a receipt") from error


def check_signature(receipt: Receipt, *, bundle: KeyBundle, bundle_digest: bytes, checks: Checks) -> None:
    """Check that the receipt names the verified bundle and is signed by its receipt key.

    Args:
        receipt: what was decoded.
        bundle: the bundle that verified evidence speaks for.
        bundle_digest: its digest.
        checks: the record.

    Raises:
        EvidenceError: it names another bundle, or the signature does not verify.
    """
    checks.equal("receipt.bundle_digest", found=receipt.claims.bundle_digest, wanted=bundle_digest)
    wanted = "one that the bundle's receipt key made"
    try:
        verify_receipt(receipt, public_key=bundle.receipt_public_key, bundle_digest=bundle_digest)
    except ProtocolError as error:
        raise checks.not_authentic("receipt.signature", found=error.reason, wanted=wanted) from error
    checks.authentic("receipt.signature", found="one that verifies", wanted=wanted, ok=True)


def check_function_claims(claims: ReceiptClaims, entry: FunctionEntry, *, checks: Checks) -> None:
    """Check that what ran is the function as the bundle lists it: name, code and engine.

    Raises:
        EvidenceError: it is another.
    """
    checks.equal("receipt.function", found=claims.function, wanted=entry.name)
    checks.equal("receipt.function_digest", found=claims.function_digest, wanted=entry.digest)
    checks.equal("receipt.engine", found=claims.engine, wanted=entry.engine)


def check_isolation(claims: ReceiptClaims, entry: FunctionEntry, policy: Policy | None, *, checks: Checks) -> None:
    """Check that it ran at the level that the bundle promised and the policy, if there is one, lists.

    Raises:
        EvidenceError: it ran at another level than promised.
        AppraisalError: the policy does not list that level.
    """
    checks.equal("receipt.isolation", found=claims.isolation, wanted=entry.isolation)
    if policy is None:
        return
    rule = policy.functions.get(claims.function)
    wanted = sorted(rule.isolation) if rule else "a function that the policy lists"
    ok = rule is not None and claims.isolation in rule.isolation
    checks.acceptable(f"functions.{claims.function}.isolation", found=claims.isolation, wanted=wanted, ok=ok)


def receipt_time(claims: ReceiptClaims) -> datetime:
    """Return when a receipt says that it was signed, by the host's clock, in UTC."""
    return _EPOCH + timedelta(seconds=min(claims.host_time, _LATEST_S))
