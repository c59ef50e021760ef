"""A WebAssembly function gets a fresh instance for each invocation, and every way in which it ends has a name."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import anyio
import pytest
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.sandbox.warm_worker import USES
from sandbox_harness import HONEST, Sandbox, children, descendants, is_gone, kill, open_descriptors
from wasm_guests import ECHO, guest, honest_unless_empty, write_guest

LIMITS = Limits(time_ms=300, memory_mib=16, output_bytes=4096)
PAGE = 64 * 1024


def descriptors(pid: int) -> list[Path]:
    """Return the descriptors of a process, as links to what they are."""
    return list(Path(f"/proc/{pid}/fd").iterdir())


async def call(sandbox: Sandbox, code: bytes, payload: bytes = b"", *, limits: Limits | None = None) -> Execution:
    """Start a module written for this test, and call it."""
    limited = limits or Limits(time_ms=5_000, memory_mib=16)
    await sandbox.engine.start(write_guest(sandbox.folder, code, limits=limited))
    return await sandbox.run(payload)


async def end_badly(sandbox: Sandbox, bad: str, **parts: str) -> Execution:
    """Run a module's bad end, then an honest input: the same workers serve it."""
    await sandbox.engine.start(write_guest(sandbox.folder, guest(honest_unless_empty(bad), **parts), limits=LIMITS))
    assert (await sandbox.run(HONEST)).output == HONEST
    processes = set(descendants(sandbox.launcher.pid))

    execution = await sandbox.run(b"")

    assert [(await sandbox.run(HONEST)).output for _ in range(2)] == [HONEST] * 2
    assert processes <= set(descendants(sandbox.launcher.pid))
    return execution


async def two_workers(sandbox: Sandbox, *, hang: bytes = HONEST) -> list[int]:
    """Wait until both workers are there, and have both work at once; return their process ids."""
    (zygote,) = sandbox.zygotes()
    while len(children(zygote)) < 2:
        await sandbox.run(HONEST)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(sandbox.run, hang)
    return children(zygote)


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 256, b"\xff" * (1 << 20)])
async def test_the_output_is_what_the_module_made(wasm_sandbox: Sandbox, payload: bytes) -> None:
    """To the byte, from nothing to a mebibyte."""
    execution = await call(wasm_sandbox, guest(ECHO), payload)

    assert (execution.outcome, execution.output, execution.log) == (Outcome.OK, payload, b"")


async def test_each_invocation_starts_from_the_same_state(wasm_sandbox: Sandbox) -> None:
    """What one left in globals and in memory, the next does not find, in whichever worker."""
    leave = """
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 offset=512 (i32.const 0) (i32.const 0))
    (i32.store8 offset=513 (i32.const 0) (global.get $calls))
    (i32.store8 offset=514 (i32.const 0) (i32.load8_u offset=900 (i32.const 0)))
    (i32.store8 offset=900 (i32.const 0) (i32.const 7))
    (call $packed (i32.const 512) (i32.const 3))
    """
    code = guest(leave, more="(global $calls (mut i32) (i32.const 0))")
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, code))

    assert [(await wasm_sandbox.run(b"")).output for _ in range(6)] == [b"\x01\x00"] * 6


async def test_no_byte_of_the_last_input_is_left_in_memory(wasm_sandbox: Sandbox) -> None:
    """A thief that takes all the memory it may and looks through it finds nothing but zeros."""
    look = """
    (drop (memory.grow (i32.const 100)))
    (local.set $i (i32.const 4096))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.load8_u (local.get $i)) (then (unreachable)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    """
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(honest_unless_empty(look))))

    for _ in range(4):
        assert (await wasm_sandbox.run(b"a secret" * 100_000)).outcome is Outcome.OK
        assert (await wasm_sandbox.run(b"")).outcome is Outcome.OK


