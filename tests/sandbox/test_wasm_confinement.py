"""A WebAssembly function is behind the same layers as any other, and can reach nothing even without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime
from enclaved.errors import ConfigurationError
from enclaved.sandbox.demand import choose_level
from enclaved.sandbox.findings import Finding
from enclaved.sandbox.isolation import IsolationLevel, describe
from enclaved.sandbox.layers import BELOW_WASM, LEVELS, Layer, level_of
from enclaved.sandbox.limits import PoolSize
from enclaved.sandbox.outcome import Outcome
from enclaved.sandbox.wasm_engine import WasmEngine
from sandbox_harness import HONEST, WARM, Sandbox, children, open_sandbox
from wasm_guests import ECHO, guest, write_guest

FULL, RESTRICTED, MEMORY_SAFE = IsolationLevel.FULL, IsolationLevel.RESTRICTED, IsolationLevel.MEMORY_SAFE
NOTHING_REACHED = (Finding(FULL, "no namespaces"), Finding(RESTRICTED, "no Landlock"))
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")


async def worker_of(sandbox: Sandbox) -> int:
    """Start an honest module, have it work, and return the process id of a worker."""
    await sandbox.engine.start(write_guest(sandbox.folder, guest(ECHO)))
    assert (await sandbox.run(HONEST)).output == HONEST
    (zygote,) = sandbox.zygotes()
    return children(zygote)[0]


def status_of(pid: int) -> dict[str, str]:
    """Return what the kernel tells everybody about a process."""
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def limits_of(pid: int) -> dict[str, tuple[str, str]]:
    """Return a process's limits, soft and hard, by the kernel's name for them."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): (line[26:47].strip(), line[47:68].strip()) for line in lines}


def permissions_of(pid: int) -> list[str]:
    """Return what a process may do with each part of its memory."""
    return [line.split()[1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]


async def test_its_level_is_that_of_the_sandbox_below_it(wasm_sandbox: Sandbox) -> None:
    """The one that the launcher has reached by building it, with no less than a Python function's layers."""
    reached = [finding.level for finding in wasm_sandbox.launcher.findings if not finding.problem]

    assert reached == [wasm_sandbox.engine.isolation]
    assert isinstance(wasm_sandbox.engine, WasmEngine)
    assert wasm_sandbox.engine.layers == LEVELS[reached[0]]


@pytest.mark.parametrize("level", list(LEVELS))
async def test_each_level_runs_and_is_named(tmp_path: Path, level: IsolationLevel) -> None:
    """Its zygote compiles before the lock-down, and proves the layers after it."""
    async with open_sandbox(tmp_path, size=WARM, layers=LEVELS[level], engine=WasmEngine) as sandbox:
        await worker_of(sandbox)

        assert sandbox.engine.isolation is level


async def test_the_kernel_agrees(wasm_sandbox: Sandbox) -> None:
    """As the host sees a worker: no capability, no new privileges, two filters of system calls, no file of any size."""
    worker = await worker_of(wasm_sandbox)

    status, limits = status_of(worker), limits_of(worker)
    assert status["NoNewPrivs"] == "1"
    assert (status["Seccomp"], status["Seccomp_filters"]) == ("2", "2")
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert limits["Max file size"] == limits["Max core file size"] == ("0", "0")
    assert limits["Max open files"] == ("64", "64")
    for name in ("Max address space", "Max data size", "Max cpu time"):
        soft, hard = limits[name]
        assert soft == hard != "unlimited"


async def test_it_has_a_world_and_a_user_of_its_own(wasm_sandbox: Sandbox) -> None:
    """At level `full`: no namespace of the host's, and nobody else's user."""
    if wasm_sandbox.engine.isolation is not FULL:
        pytest.skip("this machine does not give the level full")
    worker = await worker_of(wasm_sandbox)

    for kind in NAMESPACES:
        assert os.readlink(f"/proc/{worker}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    if os.geteuid() == 0:
        assert os.stat(f"/proc/{worker}/root").st_dev != os.stat("/").st_dev
        assert "0" not in status_of(worker)["Uid"].split("\t")


async def test_no_memory_is_writable_and_executable(wasm_sandbox: Sandbox) -> None:
    """Compiled code was made executable before the lock-down, and cannot be written since."""
    worker = await worker_of(wasm_sandbox)

    permissions = permissions_of(worker)
    assert any("x" in each for each in permissions)
    assert not [each for each in permissions if "w" in each and "x" in each]


@pytest.mark.parametrize(
    "wanted",
    [
        '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
        '(import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))',
        '(import "env" "system" (func (param i32) (result i32)))',
        '(import "env" "shared" (global i32))',
        '(import "env" "table" (table 1 funcref))',
    ],
)
async def test_a_module_that_wants_anything_from_outside_does_not_start(wasm_sandbox: Sandbox, wanted: str) -> None:
    """No file, no socket, no clock and no host function exists for it: it is refused by the name that it asks for."""
    code = wasmtime.wat2wasm(
        f"""(module {wanted} (memory (export "memory") 1)
        (func (export "enclaved_alloc") (param i32) (result i32) (i32.const 0))
        (func (export "enclaved_handle") (param i32 i32) (result i64) (i64.const 0)))"""
    )

    with pytest.raises(ConfigurationError, match="it imports"):
        await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, bytes(code)))


