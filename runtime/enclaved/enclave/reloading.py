"""Serving functions anew when their folder changes, for those who write them.

It opens nothing: a changed function has another digest, and no caller's policy accepts
that until its owner has written it there. The folder is looked at often and read only
when it has changed and then kept still for a moment, so that a function is not taken
while it is being written. What cannot be served leaves everything as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

import anyio

from enclaved.errors import Error

__all__ = ["FolderWatch", "Reloadable", "keep_reloading"]

_LOOK_S: Final = 0.3
_MAX_ENTRIES: Final = 100_000

Look = tuple[tuple[str, int, int, int], ...]


class Reloadable(Protocol):
    """What can serve its functions anew."""

    async def reload(self) -> bool:
        """Take the functions as they are now; return whether that changed anything."""
        ...

    def served(self) -> list[dict[str, str]]:
        """Return what is served now."""
        ...


class FolderWatch:
    """Tells when a folder has changed and come to rest.

    Args:
        folder: what is watched, with all that is in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._last = _look(folder)

    def has_changed(self) -> bool:
        """Look once; return whether it differs from what was known, and is now as it was at the last look."""
        seen = _look(self._folder)
        is_still, self._last = seen == self._last, seen
        if not is_still or seen == self._known:
            return False
        self._known = seen
        return True


async def keep_reloading(
    server: Reloadable, watch: FolderWatch, tell: Callable[[dict[str, object]], None], *, every_s: float = _LOOK_S
) -> None:
    """Reload whenever the folder has changed, for ever.

    Args:
        server: serves the functions.
        watch: watches their folder.
        tell: told of each reload, and of each change that cannot be served, with the reason.
        every_s: seconds between two looks.
    """
    while True:
        await anyio.sleep(every_s)
        if not await anyio.to_thread.run_sync(watch.has_changed):
            continue
        try:
            if await server.reload():
                tell({"event": "reloaded", "functions": server.served()})
        except Error as error:
            tell({"event": "reload_failed", "reason": str(error)})


def _look(folder: Path) -> Look:
    return tuple(sorted(_entries(folder)))


def _entries(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield what can be seen of each file without reading it."""
    count = 0
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            count += 1
            if count > _MAX_ENTRIES:
                return
            try:
                status = os.lstat(os.path.join(path, name))
            except OSError:
                continue  # it went away meanwhile: the next look differs
            yield os.path.join(path, name), status.st_mtime_ns, status.st_size, status.st_ino
