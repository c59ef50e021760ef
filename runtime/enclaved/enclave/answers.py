"""Sealed answers, kept for repeats, within a bound.

A repeat of an answered invocation gets the very same sealed answer and no second
run. Nothing is ever refused because the cache is full: a session that fills its
share loses its own oldest answers, never another's, and a repeat of a lost one
is told so.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from enclaved.wire.frames import Output

__all__ = ["AnswerBudget", "AnswerCache", "CachedAnswer"]

_ENTRY_OVERHEAD = 512  # the objects round an answer's bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """One sealed answer.

    Attributes:
        request_digest: of the very request that it answers.
        reply: the result message.
        outputs: what goes to an event's recipients; a repeat may mean that they never got it.
        refused: was it a refusal, for the host's count.
    """

    request_digest: bytes
    reply: bytes
    outputs: tuple[Output, ...]
    refused: bool


class AnswerBudget:
    """The bytes that the answers of many sessions may take together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def fits(self, size: int) -> bool:
        """Tell whether that many more bytes fit."""
        return self.used + size <= self._limit


class AnswerCache:
    """One session's answers, by sequence, oldest first."""

    __slots__ = ("_answers", "_bytes", "_limit", "_pool", "_verified_below")

    def __init__(self, *, pool: AnswerBudget, limit: int) -> None:
        """Make an empty cache.

        Args:
            pool: shared with other sessions.
            limit: the most bytes of this session alone.
        """
        self._answers: OrderedDict[int, CachedAnswer] = OrderedDict()
        self._pool = pool
        self._limit = limit
        self._bytes = 0
        self._verified_below = 0

    def get(self, sequence: int) -> CachedAnswer | None:
        """Return the answer to a sequence, or None where it was dropped."""
        return self._answers.get(sequence)

    def put(self, sequence: int, answer: CachedAnswer) -> None:
        """Keep an answer, dropping this session's oldest as far as needed."""
        size = _size(answer)
        while self._answers and (self._bytes + size > self._limit or not self._pool.fits(size)):
            self._drop(next(iter(self._answers)))
        if self._bytes + size <= self._limit and self._pool.fits(size):
            self._answers[sequence] = answer
            self._account(size)

    def drop_below(self, sequence: int) -> None:
        """Drop what the caller says it has verified."""
        if sequence <= self._verified_below:
            return  # most messages say nothing new, and thousands of answers may lie here
        self._verified_below = sequence
        for verified in [kept for kept in self._answers if kept < sequence]:
            self._drop(verified)

    def clear(self) -> None:
        """Drop everything, as when the session ends."""
        self._answers.clear()
        self._account(-self._bytes)

    def _drop(self, sequence: int) -> None:
        self._account(-_size(self._answers.pop(sequence)))

    def _account(self, size: int) -> None:
        self._bytes += size
        self._pool.used += size


def _size(answer: CachedAnswer) -> int:
    return len(answer.reply) + sum(len(output.payload) for output in answer.outputs) + _ENTRY_OVERHEAD
