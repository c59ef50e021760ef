"""A hostile function gets nothing but its own failure, and the next honest invocation is served."""

from __future__ import annotations

import pytest
from enclaved.errors import SandboxError
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Execution, Outcome
from sandbox_harness import HONEST, Sandbox, descendants, is_gone, open_descriptors

LIMITS = Limits(time_ms=500, memory_mib=64, output_bytes=4096)

FUNCTION = f"""
import array, os, signal, socket, struct, sys, threading, time
channel = socket.socket(fileno=3)
def say(status, length, body=b""):
    channel.sendall(struct.pack(">BI", status, length) + body)
def bad():
    pass
def handle(payload):
    if payload == {HONEST!r}:
        return payload
    bad(payload)
    return b"honest after all"
"""


async def abuse(sandbox: Sandbox, bad: str, payload: bytes = b"bad") -> Execution:
    """Run a bad statement in a function that holds its own channel, then an honest input."""
    source = FUNCTION.replace("def bad():\n    pass", f"def bad(payload):\n    {bad}")
    execution = await sandbox.call(source, payload, limits=LIMITS)
    assert (await sandbox.run(HONEST)).output == HONEST
    return execution


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("say(7, 0)", b"its status is unknown"),
        ("say(0, 2, b'ok')", b"more bytes than it said"),
        ("say(0, 2, b'ok'); say(0, 2, b'no'); os._exit(0)", b"more bytes than it said"),
        ("say(0, 2, b'ok!'); os._exit(0)", b"more bytes than it said"),
        ("say(1, 9000, b'x' * 9000); os._exit(0)", b"its error text is too long"),
        ("say(0, 9, b'cut'); os._exit(0)", b"exited with status 0"),
        ("channel.close(); time.sleep(60)", b"ended by SIGKILL"),
        ("channel.shutdown(socket.SHUT_RDWR); time.sleep(60)", b"ended by SIGKILL"),
    ],
)
async def test_what_is_no_answer_is_a_failure(sandbox: Sandbox, bad: str, text: bytes) -> None:
    """The first half of a wrong answer is never taken for the answer."""
    execution = await abuse(sandbox, bad)

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert text in execution.output


async def test_a_huge_length_is_refused_before_its_contents(sandbox: Sandbox) -> None:
    """Four gigabytes announced cost the enclave five bytes."""
    execution = await abuse(sandbox, "say(0, 2**32 - 1); time.sleep(60)")

    assert execution.outcome is Outcome.OUTPUT_TOO_LARGE


@pytest.mark.parametrize(
    "bad",
    [
        "say(0, 4096); [(channel.sendall(b'.'), time.sleep(0.05)) for _ in range(4096)]",
        "say(0, 2, b'ok'); time.sleep(60)",
    ],
)
async def test_an_answer_after_the_deadline_is_none(sandbox: Sandbox, bad: str) -> None:
    """The deadline is absolute: neither drops of an answer nor a whole one without an end move it."""
    execution = await abuse(sandbox, bad)

    assert execution.outcome is Outcome.TIME_LIMIT


async def test_descriptors_sent_along_are_dropped(loose_sandbox: Sandbox) -> None:
    """The answer counts, and the enclave has no descriptor more than before."""
    sandbox = loose_sandbox
    await sandbox.engine.start(sandbox.write(FUNCTION.replace("def bad():", "def bad(payload):"), limits=LIMITS))
    await sandbox.engine.stop("probe")
    before = open_descriptors()
    send = "socket.send_fds(channel, [struct.pack('>BI', 0, 2) + b'ok'], [0, 1, 2]); os._exit(0)"

    execution = await abuse(sandbox, send)
    await sandbox.engine.stop("probe")

    assert execution.output == b"ok"
    assert open_descriptors() == before


