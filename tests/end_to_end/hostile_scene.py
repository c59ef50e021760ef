"""Where a hostile caller meets a runtime: what it sends, what has to come of it, and that the runtime goes on."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from enclaved.wire.hint import Hint
from enclaved.wire.result import ResultBody
from hostile_caller import HostileCaller, Shot
from whole_runtime import Up

__all__ = ["Scene"]


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
