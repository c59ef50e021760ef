"""A process that plays the enclave in one environment, and lets a function attack it there.

Run as ``world.py``, with orders as JSON on its stdin, it prints one JSON document: for
each order what came of every attack. It starts as root or as anybody, becomes who the
order says, and gives up what the order's environment would not have given it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
from enclaved.clock import SystemClock
from enclaved.errors import Error
from enclaved.sandbox.engine import Engine, Function
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.limits import Limits, PoolSize
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.sandbox.python_engine import PythonEngine
from enclaved.sandbox.wasm_engine import WasmEngine

HONEST = b"an honest input"
LIMITS = Limits(time_ms=4_000, memory_mib=96, output_bytes=64 * 1024)
SHORT_MS = 400
USER = 60_123
_AT_ONCE = 3
KEY = b"S3CRETKEY-of-the-enclave"


def become_a_container() -> None:
    """Lose namespaces and mounts, as a container without privileges has; x86-64."""
    denied = (56, 155, 161, 165, 166, 272, 308, 428, 429, 430, 442)  # clone by its flags, then by name
    program = [(0x20, 0, 0, 0), (0x15, 0, 1, 435), (0x06, 0, 0, 0x50026)]  # clone3: ENOSYS
    program += [(0x15, 0, 3, denied[0]), (0x20, 0, 0, 16), (0x45, 0, 1, 0x7E02_0000), (0x06, 0, 0, 0x50001)]
    program += [(0x20, 0, 0, 0)]
    for number in denied[1:]:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50001)]
    program += [(0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    argument = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(argument), 0, 0):
        raise OSError(ctypes.get_errno(), "the container's filter")


@contextmanager
def targets(folder: Path) -> Iterator[dict[str, object]]:
    """Open everything that an attack could reach, so that only the layers keep it from that."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        path, datagram, abstract = (stack.enter_context(socket.socket(*kind)) for kind in _UNIX_KINDS)
        path.bind(str(folder / "listener"))
        datagram.bind(str(folder / "datagrams"))
        abstract.bind(f"\0enclaved-{os.getpid()}")
        path.listen()
        abstract.listen()
        for name in ("listener", "datagrams"):
            (folder / name).chmod(0o777)
        secret, writable = folder / "secret", folder / "writable"
        secret.write_bytes(KEY)
        writable.write_bytes(b"as it was")
        writable.chmod(0o666)
        threading.Thread(target=_echo, args=(udp,), daemon=True).start()
        victim = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        assert victim.stdout is not None
        yield {
            "tcp": listener.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(folder / "listener"),
            "datagram": str(folder / "datagrams"),
            "abstract": f"enclaved-{os.getpid()}",
            "secret": str(secret),
            "writable": str(writable),
            "closed": str(folder / "attacker" / "closed"),
            "mine": str(folder / "attacker" / "writable"),
            "victim": victim.pid,
            "address": int(victim.stdout.readline()),
            "enclave": os.getpid(),
            "is_root": os.getuid() == 0,
            "others": ["an", "honest", "input"],
            "threads": 4_200,
            "mebibytes": 400,
        }
        victim.communicate(b"end")


def _echo(server: socket.socket) -> None:
    while True:
        try:
            _, sender = server.recvfrom(9)
            server.sendto(b"reached", sender)
        except OSError:
            return


_UNIX_KINDS = (
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
)
_VICTIM = f"""
import ctypes, sys
key = ctypes.create_string_buffer({KEY!r})
print(ctypes.addressof(key), flush=True)
sys.stdin.read()
"""


async def attack(engine: Engine, name: str, known: dict[str, object]) -> dict[str, object]:
    """Run one attack, and then an honest invocation."""
    order = json.dumps({"attack": name, "targets": known}).encode()
    function = "short" if name in _BY_TIME else "attacker"
    try:
        execution = await engine.run(function, order, timeout_s=15)
        told = _judge(name, execution)
    except Error as error:
        told = {"escaped": False, "outcome": "sandbox", "detail": str(error)}
    try:
        honest = await engine.run(function, HONEST, timeout_s=15)
        told["served"] = honest.output == HONEST
    except Error as error:
        told["served"] = str(error)
    return told


