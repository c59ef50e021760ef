"""A function gets its input, and its caller gets what it returned and printed."""

from __future__ import annotations

import hashlib
import py_compile

import anyio
import pytest
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.sandbox.engine import FunctionUnknownError
from enclaved.sandbox.limits import LOG_BYTES, Limits
from enclaved.sandbox.outcome import Outcome
from sandbox_harness import Sandbox

ECHO = "def handle(payload): return payload"


@pytest.mark.parametrize("size", [0, 1, 1024, 1024 * 1024])
async def test_a_function_gets_its_input_whole(sandbox: Sandbox, size: int) -> None:
    """From nothing to a mebibyte, which is more than a socket's buffer holds."""
    payload = hashlib.shake_256(b"input").digest(size)

    execution = await sandbox.call(ECHO, payload)

    assert execution.outcome is Outcome.OK
    assert execution.output == payload
    assert execution.duration_ms > 0


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview"])
async def test_what_is_like_bytes_is_an_output(sandbox: Sandbox, kind: str) -> None:
    """A function may return its bytes in any of the three forms."""
    execution = await sandbox.call(f"def handle(payload): return {kind}(payload)", b"abc")

    assert execution.output == b"abc"


async def test_a_preloaded_library_is_there(sandbox: Sandbox) -> None:
    """The zygote imported numpy, so no worker has to."""
    source = """
import sys
was_there = "numpy" in sys.modules
import numpy
def handle(payload):
    return b"%d %d" % (was_there, numpy.frombuffer(payload, dtype=numpy.uint8).sum())
"""
    execution = await sandbox.call(source, bytes([1, 2, 3]), preload=("numpy",))

    assert execution.output == b"1 6"


async def test_a_function_reads_its_own_modules_and_files(sandbox: Sandbox) -> None:
    """A function is a folder, not a file."""
    function = sandbox.write(
        """
from pathlib import Path
import words
from package.numbers import SEVEN
def handle(payload):
    return words.HELLO + bytes([SEVEN]) + Path(__file__).with_name("data.txt").read_bytes()
"""
    )
    (function.folder / "words.py").write_text("HELLO = b'hello'")
    (function.folder / "package").mkdir()
    (function.folder / "package" / "__init__.py").touch()
    (function.folder / "package" / "numbers.py").write_text("SEVEN = 7")
    (function.folder / "data.txt").write_text("data")
    await sandbox.engine.start(function)

    assert (await sandbox.run()).output == b"hello\x07data"
    assert not list(function.folder.rglob("*.pyc"))


