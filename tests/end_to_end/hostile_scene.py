"""Where a hostile caller meets a runtime: what it sends, what has to come of it, and that the runtime goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire.hint import Hint
from enclaved.wire.key_text import caller_key_text
from enclaved.wire.result import ResultBody
from hostile_caller import HostileCaller, Shot, hostile_caller
from whole_runtime import Up, up, write_function

__all__ = ["LISTED", "Scene", "hostile_scene", "turned"]

LISTED = Ed25519PrivateKey.generate()
"""The one key that the function `listed` has on its list."""

_ONCE = """\
import os
RUN = os.urandom(16)


def handle(payload):
    return RUN + payload
"""
_SLOW = "import os, time\n\n\ndef handle(payload):\n    time.sleep(1.0)\n    return os.urandom(16)\n"
_NOT_ANSWERS = ("received", "announced", "link_connected")


class Scene(NamedTuple):
    """A runtime, whoever attacks it, and what its gateway should have counted by now."""

    runtime: Up
    caller: HostileCaller
    expected: Counter[str]

    async def still_serves(self) -> None:
        """Have a good invocation run: it also comes after all that was sent before, on the same lane."""
        self.expected["answered"] += 1
        assert (await self.caller.result_of(self.caller.seal("once", b"still here"))).code == "ok"

    async def is_ignored(self, shot: Shot, counted: str, message: bytes | None = None, *, retain: bool = False) -> None:
        """Send bytes of which nobody may be told anything."""
        await self.caller.send("once", shot.message() if message is None else message, reply=shot.reply, retain=retain)
        self.expected[counted] += 1
        await self.still_serves()
        assert shot.reply not in self.caller.ears.heard

    async def is_malformed(self, shot: Shot, message: bytes, *, named: bool = True) -> None:
        """Send bytes that do not parse or open; the hint names the invocation only where its header could be read."""
        hint = await self.caller.hint_at(shot, message, on="once")
        ids = (shot.header.session_id, shot.header.sequence) if named else (None, None)
        assert hint == Hint(v=1, hint="malformed", session_id=ids[0], sequence=ids[1])
        self.expected["hinted"] += 1
        self.expected["malformed"] += not named
        await self.still_serves()

    async def is_refused(self, shot: Shot, code: str, message: bytes | None = None, *, on: str = "once") -> None:
        """Send a shot that opens, and open the refusal."""
        body = await self.caller.result_of(shot, message, on=on)
        assert (body.status, body.code) == ("refused", code)
        assert (body.output, body.log, body.receipt) == (b"", b"", None)
        self.expected["refused"] += 1
        await self.still_serves()

    async def runs(self, shot: Shot, message: bytes | None = None, *, on: str | None = None) -> ResultBody:
        """Send a shot that shall run."""
        body = await self.caller.result_of(shot, message, on=on)
        assert body.code == "ok"
        self.expected["answered"] += 1
        return body

    async def has_counted_all(self) -> None:
        """End the runtime: its gateway has counted each message once, and nothing else."""
        await self.runtime.stop()
        counted = {name: count for name, count in self.runtime.counters.items() if count and "challenge" not in name}
        for name in _NOT_ANSWERS:
            counted.pop(name, None)
        assert counted == dict(self.expected)


@asynccontextmanager
async def hostile_scene(folder: Path) -> AsyncIterator[Scene]:
    """Run a runtime with functions to attack; each run of one makes a random number of its own."""
    functions = folder / "functions"
    write_function(functions, "once", _ONCE)
    write_function(functions, "slow", _SLOW, manifest="limits.time_ms = 20000\n")
    write_function(functions, "small", _ONCE, manifest="limits.input_bytes = 16\n")
    allowed = caller_key_text(LISTED.public_key().public_bytes_raw())
    write_function(functions, "listed", _ONCE, manifest=f'callers = ["{allowed}"]\n')
    write_function(functions, "shared", _ONCE, manifest='trigger.topics = ["victim/trigger"]\n')
    async with up(folder, functions=functions) as runtime, hostile_caller(runtime.broker, runtime.runtime_id) as caller:
        yield Scene(runtime, caller, Counter())


def turned(value: bytes) -> bytes:
    """Return bytes with one bit turned."""
    return bytes([value[0] ^ 1]) + value[1:]