async def test_invocations_at_once_are_not_mixed(wasm_sandbox: Sandbox) -> None:
    """A hundred wait for two workers, and each gets its own answer."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO)))
    answers: dict[bytes, bytes] = {}

    async def ask(payload: bytes) -> None:
        answers[payload] = (await wasm_sandbox.run(payload)).output

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, b"%d" % number * (number * 100 + 1))

    assert len(answers) == 100
    assert all(payload == answer for payload, answer in answers.items())


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("(unreachable)", b"unreachable"),
        ("(drop (i32.div_u (i32.const 1) (local.get $size)))", b"divide by zero"),
        ("(drop (i32.load (i32.const -8)))", b"out of bounds memory access"),
        ("(drop (call $handle (local.get $at) (local.get $size)))", b"call stack exhausted"),
        ("(return (call $packed (i32.const 0) (i32.const 0)))", b"its output has no first byte"),
        ("(return (call $packed (i32.const 65535) (i32.const 2)))", b"does not lie within its memory"),
        ("(return (call $packed (i32.const -1) (i32.const -1)))", b"does not lie within its memory"),
        (
            "(i32.store8 (i32.const 8) (i32.const 9)) (return (call $packed (i32.const 8) (i32.const 2)))",
            b"begins with 9",
        ),
    ],
)
async def test_a_module_that_fails_is_a_failure(wasm_sandbox: Sandbox, bad: str, text: bytes) -> None:
    """Its caller is told how; the worker goes on."""
    execution = await end_badly(wasm_sandbox, bad)

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert text in execution.output


async def test_an_error_text_of_its_own_reaches_the_caller(wasm_sandbox: Sandbox) -> None:
    """An output that begins with 1 is the text of a failure, cut where it is too long."""
    say = "(i32.store8 (i32.const 512) (i32.const 1)) (return (call $packed (i32.const 512) (local.get $size)))"
    more = '(data (i32.const 513) "no such thing")'
    execution = await call(wasm_sandbox, guest(say, more=more), b"x" * 14)

    assert (execution.outcome, execution.output) == (Outcome.FUNCTION_FAILED, b"no such thing")

    long = await wasm_sandbox.run(b"x" * 60_000)
    assert len(long.output) == 8 * 1024
    assert long.output.endswith(b"[cut]")


@pytest.mark.parametrize("where", ["handle", "alloc"])
async def test_a_module_that_does_not_end_is_interrupted(wasm_sandbox: Sandbox, where: str) -> None:
    """At its deadline, wherever it hangs; its input is not taken for the next one."""
    hang = "(loop $for_ever (br $for_ever))"
    alloc = f"""(func $alloc (export "enclaved_alloc") (param $size i32) (result i32)
      (if (i32.eqz (local.get $size)) (then {hang})) (i32.const 1024))"""
    parts = {"alloc": alloc} if where == "alloc" else {}
    execution = await end_badly(wasm_sandbox, hang, **parts)

    assert (execution.outcome, execution.output) == (Outcome.TIME_LIMIT, b"did not end within 300 ms")
    assert 290 <= execution.duration_ms < 2_000


async def test_an_early_failure_takes_its_whole_input_along(wasm_sandbox: Sandbox) -> None:
    """Where nobody read the input, it must not be read as the next one's beginning."""
    alloc = """(func $alloc (export "enclaved_alloc") (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const 1000)) (then (unreachable))) (i32.const 1024))"""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO, alloc=alloc)))

    for _ in range(3):
        assert (await wasm_sandbox.run(b"\0" * 700_000)).outcome is Outcome.FUNCTION_FAILED
        assert (await wasm_sandbox.run(HONEST)).output == HONEST


async def test_an_address_outside_its_memory_is_no_place_for_an_input(wasm_sandbox: Sandbox) -> None:
    """Nothing is written where the module points, until it is known to be its own."""
    alloc = '(func (export "enclaved_alloc") (param i32) (result i32) (i32.const -4))'
    execution = await call(wasm_sandbox, guest("(i64.const 0)", alloc=alloc), b"input")

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert execution.output == b"what enclaved_alloc gave does not lie within its memory"


async def test_memory_beyond_the_limit_is_not_given(wasm_sandbox: Sandbox) -> None:
    """Sixteen mebibytes are 256 pages: the 257th is refused, and a module that then traps is told why."""
    bomb = """(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
      (if (i32.ne (memory.size) (i32.const 256)) (then (return (i64.const 0)))) (unreachable)"""
    execution = await end_badly(wasm_sandbox, bomb)

    assert execution.outcome is Outcome.MEMORY_LIMIT
    assert str(16 << 20).encode() in execution.output


async def test_an_input_that_finds_no_room_is_a_memory_limit(wasm_sandbox: Sandbox) -> None:
    """`enclaved_alloc` says so by giving the address 0."""
    alloc = '(func (export "enclaved_alloc") (param i32) (result i32) (i32.const 0))'
    execution = await call(wasm_sandbox, guest(ECHO, alloc=alloc), b"input")

    assert execution.outcome is Outcome.MEMORY_LIMIT


