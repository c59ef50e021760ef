"""What a broker, a host and a disk get to see of a run: nothing that was sealed, in no form.

The broker records every byte that passes it, while callers and the runtime are processes
of their own. Then all that was written anywhere is searched for all that was secret.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from brokers import LoopbackServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.caller.keys import create_caller_key, create_recipient_key, recipient_public_text
from enclaved.caller.recipient import Recipient
from enclaved.clock import system_random
from enclaved.mqtt.broker.recording import RecordKind, read_recording
from enclaved.wire.hpke import PrivateKey
from enclaved.wire.key_text import caller_key_text
from misbehaving import ERROR_MARK, MISBEHAVING, PRINT_MARK, write_misbehaving
from whole_runtime import FUNCTIONS, Finished, Up, run, up, write_function

pytestmark = pytest.mark.timeout(180)

INPUT = b"input-of-a-secret-run-c41f-with-enough-bytes-to-be-looked-for-in-base64"
_AT_ONCE = 3
_PART = 24  # of a secret, that must not be found either
SAMPLES = {
    "redact": ("sample.txt", "expected.txt"),
    "early-warning": ("sample.json", "expected.json"),
    "table-statistics": ("sample.csv", "expected.json"),
    "invoice-check": ("sample.json", "expected.json"),
    "echo": ("sample.txt", "expected.txt"),
}


@dataclass
class Run:
    """A run that is over, and all that it wrote."""

    folder: Path
    recording: Path
    runtime: Up
    secrets: dict[str, bytes]
    most_core_bytes: int
    done: dict[str, Finished] = field(default_factory=dict)
    alarms: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def most_core_bytes() -> Iterator[int]:
    """Let the kernel write core files as large as it may, so that it is the runtime that forbids them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def _functions(folder: Path, *, recipient: PrivateKey, caller: Ed25519PrivateKey) -> Path:
    """Write all functions: the examples, with an alarm's recipient of ours, the failing ones, one with a list."""
    functions = folder / "functions"
    for name in SAMPLES:
        shutil.copytree(FUNCTIONS / name, functions / name, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = functions / "early-warning" / "function.toml"
    kept = [line for line in manifest.read_text().splitlines() if not line.startswith("recipients")]
    where = kept.index("[output]") + 1
    manifest.write_text(
        "\n".join([*kept[:where], f'recipients = ["{recipient_public_text(recipient)}"]', *kept[where:]])
    )
    write_misbehaving(functions)
    allowed = caller_key_text(caller.public_key().public_bytes_raw())
    write_function(
        functions, "listed", "def handle(payload):\n    return payload\n", manifest=f'callers = ["{allowed}"]\n'
    )
    return functions


@pytest.fixture(scope="module")
async def finished(most_core_bytes: int, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Invoke every function once, through a broker that records, and end everything in good order."""
    folder = tmp_path_factory.mktemp("secrecy")
    (temporary := folder / "t").mkdir()
    recipient = create_recipient_key(folder / "recipient.key", suite="mlkem768-x25519", random=system_random)
    caller = create_caller_key(folder / "caller.key", random=system_random)
    functions = _functions(folder / "f", recipient=recipient, caller=caller)
    (folder / "input").write_bytes(INPUT)
    (work := folder / "w").mkdir()
    with (folder / "recording").open("wb") as record:
        async with (
            LoopbackServer(record=record) as broker,
            up(work, f"--broker={broker.url}", functions=functions, temporary=temporary) as runtime,
        ):
            over = Run(folder, folder / "recording", runtime, _secrets(folder), most_core_bytes)
            alarms = Recipient.connect(
                broker.url, topic="demo/ward/alarms", key=recipient, policy=runtime.policy, client_id="ward"
            )
            async with alarms as events:
                await _invoke_all(over, temporary)
                over.alarms.append((await anext(events)).output)
            await runtime.stop()
    return over


async def _invoke_all(over: Run, temporary: Path) -> None:
    few = anyio.CapacityLimiter(_AT_ONCE)

    async def invoke(name: str, *options: str) -> None:
        given = (*options, f"--policy={over.runtime.policy}", *over.runtime.access, "--timeout=60", "--json")
        async with few:
            over.done[name] = await run("invoke", name, *given, cwd=over.folder, temporary=temporary, timeout_s=90)

    async with anyio.create_task_group() as tasks:
        for name, (sample, _) in SAMPLES.items():
            tasks.start_soon(invoke, name, f"--file={FUNCTIONS / name / sample}")
        for name in (*MISBEHAVING, "prints"):
            tasks.start_soon(invoke, name, f"--file={over.folder / 'input'}")
        tasks.start_soon(invoke, "listed", f"--file={over.folder / 'input'}", f"--key={over.folder / 'caller.key'}")


def _secrets(folder: Path) -> dict[str, bytes]:
    """Return all that was sealed, by what it is."""
    secrets = {"input": INPUT, "output": INPUT[::-1], "error": ERROR_MARK.encode(), "print": PRINT_MARK.encode()}
    for name, (sample, expected) in SAMPLES.items():
        secrets[f"input of {name}"] = (FUNCTIONS / name / sample).read_bytes()
        secrets[f"output of {name}"] = (FUNCTIONS / name / expected).read_bytes()
    pem = (folder / "caller.key").read_bytes().splitlines()[1]
    secrets["caller's key"] = base64.b64decode(pem)[-32:]
    secrets["recipient's key"] = base64.b64decode((folder / "recipient.key").read_bytes().partition(b":")[2])
    return secrets


def _forms(secret: bytes) -> dict[str, bytes]:
    """Return the forms in which a secret could stand somewhere: its lines and its middle, plain and encoded."""
    parts = {secret, *(line.strip() for line in secret.splitlines())}
    if len(secret) > 2 * _PART:
        parts.add(secret[len(secret) // 2 :][:_PART])
    forms = {}
    for part in (part for part in parts if len(part) >= 12):
        forms[f"plain {part!r}"] = part
        forms[f"hex {part!r}"] = part.hex().encode()
        for shift in range(3):  # wherever base64's groups of three begin
            encoded = base64.b64encode(part[shift:])
            forms[f"base64 {part!r} {shift}"] = encoded[: len(encoded) // 4 * 4 - 4]
    return forms


def _found(secrets: dict[str, bytes], *texts: bytes) -> list[str]:
    """Return which secrets stand in texts, and in which form."""
    return [
        f"{what}: {how}"
        for what, secret in secrets.items()
        for how, form in _forms(secret).items()
        if any(form in text for text in texts)
    ]


def _files(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


async def test_every_function_was_run(finished: Run) -> None:
    """The control: each caller got in clear what nobody else may see."""
    codes = {name: done.document["code"] for name, done in finished.done.items()}
    outputs = {name: base64.b64decode(done.document["output_base64"]) for name, done in finished.done.items()}

    assert codes == {
        **dict.fromkeys((*SAMPLES, "prints", "listed"), "ok"),
        **{n: m.code for n, m in MISBEHAVING.items()},
    }
    assert (outputs["prints"], outputs["listed"], outputs["early-warning"]) == (INPUT[::-1], INPUT, b"")
    assert outputs["redact"] == finished.secrets["output of redact"]
    assert finished.alarms == [finished.secrets["output of early-warning"]]
    assert ERROR_MARK.encode() in outputs["raises"]


async def test_search_finds_what_stands_there() -> None:
    """The control of the search: each form is found, wherever it begins."""
    secret = {"secret": INPUT}
    encoded = (base64.b64encode(b"ab" + INPUT), base64.b64encode(INPUT + b"c"), INPUT.hex().encode(), b"x" + INPUT)

    assert all(_found(secret, text) for text in encoded)
    assert not _found(secret, b"nothing of it", os.urandom(4096))


async def test_broker_saw_none_of_it(finished: Run) -> None:
    """Every byte that came from or went to a client, on each connection by itself, and each publication whole."""
    streams: dict[tuple[RecordKind, int], bytearray] = {}
    with finished.recording.open("rb") as file:
        for record in read_recording(file):
            streams.setdefault((record.kind, record.connection), bytearray()).extend(record.data)

    assert len(streams) > 2 * len(finished.done)
    assert sum(map(len, streams.values())) > sum(len(secret) for secret in finished.secrets.values())
    assert _found(finished.secrets, *map(bytes, streams.values())) == []


async def test_host_log_holds_none_of_it(finished: Run) -> None:
    """Neither the log nor the events of `up`, although functions printed and raised."""
    assert finished.runtime.counters["answered"] == len(finished.done)
    events = json.dumps(finished.runtime.lines, ensure_ascii=False).encode()

    assert b"enclaved" in finished.runtime.log
    assert _found(finished.secrets, bytes(finished.runtime.log), events) == []


async def test_callers_tell_only_their_standard_output(finished: Run) -> None:
    """A caller's own log is often kept; with --json nothing of the answer stands in it."""
    assert _found(finished.secrets, *(done.err.encode() for done in finished.done.values())) == []


async def test_nothing_of_it_is_left_on_disk(finished: Run) -> None:
    """Neither the state folder nor the temporary folder holds a secret, or a private key of a bundle."""
    files = _files(finished.folder / "w", finished.folder / "t")

    assert any(path.name == "policy.toml" for path in files)
    assert {path.name for path in files} == {"policy.toml", "runtime_id", "lock", "root.pem"}
    assert _found(finished.secrets, *files.values()) == []


async def test_crash_left_no_core_file(finished: Run) -> None:
    """A core file would hold the input of the function that crashed, and the kernel was allowed to write one."""
    if finished.most_core_bytes == 0:
        pytest.skip("this machine allows no core files at all")
    assert finished.done["crashes"].document["code"] == "function_failed"
    here = (finished.folder, Path.cwd(), Path("/"))
    found = [*finished.folder.rglob("core*"), *(path for each in here for path in each.glob("core*"))]
    assert [path for path in found if path.is_file()] == []
