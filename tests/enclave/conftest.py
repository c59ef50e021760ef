"""One good enclave, as rules without a process and as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from enclave_process import (
    ACT,
    ECHO,
    EnclaveProcess,
    write_function,
)
from enclave_world import CallerSide, World, recipient_key
from enclaved.wire.hpke import PrivateKey


@pytest.fixture
def world() -> World:
    """An enclave that runs `echo` and `other`, for anybody."""
    return World()


@pytest.fixture
def caller(world: World) -> CallerSide:
    """An anonymous caller's session."""
    return world.caller()


@pytest.fixture(scope="session")
def recipient() -> tuple[PrivateKey, str]:
    """The key of who gets the alarms."""
    return recipient_key()


@pytest.fixture(scope="session")
def enclave(tmp_path_factory: pytest.TempPathFactory, recipient: tuple[PrivateKey, str]) -> Iterator[EnclaveProcess]:
    """One enclave for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("e")
    write_function(folder / "functions", "echo", ECHO)
    write_function(folder / "functions", "act", ACT, "[limits]\ntime_ms = 700\nmemory_mib = 64\n")
    write_function(
        folder / "functions",
        "alarm",
        ECHO,
        f'[trigger]\ntopics = ["ward/+/vitals"]\n[output]\ntopic = "alarms"\nrecipients = ["{recipient[1]}"]\n',
    )
    with EnclaveProcess(folder) as enclave:
        yield enclave


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with one function, for enclaves that a test ends."""
    write_function(tmp_path / "functions", "echo", ECHO)
    return tmp_path
