"""`enclaved invoke` against runtimes that lie about one thing each: it says which, and never shows the output.

The lies are told by a process of its own (`lying_runtime.py`), with real keys and by the
real clock. What does not open is anybody's forgery, and is waited past until the timeout.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from brokers import LoopbackServer
from lies import ANSWERS, BUNDLES, EVIDENCE, LIES, RESULTS
from pretended_runtime import FUNCTION, NAMESPACE, OUTPUT
from whole_runtime import ENVIRONMENT, Finished, run

pytestmark = pytest.mark.timeout(180)

INPUT = "input-that-a-liar-may-not-get"
_PROGRAM = Path(__file__).with_name("lying_runtime.py")
_AT_ONCE = 4
_LONG, _SHORT = 40, 6  # seconds: for what is told at once, and for what is waited past

NOT_AUTHENTIC, REFUSED, NO_ANSWER = (3, "not_authentic"), (4, "refused"), (6, "no_answer")
EXPECTED: dict[str, tuple[tuple[int, str], str]] = {
    "another-binding": (NOT_AUTHENTIC, "bound_data"),
    "another-nonce": (NOT_AUTHENTIC, "bound_data"),
    "older-challenge-answer": (NO_ANSWER, "no challenge"),
    "older-challenge-answer-renamed": (NOT_AUTHENTIC, "bound_data"),
    "challenge-answer-of-another-bundle": (NOT_AUTHENTIC, "bundle"),
    "unsigned-evidence": (NOT_AUTHENTIC, "signature"),
    "unknown-root": (REFUSED, "root"),
    "debug-evidence": (REFUSED, "debug"),
    "another-measurement": (REFUSED, "measurement"),
    "expired-bundle": (NOT_AUTHENTIC, "bundle validity"),
    "bundle-of-tomorrow": (NOT_AUTHENTIC, "bundle validity"),
    "old-bundle": (REFUSED, "freshness.max_age"),
    "another-namespace": (REFUSED, "namespace"),
    "another-name": (NOT_AUTHENTIC, "runtime_id"),
    "another-suite": (REFUSED, "suites"),
    "wrong-function-digest": (REFUSED, "functions.redact.digest"),
    "unlisted-isolation": (REFUSED, "functions.redact.isolation"),
    "absent-function": (REFUSED, "functions.redact"),
    **dict.fromkeys(ANSWERS, (NO_ANSWER, "no answer")),
    "another-invocation-id": (NOT_AUTHENTIC, "invocation_id"),
    "another-output": (NOT_AUTHENTIC, "receipt.output_commitment"),
    "another-content-type": (NOT_AUTHENTIC, "receipt.output_commitment"),
    "output-beside-an-acknowledgement": (NOT_AUTHENTIC, "acknowledgement.output"),
    "failure-with-a-receipt-of-success": (NOT_AUTHENTIC, "receipt.outcome"),
    "attached-another-bundle": (NOT_AUTHENTIC, "bundle"),
    "attached-debug-evidence": (REFUSED, "debug"),
    "receipt-of-another-invocation": (NOT_AUTHENTIC, "receipt.invocation_id"),
    "receipt-of-another-sequence": (NOT_AUTHENTIC, "receipt.sequence"),
    "receipt-of-another-runtime": (NOT_AUTHENTIC, "receipt.runtime_id"),
    "receipt-of-another-function": (NOT_AUTHENTIC, "receipt.function"),
    "receipt-of-another-function-digest": (NOT_AUTHENTIC, "receipt.function_digest"),
    "receipt-of-another-engine": (NOT_AUTHENTIC, "receipt.engine"),
    "receipt-of-another-isolation": (NOT_AUTHENTIC, "receipt.isolation"),
    "receipt-of-another-outcome": (NOT_AUTHENTIC, "receipt.outcome"),
    "receipt-of-another-bundle": (NOT_AUTHENTIC, "receipt.bundle_digest"),
    "receipt-of-another-evidence": (NOT_AUTHENTIC, "receipt.evidence_digest"),
    "receipt-of-another-request": (NOT_AUTHENTIC, "receipt.request_commitment"),
    "receipt-of-another-output": (NOT_AUTHENTIC, "receipt.output_commitment"),
    "receipt-unsigned": (NOT_AUTHENTIC, "receipt.signature"),
    "receipt-signed-by-another": (NOT_AUTHENTIC, "receipt.signature"),
}


@dataclass
class Liars:
    """The process of lying runtimes, while it runs."""

    broker: str
    policy: Path
    invoked: list[str] = field(default_factory=list)

    async def invoke(self, name: str, *, policy: Path | None = None, timeout_s: float = _LONG) -> Finished:
        """Run `enclaved invoke` against one of them."""
        given = (f"--policy={policy or self.policy}", f"--broker={self.broker}", f"--namespace={NAMESPACE}")
        options = (f"--runtime={name}", f"--data={INPUT}", f"--timeout={timeout_s}", "--json")
        return await run("invoke", FUNCTION, *options, *given, cwd=self.policy.parent, timeout_s=90)


class Told(NamedTuple):
    """What all lies led to."""

    outcomes: dict[str, Finished]
    invoked: frozenset[str]

    def error_of(self, name: str) -> dict[str, Any]:
        """The error that the command's document holds."""
        error: dict[str, Any] = self.outcomes[name].document["error"]
        return error


