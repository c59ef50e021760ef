"""What an engine is: something that runs functions, one process state per invocation.

The enclave knows engines only through this protocol. An engine reports a
function's own failures as an `Execution`; an exception from it means that the
sandbox itself is at fault, or that the invocation was never started.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from enclaved.errors import SandboxError
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Execution

__all__ = ["Engine", "Function", "FunctionUnknownError", "OverloadedError"]


class OverloadedError(SandboxError):
    """The invocation was not started: no process was free for it in time."""


class FunctionUnknownError(SandboxError):
    """The invocation was not started: the engine runs no function of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as an engine needs to know it.

    Attributes:
        name: its name, the key for `run` and `stop`.
        folder: its absolute folder; nothing outside it is its code.
        entrypoint: what runs, in its engine's words: ``"handler:handle"``, or ``"function.wasm"``.
        preload: libraries, by import name, that are loaded before any code of the function.
        limits: what one invocation may use.
    """

    name: str
    folder: Path
    entrypoint: str
    preload: tuple[str, ...] = ()
    limits: Limits


class Engine(Protocol):
    """Runs functions; each invocation gets a process state that no other one sees."""

    @property
    def name(self) -> str:
        """Return the engine's name, as manifests and receipts write it."""
        ...

    @property
    def isolation(self) -> IsolationLevel:
        """Return the level that its functions have; as a string it is the wire's word."""
        ...

    @property
    def parallel(self) -> int:
        """Return how many invocations of one function it runs at once."""
        ...

    async def start(self, function: Function) -> None:
        """Make a function ready to be run.

        Raises:
            ConfigurationError: the function cannot be run as it is described.
            SandboxError: its sandbox cannot be built.
        """
        ...

    async def check(self, name: str) -> None:
        """See whether a started function's code can be loaded, without giving it an input.

        Raises:
            ConfigurationError: it cannot; the error says why, in words of the function's own.
            FunctionUnknownError: no function of that name is started.
            SandboxError: no process was ready in time, or the sandbox failed.
        """
        ...

    async def run(self, name: str, payload: bytes, *, timeout_s: float) -> Execution:
        """Run one invocation to its end.

        Args:
            name: the function's name.
            payload: the input.
            timeout_s: how long it may wait for its start; once it runs, only its own
                `Limits.time_ms` bounds it, so that waiting is never blamed on the function.

        Raises:
            FunctionUnknownError: no function of that name is started.
            OverloadedError: no process was free in time; the function was not started.
            ProtocolError: the payload is larger than the function's `input_bytes`.
            SandboxError: the sandbox failed; whether the function ran is not known.
        """
        ...

    async def stop(self, name: str) -> None:
        """Stop a function and wait until nothing of it is left; running invocations end.

        Raises:
            FunctionUnknownError: no function of that name is started.
        """
        ...

    async def aclose(self) -> None:
        """Stop every function."""
        ...