_BY_TIME = {
    "exhaustion.busy_with_all_signals_blocked",
    "exhaustion.asleep_with_everything_closed",
    "protocol.drip_feed",
    "protocol.after_the_deadline",
    "protocol.silence",
    "protocol.huge_length",
}


def _judge(name: str, execution: Execution) -> dict[str, object]:
    detail = execution.output.decode(errors="replace").strip().splitlines()
    return {
        "escaped": execution.outcome is Outcome.OK,
        "outcome": execution.outcome.value,
        "detail": detail[-1][:200] if detail else "",
        "ms": round(execution.duration_ms, 1),
    }


PEEK = "outside.read_memory"


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in _descendants(child)]


def _is_readable(pid: int) -> bool:
    """Return whether this process, of the same user and not its parent, may read another's memory."""
    try:
        Path(f"/proc/{pid}/mem").open("rb").close()
    except OSError:
        return False
    return True


async def compute(engine: Engine, folder: Path, module: str) -> dict[str, object]:
    """Run a WebAssembly function; return its level and its output."""
    home = folder / "module"
    home.mkdir(mode=0o755)
    (home / "module.wasm").write_bytes(bytes.fromhex(module))
    (home / "module.wasm").chmod(0o644)
    await engine.start(Function(name="module", folder=home, entrypoint="module.wasm", limits=LIMITS))
    execution = await engine.run("module", HONEST, timeout_s=15)
    return {"level": engine.isolation, "outcome": execution.outcome, "output": execution.output.decode()}


async def live(order: dict[str, object], folder: Path, known: dict[str, object]) -> dict[str, object]:
    """Open an engine with the order's layers, and let everything on the order's list be tried."""
    named = order.get("layers")
    layers = None if named is None else frozenset(Layer(each) for each in named)  # type: ignore[attr-defined]
    launcher = LauncherLink.spawn()
    results: dict[str, object] = {}
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        engine = PythonEngine(
            launcher=launcher, tasks=tasks, clock=SystemClock(), size=PoolSize(spares=2, processes=8), layers=layers
        )
        ample = replace(LIMITS, memory_mib=order.get("memory_mib", LIMITS.memory_mib))  # type: ignore[arg-type]
        for name, limits in (("attacker", ample), ("short", replace(LIMITS, time_ms=SHORT_MS))):
            await engine.start(
                Function(name=name, folder=folder / "attacker", entrypoint="handler:handle", limits=limits)
            )
        if order.get("peek"):
            results[PEEK] = {"escaped": any(_is_readable(pid) for pid in _descendants(launcher.pid)), "served": True}
        slots = anyio.CapacityLimiter(_AT_ONCE)

        async def take_turn(name: str) -> None:
            async with slots:
                results[name] = await attack(engine, name, {**known, **order.get("targets", {})})  # type: ignore[dict-item]

        async with anyio.create_task_group() as attacks:
            for name in order["attacks"]:  # type: ignore[attr-defined]
                attacks.start_soon(take_turn, name)
        await engine.aclose()
        if module := order.get("module"):
            size = PoolSize(spares=1, processes=1)
            wasm = WasmEngine(launcher=launcher, tasks=tasks, clock=SystemClock(), size=size, layers=layers)
            results["module"] = await compute(wasm, folder, str(module))
            await wasm.aclose()
        await launcher.aclose()
    level = [finding.level for finding in launcher.findings if not finding.problem]
    return {"level": level[0] if level else None, "findings": launcher.findings, "results": results}


def main() -> None:
    """Follow the orders on stdin."""
    orders = json.load(sys.stdin)
    if orders["world"] != "root" and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    if orders["world"] == "container":
        become_a_container()
    folder = Path(tempfile.mkdtemp(prefix="escapes-"))
    folder.chmod(0o755)
    try:
        shutil.copytree(Path(__file__).with_name("attacker"), folder / "attacker")
        for path in [folder / "attacker", *(folder / "attacker").iterdir()]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        (folder / "attacker" / "closed").touch(mode=0)
        (folder / "attacker" / "writable").touch()
        (folder / "attacker" / "writable").chmod(0o666)
        with targets(folder) as known:
            done = [anyio.run(live, order, folder, known) for order in orders["orders"]]
        intact = (folder / "writable").read_bytes() == b"as it was"
        json.dump({"orders": done, "intact": intact}, sys.stdout)
    finally:
        shutil.rmtree(folder)


main()