@asynccontextmanager
async def _liars(folder: Path) -> AsyncIterator[Liars]:
    """Run all lying runtimes in one process."""
    policy = folder / "policy.toml"
    path = f"{ENVIRONMENT['PYTHONPATH']}:{_PROGRAM.parent}:{_PROGRAM.parents[1]}"
    async with LoopbackServer() as broker:
        command = [sys.executable, "-B", str(_PROGRAM), f"--broker={broker.url}", f"--policy-out={policy}"]
        async with await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stderr=None, env={**ENVIRONMENT, "PYTHONPATH": path}
        ) as process:
            liars, ready = Liars(broker.url, policy), anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_follow, process, liars, ready)
                with anyio.fail_after(30):
                    await ready.wait()
                yield liars
                tasks.cancel_scope.cancel()
            process.kill()


async def _follow(process: anyio.abc.Process, liars: Liars, ready: anyio.Event) -> None:
    assert process.stdout is not None
    buffer = b""
    async for chunk in process.stdout:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for event in map(json.loads, lines):
            if event["event"] == "ready":
                ready.set()
            else:
                liars.invoked.append(event["runtime"])


@pytest.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Invoke each liar once, a few at a time: what each came to is for the tests."""
    folder, outcomes, few = tmp_path_factory.mktemp("liars"), {}, anyio.CapacityLimiter(_AT_ONCE)
    async with _liars(folder) as liars:
        text = liars.policy.read_text()
        (folder / "no-section.toml").write_text(text[: text.index("[formats.simulated]")])
        (folder / "full-only.toml").write_text(text.replace('["restricted"]', '["full"]'))

        async def invoke(name: str) -> None:
            is_silent = EXPECTED.get(name, (None,))[0] is NO_ANSWER or "challenge" in name or name == "another-nonce"
            own = folder / f"{name}.toml"
            async with few:
                outcomes[name] = (
                    await liars.invoke("honest", policy=own)
                    if own.exists()
                    else await liars.invoke(name, timeout_s=_SHORT if is_silent else _LONG)
                )

        async with anyio.create_task_group() as tasks:
            for name in (*LIES, "no-section", "full-only"):
                tasks.start_soon(invoke, name)
        return Told(outcomes, frozenset(liars.invoked))


async def test_honest_runtime_is_believed(told: Told) -> None:
    """The control: without a lie the output is shown, so it is the lie that fails below."""
    done = told.outcomes["honest"]

    assert done.code == 0, done.out
    assert base64.b64decode(done.document["output_base64"]) == OUTPUT


@pytest.mark.parametrize("name", EXPECTED)
async def test_lie_is_named_and_the_output_withheld(name: str, told: Told) -> None:
    """The exit code says whose word failed, the error names the claim, and nothing of the output is written."""
    done, ((exit_code, code), claim) = told.outcomes[name], EXPECTED[name]

    assert (done.code, told.error_of(name)["code"]) == (exit_code, code), done.out
    assert told.error_of(name)["message"].startswith((f"{claim}:", f"{claim} ")), done.out
    assert (done.document["status"], done.document["output_base64"]) == (None, None)
    written = done.out + done.err.encode()
    assert [form for form in (OUTPUT, base64.b64encode(OUTPUT), OUTPUT.hex().encode()) if form in written] == []


@pytest.mark.parametrize(("name", "claim"), [("no-section", "format"), ("full-only", "functions.redact.isolation")])
async def test_policy_that_does_not_say_so_accepts_nothing(name: str, claim: str, told: Told) -> None:
    """Simulated evidence without its section, and a level that is not listed: the honest runtime is refused."""
    assert (told.outcomes[name].code, told.error_of(name)["code"]) == REFUSED
    assert told.error_of(name)["message"].startswith(f"{claim}:")


async def test_nothing_is_sealed_to_who_lies_about_itself(told: Told) -> None:
    """Evidence and bundle are verified first; who lies only in its answers was invoked."""
    assert told.invoked == {"honest", *ANSWERS, *RESULTS}
    assert not told.invoked & {*EVIDENCE, *BUNDLES}