async def test_a_cached_compilation_in_the_folder_is_never_run(sandbox: Sandbox) -> None:
    """A compilation is outside the function's digest, so its source alone decides."""
    function = sandbox.write("def handle(payload): return b'other code'")
    module = function.folder / "handler.py"
    py_compile.compile(str(module), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    module.write_text("def handle(payload): return b'the source'")
    await sandbox.engine.start(function)

    assert (await sandbox.run()).output == b"the source"


async def test_each_invocation_has_a_process_of_its_own(sandbox: Sandbox) -> None:
    """A spare is used once: no state of one invocation is there in the next."""
    source = """
import os
calls = []
def handle(payload):
    calls.append(payload)
    return b"%d %d" % (os.getpid(), len(calls))
"""
    await sandbox.engine.start(sandbox.write(source))

    answers = [(await sandbox.run()).output.split() for _ in range(6)]

    assert len({pid for pid, _ in answers}) == 6
    assert {calls for _, calls in answers} == {b"1"}


async def test_more_invocations_than_processes_are_all_served(sandbox: Sandbox) -> None:
    """Each caller gets the answer to its own input, in whatever order they end."""
    await sandbox.engine.start(sandbox.write(ECHO))
    outputs: dict[bytes, bytes] = {}

    async def call(payload: bytes) -> None:
        outputs[payload] = (await sandbox.run(payload)).output

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(call, b"%d" % number)

    assert outputs == {b"%d" % number: b"%d" % number for number in range(8)}


async def test_two_functions_run_side_by_side(sandbox: Sandbox) -> None:
    """Each function has a zygote of its own."""
    await sandbox.engine.start(sandbox.write("def handle(payload): return b'one'", name="one"))
    await sandbox.engine.start(sandbox.write("def handle(payload): return b'two'", name="two"))

    assert (await sandbox.run(name="one")).output == b"one"
    assert (await sandbox.run(name="two")).output == b"two"
    assert len(sandbox.zygotes()) == 2


@pytest.mark.parametrize(
    ("draw", "preload"),
    [("random.randbytes(16)", "random"), ("numpy.random.bytes(16)", "numpy.random")],
)
async def test_random_numbers_differ_between_workers(sandbox: Sandbox, draw: str, preload: str) -> None:
    """Workers are copies of one process: without a new seed they would all draw the same."""
    source = f"import {preload}\ndef handle(payload): return {draw}"
    await sandbox.engine.start(sandbox.write(source, preload=(preload,)))

    drawn = {(await sandbox.run()).output for _ in range(3)}

    assert len(drawn) == 3


async def test_what_is_printed_reaches_the_caller(sandbox: Sandbox) -> None:
    """From Python, from below it, and from C code that buffers; and it does not change the outcome."""
    source = """
import ctypes, os, sys
print("loaded")
def handle(payload):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.write(1, b"from below\\n")
    ctypes.CDLL(None).puts(b"from C")
    return b"result"
"""
    execution = await sandbox.call(source)

    assert (execution.outcome, execution.output) == (Outcome.OK, b"result")
    assert execution.log == b"loaded\nto stdout\nto stderr\nfrom below\nfrom C\n"


@pytest.mark.parametrize("when", ["while it loads", "when it is called"])
async def test_a_long_log_is_cut_and_marked(sandbox: Sandbox, when: str) -> None:
    """A megabyte of log neither stops the function nor grows the enclave."""
    flood = "print('x' * 1024 * 1024)"
    source = f"def handle(payload):\n    {flood}\n    return b'done'"
    if when == "while it loads":
        source = f"{flood}\ndef handle(payload): return b'done'"

    execution = await sandbox.call(source)

    assert execution.output == b"done"
    assert len(execution.log) == LOG_BYTES
    assert execution.log.startswith(b"xxx")
    assert execution.log.endswith(b"\n[cut]\n")


async def test_an_input_over_the_limit_starts_nothing(sandbox: Sandbox) -> None:
    """The function's own limit is kept where the function is run."""
    await sandbox.engine.start(sandbox.write(ECHO, limits=Limits(input_bytes=3)))

    with pytest.raises(ProtocolError) as refused:
        await sandbox.run(b"four")

    assert refused.value.what == "input"


async def test_a_function_that_is_not_started_is_unknown(sandbox: Sandbox) -> None:
    """Also after it was stopped."""
    await sandbox.engine.start(sandbox.write(ECHO))
    await sandbox.engine.stop("probe")

    with pytest.raises(FunctionUnknownError):
        await sandbox.run()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def handle(payload", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise ValueError('not today')", "ValueError: not today"),
        ("def other(payload): pass", "AttributeError"),
        ("import os; os._exit(3)", "exited with status 3"),
    ],
)
async def test_code_that_does_not_load_can_be_told_without_an_input(sandbox: Sandbox, source: str, why: str) -> None:
    """So a change that is broken is noticed before anybody calls it."""
    await sandbox.engine.start(sandbox.write(source))

    with pytest.raises(ConfigurationError, match=why):
        await sandbox.engine.check("probe")


async def test_code_that_loads_is_not_run_to_see_that(sandbox: Sandbox) -> None:
    """A check gives no input, and takes no more than a spare."""
    await sandbox.engine.start(sandbox.write("def handle(payload): return b'ran'"))

    for _ in range(6):
        await sandbox.engine.check("probe")
    assert (await sandbox.run()).output == b"ran"
