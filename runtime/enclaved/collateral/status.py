"""What a service's status means: an answer, a reason to ask again later, or one to stop asking.

Retry-After is RFC 9110, section 10.2.3: seconds, or a date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from enclaved.collateral.error import CollateralError
from enclaved.collateral.response import Head

__all__ = ["check_status"]

_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_SECONDS = 9  # digits


def check_status(url: str, head: Head, *, now: datetime) -> None:
    """Check that the service answers the question.

    Args:
        url: what was asked.
        head: status and headers of its response.
        now: the present, for a Retry-After that is a date.

    Raises:
        CollateralError: it does not; the error says whether asking again can help, and when.
    """
    status = head.status
    if status == 200:
        return
    if 300 <= status < 400:
        # A redirect would let whoever answers choose whom we ask next.
        raise CollateralError(
            url,
            f"the service redirects elsewhere (status {status}), and redirects are not followed",
            remedy="Name the service's own address.",
        )
    if status in (404, 410):
        raise CollateralError(
            url,
            f"the service does not know it (status {status})",
            remedy="Check that the service is the platform's own vendor's, and that the evidence is genuine.",
        )
    if status in _LATER:
        wait_s = _retry_after(head.headers.get("retry-after"), now)
        raise CollateralError(
            url,
            f"the service cannot answer now (status {status})",
            remedy="Try again later." if wait_s is None else f"Try again in {wait_s:.0f} seconds.",
            passing=True,
            wait_s=wait_s,
        )
    raise CollateralError(
        url, f"the service refuses (status {status})", remedy="Check its address, and whether it wants to know you."
    )


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a service asks to be left alone for; None where it does not say so legibly."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(int(value[:_MOST_SECONDS]) if len(value) <= _MOST_SECONDS else 10**_MOST_SECONDS)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
