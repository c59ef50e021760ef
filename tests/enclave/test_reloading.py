"""A folder that changes is served anew once it is still; what cannot be served changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from enclave_process import EnclaveProcess, Gateway, bundle_of, caller_of, gone, write_function
from enclaved.enclave.reloading import FolderWatch, keep_reloading
from enclaved.errors import ConfigurationError
from enclaved.wire.frames import Announce

SAYS = "def handle(payload):\n    return {!r}\n"


def looks(watch: FolderWatch, count: int = 3) -> list[bool]:
    """Return what several looks say."""
    return [watch.has_changed() for _ in range(count)]


def test_a_change_is_told_once_it_is_still(tmp_path: Path) -> None:
    """Not at the first look, when it may still be under way, and not twice."""
    watch = FolderWatch(tmp_path)
    assert looks(watch) == [False] * 3
    (tmp_path / "a").write_text("a")

    assert looks(watch) == [False, True, False]


@pytest.mark.parametrize("how", ["contents", "new file", "renamed", "removed", "touched", "deep"])
def test_every_kind_of_change_is_seen(tmp_path: Path, how: str) -> None:
    """Without reading a file."""
    (tmp_path / "f").mkdir()
    file = tmp_path / "f" / "a"
    file.write_text("a")
    watch = FolderWatch(tmp_path)
    match how:
        case "contents":
            file.write_text("ab")
        case "new file":
            (tmp_path / "b").touch()
        case "renamed":
            file.rename(tmp_path / "f" / "b")
        case "removed":
            file.unlink()
        case "touched":
            os.utime(file, (1, 1))
        case "deep":
            (tmp_path / "f" / "g").mkdir()

    assert looks(watch) == [False, True, False]


def test_what_changes_at_each_look_is_waited_for(tmp_path: Path) -> None:
    """A copy that takes long is taken when it is done."""
    watch = FolderWatch(tmp_path)
    said = []
    for number in range(4):
        (tmp_path / str(number)).touch()
        said.append(watch.has_changed())

    assert said == [False] * 4
    assert looks(watch) == [True, False, False]


def test_a_folder_that_goes_away_is_a_change(tmp_path: Path) -> None:
    """And no failure of the watch."""
    watch = FolderWatch(tmp_path / "f")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").touch()

    assert looks(watch)[1]


@dataclass
class Server:
    """Reloads with a result for each time, and then waits for ever."""

    results: list[bool | Exception]
    done: anyio.Event = field(default_factory=anyio.Event)

    async def reload(self) -> bool:
        """Give the next result."""
        result = self.results.pop(0)
        if not self.results:
            self.done.set()
        if isinstance(result, Exception):
            raise result
        return result

    def served(self) -> list[dict[str, str]]:
        """Name one function."""
        return [{"name": "echo", "digest": "h1:", "isolation": "full"}]


class Restless:
    """A watch that always sees a change."""

    def has_changed(self) -> bool:
        """Return that it has changed."""
        return True


async def test_each_reload_is_told_and_each_refusal_with_its_reason() -> None:
    """A touched file is neither; a wrong function does not end the watch."""
    server = Server([True, ConfigurationError("f/function.toml", "is wrong", remedy="Mend it."), False, True])
    told: list[dict[str, object]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: keep_reloading(server, Restless(), told.append, every_s=0))  # type: ignore[arg-type]
        with anyio.fail_after(10):
            await server.done.wait()
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    assert [each["event"] for each in told[:2]] == ["reloaded", "reload_failed"]
    assert told[1]["reason"] == "f/function.toml: is wrong. Mend it."


def next_event(enclave: EnclaveProcess) -> dict[str, object]:
    """Return the next line that the process says."""
    assert enclave.process.stdout is not None
    event: dict[str, object] = json.loads(enclave.process.stdout.readline())
    return event


def test_the_process_serves_a_changed_folder(tmp_path: Path) -> None:
    """The new epoch is announced on the link that is open; the old one still answers what is sealed to it."""
    functions = tmp_path / "functions"
    write_function(functions, "f", SAYS.format(b"old"))
    home = functions / "f"
    with EnclaveProcess(tmp_path, "--reload") as enclave:
        gateway, first = Gateway.greeted(enclave.link)
        with gateway:
            before = caller_of(first)
            assert gateway.result(before.call(function="f")).output == b"old"
            (home / "handler.py").write_text(SAYS.format(b"new"))

            assert next_event(enclave)["event"] == "reloaded"
            second = gateway.receive()
            assert isinstance(second, Announce)
            assert bundle_of(second).epoch == 2
            assert gateway.result(caller_of(second).call(function="f")).output == b"new"
            assert gateway.result(before.call(function="f", sequence=1)).output == b"old"

            (home / "handler.py").unlink()
            failed = next_event(enclave)
            assert failed["event"] == "reload_failed"
            assert "there is no handler.py" in str(failed["reason"])
            assert gateway.result(caller_of(second).call(function="f")).output == b"new"


def test_functions_that_nobody_can_call_any_more_are_stopped(tmp_path: Path) -> None:
    """Four epochs answer at once; the processes of a fifth one's functions would stay for ever."""
    functions = tmp_path / "functions"
    write_function(functions, "f", SAYS.format(0))
    home = functions / "f"
    with EnclaveProcess(tmp_path, "--reload") as enclave:
        first = enclave.descendants()[1:2]  # behind the launcher
        for number in range(1, 7):
            (home / "handler.py").write_text(SAYS.format(number))
            assert next_event(enclave)["event"] == "reloaded"

        assert gone(first, within_s=10)
        assert len(list(enclave.temporary.glob("enclaved-*/f-*"))) <= 5
