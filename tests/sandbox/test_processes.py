"""Processes die, by themselves and by others' hands, and nothing is left of them."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest
from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.engine import Function, OverloadedError
from enclaved.sandbox.engines import open_engine
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import Limits, PoolSize
from enclaved.sandbox.outcome import Execution, Outcome
from sandbox_harness import HONEST, SLOW, Sandbox, Sign, children, descendants, is_gone, kill, open_descriptors

ECHO = "def handle(payload): return payload"


async def test_a_killed_zygote_is_replaced(sandbox: Sandbox) -> None:
    """Again and again, and invocations that come meanwhile wait for the next one."""
    await sandbox.engine.start(sandbox.write(ECHO))

    for _ in range(3):
        assert (await sandbox.run(HONEST)).output == HONEST
        (zygote,) = sandbox.zygotes()
        workers = children(zygote)
        kill(zygote)
        assert (await sandbox.run(HONEST)).output == HONEST  # of an old spare, or of the next zygote
        for pid in (zygote, *workers):
            assert await is_gone(pid)


async def test_killed_spares_are_replaced(sandbox: Sandbox) -> None:
    """A spare that dies before it has an input costs nobody his invocation."""
    await sandbox.engine.start(sandbox.write(ECHO))
    (zygote,) = sandbox.zygotes()
    assert (await sandbox.run(HONEST)).output == HONEST
    spares = children(zygote)
    kill(spares[0])

    for _ in range(4):
        assert (await sandbox.run(HONEST)).output == HONEST


async def test_an_invocation_whose_zygote_dies_is_run_once_more(sandbox: Sandbox, sign: Sign) -> None:
    """Execution is at least once; whoever kills two zygotes is told to the enclave."""
    await sandbox.engine.start(sandbox.write(SLOW))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expect_loss, sandbox, sign)
        workers = []
        for _ in range(2):
            workers.append(await sign.wait())
            kill(sandbox.zygotes()[0])

    for pid in workers:
        assert await is_gone(pid)


async def test_a_killed_worker_is_a_failure_of_its_invocation(sandbox: Sandbox, sign: Sign) -> None:
    """The zygote tells how its worker ended."""
    await sandbox.engine.start(sandbox.write(SLOW))
    executions: list[Execution] = []

    async def call() -> None:
        executions.append(await sandbox.run(bytes(sign.path)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        kill(await sign.wait())

    (execution,) = executions
    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert execution.output == b"ended by SIGKILL"
    assert execution.log == b"started\n"


async def test_a_cancelled_invocation_leaves_no_process(sandbox: Sandbox, sign: Sign) -> None:
    """Whoever gives up waiting takes the worker with him."""
    await sandbox.engine.start(sandbox.write(SLOW))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sandbox.run, bytes(sign.path))
        worker = await sign.wait()
        tasks.cancel_scope.cancel()

    assert await is_gone(worker)


async def test_nothing_is_left_after_the_engine_is_closed(tmp_path: Path, sign: Sign) -> None:
    """Neither process nor descriptor, whatever was running."""
    descriptors = open_descriptors()
    processes = descendants(os.getpid())
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        engine = open_engine("python", launcher=launcher, tasks=tasks, clock=SystemClock())
        sandbox = Sandbox(engine=engine, launcher=launcher, folder=tmp_path)
        await engine.start(sandbox.write(ECHO, name="quick"))
        await engine.start(sandbox.write(SLOW))
        await sandbox.run(HONEST, name="quick")
        async with anyio.create_task_group() as running:
            running.start_soon(expect_loss, sandbox, sign)
            await sign.wait()
            await engine.aclose()
        assert descendants(launcher.pid) == []
        await launcher.aclose()

    assert descendants(os.getpid()) == processes
    assert open_descriptors() == descriptors


async def expect_loss(sandbox: Sandbox, sign: Sign) -> None:
    """Run an invocation that does not survive."""
    with pytest.raises(SandboxError, match=r"lost with its zygote|was stopped"):
        await sandbox.run(bytes(sign.path))


async def test_a_dead_launcher_ends_the_enclave(tmp_path: Path) -> None:
    """It is not replaced: it would have to be forked from a process that holds keys by now."""
    launcher = LauncherLink.spawn()
    below: list[int] = []

    async def lose_launcher() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(launcher.listen)
            engine = open_engine("python", launcher=launcher, tasks=tasks, clock=SystemClock())
            await engine.start(Sandbox(engine=engine, launcher=launcher, folder=tmp_path).write(ECHO))
            below.extend(descendants(launcher.pid))
            kill(launcher.pid)
            await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await lose_launcher()
    await launcher.aclose()

    assert raised.group_contains(SandboxError, match="the launcher died")
    for pid in below:
        assert await is_gone(pid)


ENCLAVE = """
import sys
import anyio
from pathlib import Path
from enclaved.clock import SystemClock
from enclaved.sandbox.engine import Function
from enclaved.sandbox.engines import open_engine
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.limits import Limits

