"""A thing that a vendor's service knows: where it is, how it is read, and until when it may be used.

How long it may be used is always taken from its own contents, each time it is
used: a cache that kept a date of its own could be told another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from enclaved.collateral.error import CollateralError
from enclaved.collateral.response import Response
from enclaved.errors import EvidenceError

__all__ = ["Files", "Resource"]

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something to ask a service for.

    Attributes:
        url: its address; all that decides it was validated.
        title: its name for people.
        most: how many bytes the answer's body may have.
        files: makes evidence files of an answer; raises ValueError or EvidenceError where it is another thing.
        ends: returns until when such files may be used; raises likewise where they are none.
        fresh_for: how long it is not asked for again; later the service may know a newer one.
    """

    url: str
    title: str
    most: int
    files: Callable[[Response], Files]
    ends: Callable[[Files], datetime]
    fresh_for: timedelta

    def read(self, response: Response, *, at: datetime) -> Files:
        """Return the files that an answer holds.

        Args:
            response: the service's answer.
            at: the present, aware.

        Raises:
            CollateralError: it is another thing, or past its end.
        """
        try:
            files = self.files(response)
            ends = self.ends(files)
        except (ValueError, EvidenceError) as error:
            kind = response.head.headers.get("content-type", "no content type")[:64]
            raise CollateralError(
                self.url,
                f"{kind} of {len(response.body)} bytes that is no {self.title} ({error})",
                remedy="Check that the address is that of the vendor's service, or of a cache of it.",
            ) from error
        if ends < at:
            raise CollateralError(
                self.url,
                f"the service gave a {self.title} that was to be used until {ends:%Y-%m-%dT%H:%M:%SZ}",
                remedy="Check this machine's clock; otherwise the service is behind: name another, or wait.",
                passing=False,
            )
        return files

    def in_force(self, files: Files, *, at: datetime) -> bool:
        """Tell whether files, from wherever they came, are this thing and may be used at a time.

        Args:
            files: the files; some or all may be missing.
            at: the time, aware.
        """
        try:
            return at <= self.ends(files)
        except (ValueError, KeyError, EvidenceError):
            return False
