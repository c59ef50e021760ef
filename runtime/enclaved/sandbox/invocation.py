"""One invocation: a spare is taken, given the input, and judged by what it does.

Until the input is written nothing has happened, so a worker that died as a spare is
replaced by another. From then on the invocation has run, whatever becomes of it.
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
from enclaved.sandbox.worker import BURIAL_S, Condition, Worker

__all__ = ["Invoker"]

_SPOKE_UNASKED: Final = b"wrote to its channel before it had an input"


class Invoker:
    """Runs one function's invocations.

    Args:
        function: the function.
        assignment: what its processes were told about it.
        pool: its processes.
        clock: measures how long it ran.
    """

    def __init__(self, function: Function, *, assignment: Assignment, pool: Pool, clock: Clock) -> None:
        self._function = function
        self._assignment = assignment
        self._pool = pool
        self._clock = clock

    async def invoke(self, payload: bytes, *, timeout_s: float) -> Execution:
        """Run one invocation to its end.

        Args:
            payload: its input.
            timeout_s: how long it may wait for a worker.

        Raises:
            OverloadedError: no worker was free in time.
            ProtocolError: the payload is larger than the function takes.
            SandboxError: the sandbox failed.
        """
        limit = self._function.limits.input_bytes
        if len(payload) > limit:
            raise ProtocolError("input", f"it is longer than {limit} bytes")
        start_by = anyio.current_time() + timeout_s
        worker = await self._take(start_by)
        if worker.condition() is Condition.DEAD:  # perhaps for want of memory on the host: try another one
            worker.dismiss()
            worker = await self._take(start_by)
        try:
            return await self._run(worker, payload)
        finally:
            worker.dismiss()

    async def _take(self, start_by: float) -> Worker:
        """Take a worker that is not lost together with its zygote."""
        try:
            with anyio.fail_after(start_by - anyio.current_time()):
                while True:
                    worker = await self._pool.take()
                    try:
                        if worker.condition() is not Condition.DEAD or not await worker.is_lost():
                            return worker
                    except BaseException:
                        worker.dismiss()
                        raise
                    worker.dismiss()
        except TimeoutError as error:
            raise OverloadedError(f"function {self._function.name}: no process was free in time") from error

    async def _run(self, worker: Worker, payload: bytes) -> Execution:
        began = self._clock.monotonic()
        condition = worker.condition()
        match condition:
            case Condition.LOADED:
                outcome, output = await self._exchange(worker, payload)
            case Condition.DEAD:
                outcome, output = await self._explain_death(worker)
            case Condition.DISOBEDIENT:
                outcome, output = Outcome.FUNCTION_FAILED, _SPOKE_UNASKED
            case Condition.TOO_SLOW | Condition.LOADING:
                outcome, output = Outcome.TIME_LIMIT, f"its module did not load within {LOAD_TIME_S:.0f} s".encode()
        duration_ms = (self._clock.monotonic() - began) * 1000
        return Execution(outcome=outcome, output=output, log=worker.log.text(), duration_ms=duration_ms)

    async def _exchange(self, worker: Worker, payload: bytes) -> tuple[Outcome, bytes]:
        limits = self._function.limits
        try:
            with anyio.fail_after(limits.time_ms / 1000):
                answer = await worker.exchange(payload, output_bytes=limits.output_bytes)
        except TimeoutError:
            await self._end(worker)
            return Outcome.TIME_LIMIT, f"did not end within {limits.time_ms} ms".encode()
        except OutputTooLargeError as error:
            await self._end(worker)
            return Outcome.OUTPUT_TOO_LARGE, error.reason.encode()
        except NoAnswerError:
            return await self._explain_death(worker)
        except ProtocolError as error:
            await self._end(worker)
            return Outcome.FUNCTION_FAILED, f"its answer does not follow the protocol: {error.reason}".encode()
        return from_answer(answer)

    async def _explain_death(self, worker: Worker) -> tuple[Outcome, bytes]:
        await self._end(worker)
        child = worker.child
        if child.ending is None or not worker.is_confined:
            reason = child.problem or "a worker was lost before it could be told how"
            raise SandboxError(f"function {self._function.name}: {reason}")
        return from_ending(child.ending, self._assignment)

    async def _end(self, worker: Worker) -> None:
        """Kill a worker and wait until nothing of it is left; its zygote answers for that."""
        worker.kill()
        await worker.wait_until_over(within_s=BURIAL_S)
