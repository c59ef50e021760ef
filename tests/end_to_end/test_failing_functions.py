"""Functions that fail: through the command line, the caller learns how and why, the host nothing; the rest goes on."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from enclaved.caller.caller import Caller
from enclaved.caller.event import Event
from enclaved.caller.keys import create_recipient_key, recipient_public_text
from enclaved.caller.outcome import FunctionFailed
from enclaved.caller.recipient import Recipient
from enclaved.clock import system_random
from misbehaving import ERROR_MARK, MISBEHAVING, PRINT_MARK, write_misbehaving
from whole_runtime import Finished, Up, up, write_function

pytestmark = pytest.mark.timeout(120)

INPUT = "input-of-a-failing-function-5d90"
ALARM = f"""\
def handle(payload):
    print("{PRINT_MARK}")
    if payload == b"fail":
        raise ValueError("{ERROR_MARK}")
    return b"alarm: " + payload
"""


class Scene(NamedTuple):
    """A runtime of failing functions, and the key of whoever gets the alarms of `alarm`."""

    runtime: Up
    recipient_key: Path


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Run a runtime whose functions fail."""
    folder = tmp_path_factory.mktemp("failing")
    functions = folder / "functions"
    write_misbehaving(functions)
    key = create_recipient_key(folder / "recipient.key", suite="mlkem768-x25519", random=system_random)
    output = f'output = {{ topic = "alarms", recipients = ["{recipient_public_text(key)}"] }}\n'
    write_function(functions, "alarm", ALARM, manifest=output)
    async with up(folder, functions=functions) as runtime:
        yield Scene(runtime, folder / "recipient.key")


def _host_saw_none_of_it(runtime: Up) -> None:
    seen = bytes(runtime.log).decode() + str(runtime.lines)
    assert [mark for mark in (ERROR_MARK, PRINT_MARK, INPUT) if mark in seen] == []


@pytest.mark.parametrize("name", MISBEHAVING)
async def test_failure_reaches_its_caller_with_its_own_words(name: str, scene: Scene) -> None:
    """A sealed `failed` with its code and the function's error text, a receipt that says so, and exit code 1."""
    wanted = MISBEHAVING[name]
    done = await scene.runtime.invoke(name, f"--data={INPUT}")

    assert done.code == 1, done.err
    assert (done.document["status"], done.document["code"]) == ("failed", wanted.code)
    assert wanted.says in base64.b64decode(done.document["output_base64"]).decode()
    assert done.document["receipt"]["outcome"] == wanted.code
    assert done.document["verdict"]["accepted"] is True
    _host_saw_none_of_it(scene.runtime)


async def test_printing_succeeds_and_reaches_the_caller_only(scene: Scene) -> None:
    """Both streams, and what is written past the interpreter, in the answer's log; the output is untouched."""
    done = await scene.runtime.invoke("prints", f"--data={INPUT}")

    assert done.code == 0, done.err
    assert base64.b64decode(done.document["output_base64"]).decode() == INPUT[::-1]
    log = base64.b64decode(done.document["log_base64"]).decode()
    assert log.count(PRINT_MARK) == 4
    assert log.count(INPUT) == 2
    _host_saw_none_of_it(scene.runtime)


async def test_failures_side_by_side_disturb_nobody(scene: Scene) -> None:
    """While all of them fail at once, a good invocation among them gets its own answer."""
    answers: dict[str, bytes] = {}
    async with Caller.connect(scene.runtime.broker, namespace="demo", policy=scene.runtime.policy) as caller:

        async def invoke(name: str) -> None:
            try:
                answers[name] = (await caller.invoke(name, INPUT.encode(), timeout=60)).output
            except FunctionFailed as failed:
                answers[name] = failed.code.encode()

        async with anyio.create_task_group() as tasks:
            for name in (*MISBEHAVING, "prints"):
                tasks.start_soon(invoke, name)

    wanted = {name: each.code.encode() for name, each in MISBEHAVING.items()}
    assert answers == wanted | {"prints": INPUT[::-1].encode()}


async def test_runtime_goes_on(scene: Scene) -> None:
    """No process of it ended, whatever the functions did."""
    assert (await scene.runtime.invoke("prints", "--data=x")).code == 0
    assert [line for line in scene.runtime.lines if line["event"] == "exited"] == []


@pytest.mark.parametrize("payload", ["bed 12", "fail"])
async def test_event_reaches_its_recipient_whatever_comes_of_it(payload: str, scene: Scene) -> None:
    """Output or failure, log and receipt are sealed to the recipient; the producer gets the receipt alone."""
    async with Recipient.connect(
        scene.runtime.broker, topic="alarms", key=scene.recipient_key, policy=scene.runtime.policy
    ) as events:
        acknowledged = await scene.runtime.invoke("alarm", f"--data={payload}")
        event = await anext(events)

    _is_acknowledgement(acknowledged, event)
    failed = payload == "fail"
    assert (event.status, event.code) == (("failed", "function_failed") if failed else ("ok", "ok"))
    assert event.output.endswith(ERROR_MARK.encode() if failed else b"alarm: bed 12")
    assert event.log.decode() == f"{PRINT_MARK}\n"
    _host_saw_none_of_it(scene.runtime)


def _is_acknowledgement(done: Finished, event: Event) -> None:
    assert done.code == (0 if event.status == "ok" else 1)
    assert (done.document["acknowledged"], done.document["output_base64"]) == (True, "")
    assert done.document["log_base64"] == ""
    assert done.document["receipt"]["invocation_id"] == event.invocation_id.hex()
