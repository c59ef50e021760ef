"""One invocation: a spare is taken, given the input, and judged by what it does.

Until a worker has read the input nothing has happened, so one that dies before is
replaced by another. After that it is judged by how it ended; only when its zygote
died with it, so that nobody knows, is the invocation run once more: execution is at
least once, and a function has nothing but its output to act by.
"""

from __future__ import annotations

from typing import Final

import anyio

from enclaved.clock import Clock
from enclaved.errors import ProtocolError, SandboxError
from enclaved.sandbox.answer import NoAnswerError, OutputTooLargeError
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.engine import Function, OverloadedError
from enclaved.sandbox.limits import LOAD_TIME_S
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.sandbox.pool import Pool
from enclaved.sandbox.verdict import from_answer, from_ending
from enclaved.sandbox.worker import Condition, InputUnreadError, Worker

__all__ = ["Invoker"]

_SPOKE_UNASKED: Final = b"wrote to its channel before it had an input"


class _WorkerLostError(SandboxError):
    """A worker and its zygote died: whether the function ran is not known."""


class Invoker:
    """Runs one function's invocations.

    Args:
        function: the function.
        assignment: what its processes were told about it.
        pool: its processes.
        clock: measures how long it ran.
        grace_s: how much later than its time limit a worker is killed that should have ended the invocation itself.
    """

    def __init__(
        self, function: Function, *, assignment: Assignment, pool: Pool, clock: Clock, grace_s: float = 0.0
    ) -> None:
        self._function = function
        self._assignment = assignment
        self._pool = pool
        self._clock = clock
        self._deadline_s = function.limits.time_ms / 1000 + grace_s

    async def invoke(self, payload: bytes, *, timeout_s: float) -> Execution:
        """Run one invocation to its end.

        Args:
            payload: its input.
            timeout_s: how long it may wait for a worker.

        Raises:
            OverloadedError: no worker was free in time.
            ProtocolError: the payload is larger than the function takes.
            SandboxError: the sandbox failed, or the function was stopped.
        """
        limit = self._function.limits.input_bytes
        if len(payload) > limit:
            raise ProtocolError("input", f"it is longer than {limit} bytes")
        start_by = anyio.current_time() + timeout_s
        has_met_death = has_been_lost = False
        while True:
            worker = await self._take(start_by)
            try:
                return await self._run(worker, payload)
            except InputUnreadError:
                await worker.end()
                if has_met_death and not worker.is_lost:  # one may die for want of memory on the host, not two
                    return self._report(worker, *self._explain_death(worker))
                has_met_death = has_met_death or not worker.is_lost
            except _WorkerLostError:
                if has_been_lost:
                    raise
                has_been_lost = True
            finally:
                self._pool.give_back(worker)

    async def why_not_loaded(self, *, timeout_s: float) -> str | None:
        """Return why the function's code cannot be loaded, in its own words, or None where it can.

        No input is given to code that has loaded; what has not is asked why.

        Args:
            timeout_s: how long it may wait for a worker.

        Raises:
            OverloadedError: no worker was free in time.
            SandboxError: the sandbox failed, or the function was stopped.
        """
        worker = await self._take(anyio.current_time() + timeout_s)
        try:
            if worker.condition() is Condition.LOADED and not worker.has_failed_to_load:
                return None
            _, text = await self._judge(worker, b"")
            return text.decode(errors="replace")
        except InputUnreadError:
            await worker.end()
            _, text = self._explain_death(worker)
            return text.decode(errors="replace")
        finally:
            self._pool.give_back(worker)

    async def _take(self, start_by: float) -> Worker:
        try:
            with anyio.fail_after(start_by - anyio.current_time()):
                return await self._pool.take()
        except TimeoutError as error:
            raise OverloadedError(f"function {self._function.name}: no process was free in time") from error

    async def _run(self, worker: Worker, payload: bytes) -> Execution:
        began = self._clock.monotonic()
        outcome, output = await self._judge(worker, payload)
        return self._report(worker, outcome, output, began=began)

    def _report(self, worker: Worker, outcome: Outcome, output: bytes, *, began: float | None = None) -> Execution:
        duration_ms = 0.0 if began is None else (self._clock.monotonic() - began) * 1000
        return Execution(outcome=outcome, output=output, log=worker.log.text(), duration_ms=duration_ms)

    async def _judge(self, worker: Worker, payload: bytes) -> tuple[Outcome, bytes]:
        match worker.condition():
            case Condition.LOADED:
                return await self._exchange(worker, payload)
            case Condition.DEAD:
                raise InputUnreadError("a spare died")
            case Condition.DISOBEDIENT:
                return Outcome.FUNCTION_FAILED, _SPOKE_UNASKED
            case Condition.TOO_SLOW | Condition.LOADING:
                return Outcome.TIME_LIMIT, f"its module did not load within {LOAD_TIME_S:.0f} s".encode()

    async def _exchange(self, worker: Worker, payload: bytes) -> tuple[Outcome, bytes]:
        limits = self._function.limits
        try:
            with anyio.fail_after(self._deadline_s):
                answer = await worker.exchange(payload, output_bytes=limits.output_bytes)
        except TimeoutError:
            await worker.end()
            return Outcome.TIME_LIMIT, f"did not end within {limits.time_ms} ms".encode()
        except OutputTooLargeError as error:
            await worker.end()
            return Outcome.OUTPUT_TOO_LARGE, error.reason.encode()
        except NoAnswerError:
            await worker.end()
            return self._explain_death(worker)
        except ProtocolError as error:
            await worker.end()
            return Outcome.FUNCTION_FAILED, f"its answer does not follow the protocol: {error.reason}".encode()
        return from_answer(answer)

    def _explain_death(self, worker: Worker) -> tuple[Outcome, bytes]:
        child = worker.child
        if child.ending is None and not child.problem:
            raise _WorkerLostError(f"function {self._function.name}: a worker was lost with its zygote")
        if child.ending is None or not worker.is_confined:
            raise SandboxError(f"function {self._function.name}: {child.problem or 'a worker cannot be confined'}")
        return from_ending(child.ending, self._assignment)
