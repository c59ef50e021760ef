"""`enclaved up --reload`: functions change while callers call, and nobody loses an answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
from enclaved import Caller
from enclaved.cli.function_template import TemplateEngine, write_template
from enclaved.enclave.folder_digest import read_folder
from whole_runtime import FUNCTIONS, Up, up, write_function

VERSIONS = 4
CODE = "import time\ndef handle(payload):\n    time.sleep(0.01)\n    return b'%d'\n"
BROKEN = "def handle(payload:\n"


def digests(folder: Path) -> list[str]:
    """Return the digests that the function will have, one for each version of its code."""
    found = []
    for version in range(VERSIONS):
        home = write_function(folder / str(version), "f", CODE % version)
        found.append(read_folder(home).digest)
    return found


def policy_for(runtime: Up, accepted: list[str]) -> Path:
    """Write the runtime's own policy, with these digests accepted."""
    path = runtime.folder / "all-versions.toml"
    path.write_text(
        re.sub(r"^digest = .*$", f"digest = {json.dumps(accepted)}", runtime.policy.read_text(), flags=re.M)
    )
    return path


async def event(runtime: Up, name: str, *, number: int = 1) -> dict[str, Any]:
    """Wait for the n-th event of that name."""
    with anyio.fail_after(30):
        while True:
            found = [line for line in runtime.lines if line["event"] == name]
            if len(found) >= number:
                return found[number - 1]
            await anyio.sleep(0.05)


async def test_functions_change_and_no_answer_is_lost(tmp_path: Path) -> None:
    """Three changes and a broken one, under callers that never pause: each call is answered, none by older code."""
    accepted = digests(tmp_path / "versions")
    home = write_function(tmp_path / "functions", "f", CODE % 0)
    outputs: list[list[int]] = [[], [], []]

    async def call_on(caller: Caller, seen: list[int]) -> None:
        while True:
            seen.append(int((await caller.invoke("f", b"", timeout=20)).output))

    async with up(tmp_path, "--reload", functions=tmp_path / "functions") as runtime:
        policy = policy_for(runtime, accepted)
        async with (
            Caller.connect(runtime.broker, namespace=runtime.ready["namespace"], policy=str(policy)) as caller,
            anyio.create_task_group() as callers,
        ):
            for seen in outputs:
                callers.start_soon(call_on, caller, seen)
            for version in range(1, VERSIONS):
                (home / "handler.py").write_text(CODE % version)
                told = await event(runtime, "reloaded", number=version)
                assert told["functions"][0]["digest"] == accepted[version]
                assert int((await caller.invoke("f", b"", timeout=20)).output) == version
            (home / "handler.py").write_text(BROKEN)
            failed = await event(runtime, "reload_failed")
            assert "handler.py" in failed["reason"]
            assert "SyntaxError" in failed["reason"]
            for _ in range(10):
                assert int((await caller.invoke("f", b"", timeout=20)).output) == VERSIONS - 1
            callers.cancel_scope.cancel()

    for seen in outputs:
        assert seen == sorted(seen)
        assert set(seen) == set(range(VERSIONS))


async def test_the_runtimes_own_policy_follows_its_functions(tmp_path: Path) -> None:
    """Who develops a function calls the changed one at once; another that was broken comes back when it is mended."""
    functions = tmp_path / "functions"
    home = write_template("mine", into=functions, engine=TemplateEngine.WASM)
    module = (home / "function.wasm").read_bytes()
    async with up(tmp_path, "--reload", functions=functions) as runtime:
        (home / "function.wasm").write_bytes(module[:-9])
        assert "function.wasm" in (await event(runtime, "reload_failed"))["reason"]
        (home / "function.wasm").write_bytes((FUNCTIONS / "word-count" / "word-count.wasm").read_bytes())
        await event(runtime, "reloaded")

        done = await runtime.invoke("mine", "--data=one two")

    assert done.code == 0, done.err
    assert done.document["receipt"]["function_digest"] == read_folder(home).digest