@pytest.mark.parametrize("address", [65_536, 1 << 24, (1 << 32) - 4])
async def test_no_address_outside_its_memory_can_be_read(wasm_sandbox: Sandbox, address: int) -> None:
    """The trap is a signal that the worker's filters let it handle: the next honest input is served by it."""
    steal = f"(drop (i32.load (i32.const {address - (1 << 32) if address >= 1 << 31 else address})))"
    code = guest(f"(if (i32.eqz (local.get $size)) (then {steal}))" + ECHO)
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, code))

    for _ in range(3):
        assert (await wasm_sandbox.run(b"")).outcome is Outcome.FUNCTION_FAILED
        assert (await wasm_sandbox.run(HONEST)).output == HONEST


async def test_without_a_sandbox_below_the_level_is_that_of_webassembly(tmp_path: Path) -> None:
    """It runs with what every Linux gives, and is called neither `restricted` nor more."""
    async with open_sandbox(tmp_path, size=WARM, layers=BELOW_WASM, engine=WasmEngine) as sandbox:
        await worker_of(sandbox)

        assert sandbox.engine.isolation is MEMORY_SAFE
        assert "no sandbox below it" in describe(sandbox.engine.isolation)


@pytest.mark.parametrize("missing", sorted(LEVELS[RESTRICTED]))
async def test_one_layer_less_than_restricted_is_memory_safe(tmp_path: Path, missing: Layer) -> None:
    """A level is never named for a part of its layers."""
    size = PoolSize(spares=1, processes=1, waiting=1)
    layers = LEVELS[RESTRICTED] - {missing}
    async with open_sandbox(tmp_path, size=size, layers=layers, engine=WasmEngine) as sandbox:
        assert sandbox.engine.isolation is MEMORY_SAFE
    assert level_of(layers) is None


def test_only_webassembly_runs_where_no_level_is_reached() -> None:
    """Python gets none there, and so runs nothing; WebAssembly is what is left."""
    assert choose_level(NOTHING_REACHED, demanded=None) is None
    assert choose_level(NOTHING_REACHED, demanded=None, without=MEMORY_SAFE) is MEMORY_SAFE
    assert choose_level((Finding(FULL, ""),), demanded=MEMORY_SAFE, without=MEMORY_SAFE) is FULL


@pytest.mark.parametrize("demanded", list(LEVELS))
def test_memory_safety_is_no_sandbox(demanded: IsolationLevel) -> None:
    """Whoever demands one is refused with what was tried."""
    with pytest.raises(ConfigurationError, match="no Landlock"):
        choose_level(NOTHING_REACHED, demanded=demanded, without=MEMORY_SAFE)