@pytest.mark.parametrize("early", ["channel.sendall(b'l')", "channel.sendall(b'x')", "say(0, 2, b'ok')"])
async def test_speaking_before_the_input_is_a_failure(sandbox: Sandbox, early: str) -> None:
    """A module that answers while it loads cannot have read the input."""
    await sandbox.engine.start(sandbox.write(f"{FUNCTION}\n{early}", limits=LIMITS))

    for _ in range(3):
        execution = await sandbox.run(HONEST)
        assert execution.outcome is Outcome.FUNCTION_FAILED
        assert execution.output.startswith((b"wrote to its channel before it had an input", b"its answer does not"))


async def test_an_answer_before_the_input_is_never_taken(sandbox: Sandbox) -> None:
    """Not even one that follows a forged sign of having loaded."""
    early = "channel.sendall(b'l' + struct.pack('>BI', 0, 2) + b'ok'); time.sleep(60)"
    await sandbox.engine.start(sandbox.write(f"{FUNCTION}\n{early}", limits=LIMITS))

    execution = await sandbox.run(HONEST)

    assert execution.outcome is Outcome.FUNCTION_FAILED
    assert execution.output == b"wrote to its channel before it had an input"


async def test_a_thief_at_import_time_gains_nothing(sandbox: Sandbox) -> None:
    """A thread that a module starts while it loads dies with its own worker, before the next caller's input."""
    thief = """
import gc, os, threading
seen = []
def watch():
    while True:
        for thing in gc.get_objects():
            if isinstance(thing, list) and thing and thing[0] == "input":
                seen.append(bytes(thing[1]))
        for descriptor in range(4, 64):
            try:
                seen.append(os.read(descriptor, 1))
            except OSError:
                pass
threading.Thread(target=watch, daemon=True).start()
def handle(payload):
    kept = ["input", payload]
    return b"|".join(sorted({*seen, payload}))
"""
    await sandbox.engine.start(sandbox.write(thief))

    for secret in (b"first secret", b"second secret", b"third secret"):
        execution = await sandbox.run(secret)
        assert execution.output == secret


@pytest.mark.parametrize(
    "leave",
    [
        "os.fork() or (os.setsid(), time.sleep(60))",
        "os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(60))",
        "[os.fork() for _ in range(4)]; threading.Event().wait() if os.getpid() != me else None",
    ],
)
async def test_no_process_is_left_behind(loose_sandbox: Sandbox, leave: str) -> None:
    """If a function could fork, what it left behind would end with its zygote, wherever it has slipped to."""
    sandbox = loose_sandbox
    bad = f"me = os.getpid(); {leave}"

    await abuse(sandbox, bad)

    await sandbox.engine.stop("probe")
    assert descendants(sandbox.launcher.pid) == []


async def test_a_function_that_kills_its_zygote_harms_only_itself(loose_sandbox: Sandbox) -> None:
    """If nothing kept it from that, the next invocation would wait for the next zygote."""
    sandbox = loose_sandbox
    (zygote,) = await started(
        sandbox, "import os, time\ndef handle(p): return p if p else (os.kill(os.getppid(), 9), time.sleep(60))"
    )

    with pytest.raises(SandboxError, match="lost with its zygote"):
        await sandbox.run(b"")

    assert (await sandbox.run(HONEST)).output == HONEST
    assert await is_gone(zygote)


async def test_a_function_that_stops_its_zygote_harms_only_itself(loose_sandbox: Sandbox) -> None:
    """A zygote that no longer buries its workers is killed and replaced."""
    sandbox = loose_sandbox
    (zygote,) = await started(sandbox, "def handle(p):\n import os\n if not p: os.kill(os.getppid(), 19)\n return p")

    await sandbox.run(b"")

    assert await is_gone(zygote)
    for _ in range(4):
        assert (await sandbox.run(HONEST)).output == HONEST


async def started(sandbox: Sandbox, source: str) -> list[int]:
    """Start a function and return its zygotes."""
    await sandbox.engine.start(sandbox.write(source))
    return sandbox.zygotes()


async def test_printing_for_ever_is_no_way_out(sandbox: Sandbox) -> None:
    """The deadline ends it; the log has its bound."""
    execution = await abuse(sandbox, "while True: os.write(1, b'x' * 65536)")

    assert execution.outcome is Outcome.TIME_LIMIT
    assert execution.log.endswith(b"[cut]\n")