async def main():
    folder, payload = Path(sys.argv[1]), sys.argv[2].encode()
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        engine = open_engine("python", launcher=launcher, tasks=tasks, clock=SystemClock())
        await engine.start(Function(name="probe", folder=folder, entrypoint="handler:handle", limits=Limits()))
        await engine.run("probe", payload, timeout_s=10)

anyio.run(main)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_outlives_the_enclave(tmp_path: Path, sign: Sign, how: signal.Signals) -> None:
    """When the enclave is killed, launcher, zygotes, spares and running workers die with it."""
    folder = sign.path.parent
    (folder / "handler.py").write_text(SLOW)
    async with await anyio.open_process([sys.executable, "-c", ENCLAVE, folder, sign.path], stderr=None) as enclave:
        await sign.wait()
        below = descendants(enclave.pid)
        enclave.send_signal(how)
        await enclave.wait()

    assert len(below) >= 3
    for pid in below:
        assert await is_gone(pid)


@pytest.mark.parametrize("pool_size", [PoolSize(spares=1, processes=1, waiting=1)])
async def test_an_empty_pool_makes_invocations_wait_and_then_refuses(sandbox: Sandbox, sign: Sign) -> None:
    """Waiting is bounded by number and by time, and never counts against the function."""
    await sandbox.engine.start(sandbox.write(SLOW, limits=Limits(time_ms=1_000)))
    outcomes: dict[str, object] = {}

    async def call(name: str, *, timeout_s: float) -> None:
        try:
            outcomes[name] = (await sandbox.engine.run("probe", bytes(sign.path), timeout_s=timeout_s)).outcome
        except OverloadedError as refused:
            outcomes[name] = str(refused)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(call, "first", timeout_s=5))
        await sign.wait()
        tasks.start_soon(partial(call, "second", timeout_s=0.4))
        await anyio.wait_all_tasks_blocked()
        await call("third", timeout_s=5)

    assert outcomes == {
        "first": Outcome.TIME_LIMIT,
        "second": "function probe: no process was free in time",
        "third": "function probe: 1 invocations wait already",
    }


async def test_a_zygote_that_cannot_preload_says_why(sandbox: Sandbox) -> None:
    """An operator's mistake is found when the function is started, not when it is called."""
    with pytest.raises(SandboxError, match="No module named 'no_such_library'"):
        await sandbox.engine.start(sandbox.write(ECHO, preload=("no_such_library",)))

    await sandbox.engine.start(sandbox.write(ECHO))
    assert (await sandbox.run(HONEST)).output == HONEST


@pytest.mark.parametrize(
    ("entrypoint", "preload", "key"),
    [
        ("handler", (), "entrypoint"),
        ("../handler:handle", (), "entrypoint"),
        ("handler:handle.now", (), "entrypoint"),
        ("handler:handle", ("os; import sys",), "preload"),
    ],
)
async def test_a_wrong_description_is_refused(
    sandbox: Sandbox, entrypoint: str, preload: tuple[str, ...], key: str
) -> None:
    """Before any process is started for it."""
    with pytest.raises(ConfigurationError) as refused:
        await sandbox.engine.start(sandbox.write(ECHO, entrypoint=entrypoint, preload=preload))

    assert refused.value.where == f"function probe: {key}"


async def test_a_function_without_a_folder_is_refused(sandbox: Sandbox) -> None:
    """The folder is named in the error."""
    missing = Function(name="probe", folder=sandbox.folder / "none", entrypoint="handler:handle", limits=sandbox.limits)

    with pytest.raises(ConfigurationError, match="none"):
        await sandbox.engine.start(missing)


async def test_a_name_is_started_once(sandbox: Sandbox) -> None:
    """Two functions of one name would make it a matter of luck which one runs."""
    await sandbox.engine.start(sandbox.write(ECHO))

    with pytest.raises(ConfigurationError, match="started already"):
        await sandbox.engine.start(sandbox.write(ECHO))


async def test_a_stopped_function_can_be_started_with_other_code(sandbox: Sandbox) -> None:
    """As hot reload does."""
    await sandbox.engine.start(sandbox.write(ECHO))
    await sandbox.engine.stop("probe")
    await sandbox.engine.start(sandbox.write("def handle(payload): return b'new'"))

    assert (await sandbox.run(HONEST)).output == b"new"


def test_an_engine_that_is_not_in_the_table_is_refused() -> None:
    """The remedy names the engines that there are."""
    with pytest.raises(ConfigurationError, match="python"):
        open_engine("forth", launcher=None, tasks=None, clock=SystemClock())  # type: ignore[arg-type]
