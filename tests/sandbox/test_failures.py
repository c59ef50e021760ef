"""Every way in which a function fails has its outcome, and the next honest invocation is served."""

from __future__ import annotations

from dataclasses import replace

import pytest
from enclaved.sandbox.answer import ERROR_BYTES
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Execution, Outcome
from sandbox_harness import HONEST, Sandbox

LIMITS = Limits(time_ms=8_000, memory_mib=64, output_bytes=4096)


async def fail(sandbox: Sandbox, bad: str, *, limits: Limits = LIMITS, preload: tuple[str, ...] = ()) -> Execution:
    """Run a bad statement in a function, then an honest input through the same function."""
    source = f"""
import ctypes, os, signal, sys, time
def deeper(number): return deeper(number + 1) + 1
def handle(payload):
    if payload == {HONEST!r}:
        return payload
    {bad}
    return b"went on"
"""
    execution = await sandbox.call(source, b"bad", limits=limits, preload=preload)
    assert (await sandbox.run(HONEST)).output == HONEST
    return execution


async def test_what_it_raises_is_told(sandbox: Sandbox) -> None:
    """With the lines of the function's own code that led there, and none of ours."""
    execution = await fail(sandbox, "raise ValueError('no such patient')")

    text = execution.output.decode()
    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert text.endswith("ValueError: no such patient")
    assert 'File "handler.py", line 7, in handle' in text
    assert "runner" not in text
    assert str(sandbox.folder) not in text


async def test_a_long_error_is_cut_and_marked(sandbox: Sandbox) -> None:
    """An error text has a bound of its own."""
    execution = await fail(sandbox, "raise ValueError('x' * 1_000_000)")

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert len(execution.output) == ERROR_BYTES
    assert execution.output.endswith(b"[cut]")


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("deeper(0)", b"RecursionError"),
        ("raise KeyboardInterrupt", b"KeyboardInterrupt"),
        ("raise type('Mute', (Exception,), {'__str__': lambda self: sys.exit(1)})", b"Mute"),
        ("return None", b"returned NoneType, and only bytes can be an output"),
        ("return 'text'", b"returned str, and only bytes can be an output"),
        ("sys.exit(3)", b"exited with status 3"),
        ("sys.exit('words')", b"exited: words"),
        ("os._exit(3)", b"exited with status 3"),
        ("os._exit(0)", b"exited with status 0"),
        ("ctypes.string_at(0)", b"ended by SIGSEGV"),
        ("os.abort()", b"ended by SIGABRT"),
        ("signal.raise_signal(signal.SIGKILL)", b"ended by SIGKILL"),
        ("os.close(3)", b"exited with status 70"),
    ],
)
async def test_how_it_ended_is_told(sandbox: Sandbox, bad: str, text: bytes) -> None:
    """Raised, exited, crashed or killed: each is a failure of the function, and says which."""
    execution = await fail(sandbox, bad)

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert text in execution.output


async def test_a_crash_leaves_what_was_printed_before(sandbox: Sandbox) -> None:
    """Python's lines, C's lines, and where in the Python code it happened."""
    execution = await fail(sandbox, "print('py'); ctypes.CDLL(None).puts(b'c'); ctypes.string_at(0)")

    assert execution.log.startswith(b"py\nc\n")
    assert b"line 7 in handle" in execution.log


@pytest.mark.parametrize(
    "bad",
    [
        "while True: pass",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(60)",
        "sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2); time.sleep(60)",
    ],
)
async def test_the_deadline_ends_it(sandbox: Sandbox, bad: str) -> None:
    """Whatever signals it blocks and whatever it closes."""
    execution = await fail(sandbox, bad, limits=replace(LIMITS, time_ms=300))

    assert execution.outcome is Outcome.TIME_LIMIT
    assert execution.output == b"did not end within 300 ms"
    assert 300 <= execution.duration_ms < 2_000


@pytest.mark.parametrize(
    ("bad", "preload"),
    [
        ("bytearray(200 * 1024 * 1024)", ()),
        ("kept = [bytes(100_000) for _ in range(1_000_000)]", ()),
        ("import numpy; numpy.ones(50_000_000)", ("numpy",)),
    ],
)
async def test_memory_over_the_limit_is_told(sandbox: Sandbox, bad: str, preload: tuple[str, ...]) -> None:
    """The limit counts from what the preloaded libraries take, so it means the same with each of them."""
    execution = await fail(sandbox, bad, preload=preload)

    assert execution.outcome is Outcome.MEMORY_LIMIT


async def test_memory_under_the_limit_is_there(sandbox: Sandbox) -> None:
    """Also next to a large library."""
    execution = await fail(sandbox, "import numpy; numpy.ones(5_000_000)", preload=("numpy",))

    assert execution.output == b"went on"


@pytest.mark.parametrize("size", [4097, 200_000_000 // 8])
async def test_an_output_over_the_limit_is_told(sandbox: Sandbox, size: int) -> None:
    """Its length is judged before its contents are read."""
    execution = await fail(sandbox, f"return bytes({size})")

    assert execution.outcome is Outcome.OUTPUT_TOO_LARGE


async def test_an_output_at_the_limit_is_an_output(sandbox: Sandbox) -> None:
    """The bound itself is allowed."""
    execution = await fail(sandbox, "return bytes(4096)")

    assert execution.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("source", "outcome", "text"),
    [
        ("import no_such_library", Outcome.FUNCTION_FAILED, b"No module named 'no_such_library'"),
        ("def handle(payload) return payload", Outcome.FUNCTION_FAILED, b"SyntaxError"),
        ("handle = 7", Outcome.FUNCTION_FAILED, b"TypeError: handler:handle is not callable"),
        ("other = len", Outcome.FUNCTION_FAILED, b"AttributeError"),
        ("import sys; sys.exit(3)", Outcome.FUNCTION_FAILED, b"exited with status 3"),
        ("import os; os._exit(4)", Outcome.FUNCTION_FAILED, b"exited with status 4"),
        ("import ctypes; ctypes.string_at(0)", Outcome.FUNCTION_FAILED, b"ended by SIGSEGV"),
        ("raise MemoryError", Outcome.MEMORY_LIMIT, b"used more memory"),
    ],
)
async def test_a_module_that_does_not_load_tells_each_caller(
    sandbox: Sandbox, source: str, outcome: Outcome, text: bytes
) -> None:
    """Why it did not load is for its callers; the zygote and the pool go on."""
    await sandbox.engine.start(sandbox.write(source))

    for _ in range(4):
        execution = await sandbox.run(HONEST)
        assert execution.outcome is outcome
        assert text in execution.output


async def test_an_entrypoint_named_like_a_library_is_not_the_library(sandbox: Sandbox) -> None:
    """Otherwise a preloaded library would answer in the function's place."""
    await sandbox.engine.start(sandbox.write("", entrypoint="json:loads", preload=("json",)))

    assert b"json is the name of a library" in (await sandbox.run()).output