async def test_an_output_longer_than_the_limit_is_withheld(wasm_sandbox: Sandbox) -> None:
    """One byte more than 4096 is too many; the worker is as good as before."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO), limits=LIMITS))

    assert (await wasm_sandbox.run(b"x" * 4097)).outcome is Outcome.OUTPUT_TOO_LARGE
    assert (await wasm_sandbox.run(b"x" * 4096)).outcome is Outcome.OK


async def test_not_a_number_has_one_form(wasm_sandbox: Sandbox) -> None:
    """What a module computes is the same on every processor, down to the bits of a NaN."""
    divide = """
    (f64.store offset=8 (i32.const 0) (f64.div (f64.const 0) (f64.neg (f64.const 0))))
    (f64.store offset=16 (i32.const 0) (f64.add (f64.load offset=24 (i32.const 0)) (f64.const 1)))
    (call $packed (i32.const 7) (i32.const 17))"""
    more = '(data (i32.const 24) "\\ef\\be\\ad\\de\\00\\00\\ff\\ff")'
    execution = await call(wasm_sandbox, guest(divide, more=more))

    assert struct.unpack("<QQ", execution.output) == (0x7FF8_0000_0000_0000, 0x7FF8_0000_0000_0000)


async def test_a_worker_that_ignores_its_deadline_is_killed(wasm_sandbox: Sandbox) -> None:
    """The enclave's own clock decides; the others that wait are served by the next worker."""
    slow = "(loop $for_ever (br $for_ever))"
    code = guest(honest_unless_empty(slow))
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, code, limits=LIMITS))
    workers = await two_workers(wasm_sandbox, hang=b"")
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)

    answers: list[Execution] = []

    async def ask(payload: bytes) -> None:
        answers.append(await wasm_sandbox.run(payload))

    async with anyio.create_task_group() as tasks:
        for payload in (b"", b"", HONEST, HONEST):
            tasks.start_soon(ask, payload)

    assert [each.outcome for each in answers] == [Outcome.TIME_LIMIT] * 2 + [Outcome.OK] * 2
    assert all([await is_gone(worker) for worker in workers])


async def test_workers_that_die_idle_are_replaced_unnoticed(wasm_sandbox: Sandbox) -> None:
    """However many of them: no code of the function runs between two invocations."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO)))
    for worker in await two_workers(wasm_sandbox):
        kill(worker)
        assert await is_gone(worker)

    assert [(await wasm_sandbox.run(HONEST)).outcome for _ in range(4)] == [Outcome.OK] * 4


async def test_a_zygote_that_dies_is_replaced_unnoticed(wasm_sandbox: Sandbox) -> None:
    """Its workers go with it; who comes meanwhile waits for the next one's."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO)))
    kill(wasm_sandbox.zygotes()[0])

    assert [(await wasm_sandbox.run(HONEST)).outcome for _ in range(4)] == [Outcome.OK] * 4


async def test_a_worker_is_replaced_when_it_is_used_up(wasm_sandbox: Sandbox) -> None:
    """After a thousand invocations a fresh process takes its place."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO)))
    first = set(await two_workers(wasm_sandbox))

    for _ in range(2 * USES):
        await wasm_sandbox.run(b"")
    assert (await wasm_sandbox.run(HONEST)).output == HONEST

    assert not first & set(descendants(wasm_sandbox.launcher.pid))


async def test_the_zygote_has_no_thread_and_no_open_file(wasm_sandbox: Sandbox) -> None:
    """Threads would be lost in its workers, and a descriptor shared by them."""
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO)))
    (zygote,) = wasm_sandbox.zygotes()

    assert len(os.listdir(f"/proc/{zygote}/task")) == 1
    open_files = {os.readlink(entry) for entry in descriptors(zygote)}
    assert {name for name in open_files if name.startswith("/") and name != "/dev/null"} == set()


async def test_nothing_is_left_of_a_stopped_function(wasm_sandbox: Sandbox) -> None:
    """No process, and no descriptor in the enclave."""
    before = open_descriptors()
    await call(wasm_sandbox, guest(ECHO), HONEST)

    await wasm_sandbox.engine.stop("probe")

    assert descendants(wasm_sandbox.launcher.pid) == []
    assert open_descriptors() == before
