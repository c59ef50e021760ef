"""What a worker has, and what it does not have."""

from __future__ import annotations

import resource
from pathlib import Path

import anyio
import pytest
from enclaved.errors import SandboxError
from enclaved.sandbox.isolation import IsolationLevel, describe
from enclaved.sandbox.layers import LEVELS, Layer, level_of
from sandbox_harness import SLOW, Sandbox, Sign, ask


def status_of(pid: int) -> str:
    """Return what the kernel tells everybody about a process."""
    return Path(f"/proc/{pid}/status").read_text()


async def test_the_environment_is_ours_alone(sandbox: Sandbox) -> None:
    """Nothing of the enclave's environment reaches a function."""
    environment = await ask(sandbox, "dict(os.environ)")

    assert isinstance(environment, dict)
    assert environment.pop("PWD", "/") == "/"  # bubblewrap's word for the folder that it starts in
    assert environment == {"LANG": "C.UTF-8", "TZ": "UTC", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


async def test_the_descriptors_are_stdio_and_the_channel(sandbox: Sandbox) -> None:
    """No socket of the zygote's, the launcher's or another worker's is open."""
    listing = """[
        [n, kind] for n in range(64)
        for kind in [__import__('ctypes').CDLL(None).fcntl(n, 1) >= 0 and os.fstat(n).st_mode >> 12] if kind
    ]"""

    assert await ask(sandbox, listing) == [[0, 0o2], [1, 0o1], [2, 0o1], [3, 0o14]]  # null, two pipes, a socket


async def test_every_limit_is_set_and_cannot_be_raised(sandbox: Sandbox) -> None:
    """Soft and hard limit are one; memory and processor time follow from the function's own limits."""
    names = ["CORE", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE", "NPROC", "AS", "CPU"]
    limits = await ask(sandbox, f"{{n: resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in {names}}}")

    assert isinstance(limits, dict)
    assert all(soft == hard != resource.RLIM_INFINITY for soft, hard in limits.values())
    assert [limits[name][0] for name in ("CORE", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE")] == [0, 0, 0, 0, 64]
    assert limits["AS"][0] >= sandbox.limits.memory_mib * 1024 * 1024


async def test_the_kernel_agrees(sandbox: Sandbox, sign: Sign) -> None:
    """As the host sees a worker: no capability, no new privileges, two filters of system calls."""
    await sandbox.engine.start(sandbox.write(SLOW))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sandbox.run, bytes(sign.path))
        status = status_of(await sign.wait())
        tasks.cancel_scope.cancel()

    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"] == "1"
    assert (fields["Seccomp"], fields["Seccomp_filters"]) == ("2", "2")
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


async def test_nothing_of_the_enclave_is_loaded(sandbox: Sandbox) -> None:
    """A worker holds the sandbox's own few modules, and no code that knows keys or messages."""
    modules = await ask(sandbox, "sorted(m for m in sys.modules if m.startswith('enclaved'))")

    assert modules == [
        "enclaved",
        "enclaved.errors",
        "enclaved.sandbox",
        *(
            f"enclaved.sandbox.{module}"
            for module in (
                "address_space",
                "answer",
                "assignment",
                "bpf",
                "channel",
                "control",
                "entrypoint",
                "failure",
                "filters",
                "isolation",
                "keeper",
                "kernel",
                "landlock",
                "layers",
                "lockdown",
                "namespaces",
                "proof",
                "readable",
                "refusal",
                "runner",
                "seccomp",
                "syscalls",
                "zygote",
            )
        ),
    ]


async def test_what_the_tests_write_is_not_where_it_starts(sandbox: Sandbox) -> None:
    """A function starts in the root folder, with nothing on its path but its own folder and the installation."""
    folder, path = await ask(sandbox, "[os.getcwd(), sys.path[0]]")  # type: ignore[misc]

    assert (folder, path) == ("/", str(sandbox.folder / "probe"))


async def test_the_engine_names_the_level_that_was_reached(sandbox: Sandbox) -> None:
    """As the launcher has found it by building it."""
    reached = [finding.level for finding in sandbox.launcher.findings if not finding.problem]

    assert reached == [sandbox.engine.isolation]
    assert describe(sandbox.engine.isolation).startswith("isolated")


@pytest.mark.parametrize("missing", list(Layer))
def test_less_than_a_level_is_none(missing: Layer) -> None:
    """Without namespaces and a user of its own it is `restricted`; without anything else it is nothing."""
    level = level_of(frozenset(Layer) - {missing})

    expected = IsolationLevel.RESTRICTED if missing in (Layer.NAMESPACES, Layer.OWN_USER) else None
    assert level is expected
    assert level_of(LEVELS[IsolationLevel.FULL]) is IsolationLevel.FULL


async def test_layers_that_are_no_level_cannot_be_named(loose_sandbox: Sandbox) -> None:
    """So no bundle and no receipt can speak of an engine that tests have loosened."""
    with pytest.raises(SandboxError, match="no isolation level"):
        _ = loose_sandbox.engine.isolation
