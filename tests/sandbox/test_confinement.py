"""What a worker has, and what it does not have."""

from __future__ import annotations

import json
import resource

from enclaved.sandbox.isolation import NOT_ISOLATED, IsolationLevel, describe
from sandbox_harness import Sandbox


async def probe(sandbox: Sandbox, expression: str) -> object:
    """Evaluate an expression in a worker."""
    source = f"import json, os, resource, sys\ndef handle(payload): return json.dumps({expression}).encode()"
    execution = await sandbox.call(source)
    return json.loads(execution.output)


async def test_the_environment_is_ours_alone(sandbox: Sandbox, monkeypatch: object) -> None:
    """Nothing of the enclave's environment reaches a function."""
    assert await probe(sandbox, "dict(os.environ)") == {
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
    }


async def test_the_descriptors_are_stdio_and_the_channel(sandbox: Sandbox) -> None:
    """No socket of the zygote's, the launcher's or another worker's is open."""
    listing = "[[n, os.readlink(f'/proc/self/fd/{n}')[:6]] for n in sorted(map(int, os.listdir('/proc/self/fd')))[:-1]]"

    assert await probe(sandbox, listing) == [[0, "/dev/n"], [1, "pipe:["], [2, "pipe:["], [3, "socket"]]


async def test_every_limit_is_set_and_cannot_be_raised(sandbox: Sandbox) -> None:
    """Soft and hard limit are one; memory and processor time follow from the function's own limits."""
    names = ["CORE", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "AS", "CPU"]
    limits = await probe(sandbox, f"{{n: resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in {names}}}")

    assert isinstance(limits, dict)
    assert all(soft == hard != resource.RLIM_INFINITY for soft, hard in limits.values())
    assert [limits[name][0] for name in ("CORE", "FSIZE", "MEMLOCK", "NOFILE")] == [0, 0, 0, 64]
    assert limits["AS"][0] >= sandbox.limits.memory_mib * 1024 * 1024


async def test_no_new_privileges_are_to_be_had(sandbox: Sandbox) -> None:
    """A setuid program gives a function nothing."""
    status = await probe(sandbox, "open('/proc/self/status').read().splitlines()")

    assert isinstance(status, list)
    assert "NoNewPrivs:\t1" in status


async def test_nothing_of_the_enclave_is_loaded(sandbox: Sandbox) -> None:
    """A worker holds the sandbox's own few modules, and no code that knows keys or messages."""
    modules = await probe(sandbox, "sorted(m for m in sys.modules if m.startswith('enclaved'))")

    assert modules == [
        "enclaved",
        "enclaved.errors",
        "enclaved.sandbox",
        *(
            f"enclaved.sandbox.{module}"
            for module in (
                "answer",
                "assignment",
                "channel",
                "control",
                "entrypoint",
                "failure",
                "isolation",
                "keeper",
                "kernel",
                "lockdown",
                "refusal",
                "runner",
                "zygote",
            )
        ),
    ]


async def test_what_the_tests_write_is_not_where_it_starts(sandbox: Sandbox) -> None:
    """A function starts in the root folder, with nothing on its path but its own folder and the installation."""
    folder, path = await probe(sandbox, "[os.getcwd(), sys.path[0]]")  # type: ignore[misc]

    assert (folder, path) == ("/", str(sandbox.folder / "probe"))


async def test_the_level_says_that_it_does_not_isolate(sandbox: Sandbox) -> None:
    """A process and its limits keep a hostile function from nothing."""
    assert sandbox.engine.isolation is IsolationLevel.PROCESS
    assert sandbox.engine.isolation == "process"
    assert describe(sandbox.engine.isolation).startswith(NOT_ISOLATED)
    assert all(NOT_ISOLATED not in describe(level) for level in IsolationLevel if level is not IsolationLevel.PROCESS)
