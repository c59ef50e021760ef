"""Why collateral could not be had, and what to do about it."""

from __future__ import annotations

from enclaved.errors import Error

__all__ = ["CollateralError"]


class CollateralError(Error):
    """A vendor's service, or the cache of what it said, has no usable answer.

    It says nothing about the evidence: evidence without collateral is not judged.

    Attributes:
        what: the address that was asked.
        problem: what was wrong with the answer, or with getting one.
        remedy: what to do about it.
        passing: may the same request succeed a little later.
        wait_s: the seconds that the service asks to be left alone for, where it says so.
        attempts: how often it was tried.
    """

    def __init__(
        self,
        what: str,
        problem: str,
        *,
        remedy: str,
        passing: bool = False,
        wait_s: float | None = None,
        attempts: int = 1,
    ) -> None:
        tried = f" (tried {attempts} times)" if attempts > 1 else ""
        super().__init__(f"{what}: {problem}{tried}. {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy
        self.passing = passing
        self.wait_s = wait_s
        self.attempts = attempts

    def after(self, attempts: int) -> CollateralError:
        """Return the same error, saying how often it was tried."""
        return CollateralError(
            self.what,
            self.problem,
            remedy=self.remedy,
            passing=self.passing,
            wait_s=self.wait_s,
            attempts=attempts,
        )
