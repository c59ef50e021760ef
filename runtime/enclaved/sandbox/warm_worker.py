"""A worker that serves one invocation after another, for engines that keep their state apart themselves.

One input is written at a time, and the next only after the whole answer to the last
and not a byte more has come: so no answer can be taken for another's. A worker that
fell out of this step, was cut off or waited for in vain is never used again.
"""

from __future__ import annotations

from typing import Final

from enclaved.sandbox.answer import Answer, AnswerReader
from enclaved.sandbox.worker import Condition, Worker

__all__ = ["USES", "WarmWorker"]

USES: Final = 1000
"""Invocations after which a worker is replaced: whatever one of them spoilt does not last for ever."""


class WarmWorker(Worker):
    """One process, for up to `USES` invocations, one at a time."""

    _uses = 0
    _is_in_step = True

    async def exchange(self, payload: bytes, *, output_bytes: int) -> Answer:
        """Give it an input and read its answer; it stays for the next.

        Raises:
            OutputTooLargeError: the output would be longer than `output_bytes`.
            NoAnswerError: it closed its channel before it had answered.
            ProtocolError: what came is no answer.
        """
        self._uses += 1
        self._is_in_step = False
        answer = await super().exchange(payload, output_bytes=output_bytes)
        self._is_in_step = True
        return answer

    def has_died_idle(self) -> bool:
        """Return whether it died between two invocations, when no code of the function runs."""
        return self.has_loaded and self.condition() is Condition.DEAD

    def may_serve_again(self) -> bool:
        """Return whether it has answered as it should, says nothing more, and is not used up."""
        return self._is_in_step and self._uses < USES and self.condition() is Condition.LOADED

    def _is_over(self, reader: AnswerReader) -> bool:
        """Return whether the answer is whole: its stream goes on with the next one."""
        return reader.is_whole
