"""A level is reached by building it, demanded by an argument, and lets honest libraries work."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from enclaved.clock import SystemClock
from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.address_space import address_space
from enclaved.sandbox.demand import choose_level
from enclaved.sandbox.engines import open_engine
from enclaved.sandbox.findings import Finding, decode_findings, encode_findings
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.launcher_link import LauncherLink
from enclaved.sandbox.layers import LEVELS
from enclaved.sandbox.limits import PoolSize
from enclaved.sandbox.users import OWN_USERS, new_user
from hypothesis import given
from hypothesis import strategies as st
from sandbox_harness import Sandbox, open_sandbox

FULL, RESTRICTED = IsolationLevel.FULL, IsolationLevel.RESTRICTED
NO_NAMESPACES = (Finding(FULL, "no permission to make namespaces"), Finding(RESTRICTED, ""))
NOTHING = (Finding(FULL, "no permission to make namespaces"), Finding(RESTRICTED, "no Landlock"))

HONEST = Path(__file__).with_name("honest")
"""A function that uses one library after another, as its input says."""

LIBRARIES = ("numbers", "database", "threads", "tasks", "zones", "compression", "markup", "digests", "files", "timers")


@pytest.mark.parametrize("level", [FULL, RESTRICTED])
async def test_honest_libraries_work(level: IsolationLevel, tmp_path: Path, pool_size: PoolSize) -> None:
    """At both levels: a sandbox in which nothing works would be safe as well."""
    if level is FULL and await best_level() is not FULL:
        pytest.skip("this machine does not give level full")
    async with open_sandbox(tmp_path, size=pool_size, layers=LEVELS[level]) as sandbox:
        function = sandbox.write((HONEST / "handler.py").read_text(), preload=("numpy",))
        await sandbox.engine.start(function)
        for library in LIBRARIES:
            execution = await sandbox.run(library.encode())
            assert execution.output == b"worked", (library, execution.output.decode())


async def best_level() -> IsolationLevel | None:
    """Return what this machine gives."""
    launcher = LauncherLink.spawn()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        await launcher.aclose()
    return choose_level(launcher.findings, demanded=None)


async def test_a_level_that_is_reached_may_be_demanded(sandbox: Sandbox) -> None:
    """And a lower one: what is demanded is the least."""
    async with anyio.create_task_group() as tasks:
        for demanded in (sandbox.engine.isolation, RESTRICTED):
            engine = open_engine(
                "python", launcher=sandbox.launcher, tasks=tasks, clock=SystemClock(), demanded=demanded
            )
            assert engine.isolation is sandbox.engine.isolation


def test_a_level_that_is_not_reached_is_refused_with_a_reason_and_a_remedy() -> None:
    """Before anything runs."""
    with pytest.raises(ConfigurationError) as refused:
        choose_level(NO_NAMESPACES, demanded=FULL)

    assert refused.value.where == "isolation"
    assert "no permission to make namespaces" in str(refused.value)
    assert "start the enclave as root" in refused.value.remedy


def test_the_best_level_is_taken_without_a_demand() -> None:
    """None, where none was reached; and nothing is guessed before it was tried."""
    assert choose_level((Finding(FULL, ""),), demanded=RESTRICTED) is FULL
    assert choose_level(NO_NAMESPACES, demanded=None) is RESTRICTED
    assert choose_level(NOTHING, demanded=None) is None
    with pytest.raises(SandboxError):
        choose_level((), demanded=None)


@pytest.mark.parametrize("demanded", [FULL, RESTRICTED, IsolationLevel.MEMORY_SAFE])
def test_nothing_reached_meets_no_demand(demanded: IsolationLevel) -> None:
    """Not even one for a level that Python functions do not have."""
    with pytest.raises(ConfigurationError):
        choose_level(NOTHING, demanded=demanded)


findings = st.lists(st.builds(Finding, st.sampled_from([FULL, RESTRICTED]), st.text(st.characters(codec="utf-8"))))


@given(findings=findings)
def test_findings_survive(findings: list[Finding]) -> None:
    """With whatever a kernel's or a tool's words hold, but NUL."""
    told = decode_findings(encode_findings(findings).decode()) if findings else ()

    assert told == tuple(Finding(level, problem.replace("\0", " ")) for level, problem in findings)


def test_the_address_space_is_what_the_kernel_says() -> None:
    """Found out without asking it, to some pages."""
    with open("/proc/self/statm", "rb") as statm:
        told = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    assert abs(address_space() - told) < 1 << 20


@given(random=st.binary(min_size=8, max_size=8))
def test_a_user_of_its_own_is_nobody_else(random: bytes) -> None:
    """It lies in a range that nobody gives out, and one that is taken is not taken again."""
    numbers = iter([random, random, bytes(8), b"\1" * 8])
    taken = new_user((), random=lambda _: random)

    assert taken in OWN_USERS
    assert new_user([taken], random=lambda _: next(numbers)) != taken
