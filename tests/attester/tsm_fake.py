"""A trusted security module interface that behaves like the kernel's (drivers/virt/coco/guest/report.c).

Making an entry makes its attributes; each write counts; reading the report makes
it, and keeps it until the next write; removing an entry removes the attributes
with it. The rules are here without any file system; `FakeFiles` offers them as the
operations that the device asks for, `tsm_fuse` as a mounted file system.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FakeFiles", "FakeTsm", "Item"]

_MAX_INBLOB = 64


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@dataclass
class Item:
    """One entry."""

    inblob: bytes = b""
    privlevel: int = 0
    generation: int = 0
    report: tuple[int, bytes] | None = None


@dataclass
class FakeTsm:
    """The kernel's side.

    Attributes:
        provider: what makes the reports.
        make_report: signs a report over the bytes and a privilege level.
        auxblob: what the host gives beside it; None hides the attribute.
        floor: the most privileged level that may be asked for; None hides both attributes.
        items: the entries that there are.
        made: how many were ever made.
        after_read: what happens after an attribute was read, such as somebody else's write.
        log: every write, as entry's attribute and contents.
    """

    provider: str
    make_report: Callable[[bytes, int], bytes]
    auxblob: bytes | None = b""
    floor: int | None = 0
    items: dict[str, Item] = field(default_factory=dict)
    made: int = 0
    after_read: Callable[[Item, str], None] = lambda item, attribute: None
    log: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def attributes(self) -> list[str]:
        """The attributes of every entry."""
        names = ["generation", "inblob", "outblob", "provider"]
        names += [] if self.auxblob is None else ["auxblob"]
        return names + ([] if self.floor is None else ["privlevel", "privlevel_floor"])

    def make(self, name: str) -> None:
        """Make an entry."""
        if name in self.items:
            raise _error(errno.EEXIST)
        if not self.provider:
            raise _error(errno.ENXIO)
        self.items[name] = Item()
        self.made += 1

    def remove(self, name: str) -> None:
        """Remove an entry, attributes and all."""
        if self.items.pop(name, None) is None:
            raise _error(errno.ENOENT)

    def read(self, name: str, attribute: str) -> bytes:
        """Read an attribute; the report is made now if it is not there yet."""
        item = self._item(name, attribute)
        match attribute:
            case "provider":
                contents = f"{self.provider}\n".encode()
            case "generation":
                contents = f"{item.generation}\n".encode()
            case "privlevel_floor":
                contents = f"{self.floor}\n".encode()
            case "outblob":
                contents = self._report(item)
            case "auxblob":
                self._report(item)
                contents = self.auxblob or b""
            case _:
                raise _error(errno.EACCES)  # inblob and privlevel are written only
        self.after_read(item, attribute)
        return contents

    def write(self, name: str, attribute: str, contents: bytes) -> None:
        """Write an attribute whole."""
        item = self._item(name, attribute)
        match attribute:
            case "inblob":
                if not 0 < len(contents) <= _MAX_INBLOB:
                    raise _error(errno.EINVAL)
                item.inblob = contents
            case "privlevel":
                text = contents.decode("ascii", "replace").strip()
                if text not in ("0", "1", "2", "3") or int(text) < (self.floor or 0):
                    raise _error(errno.EINVAL)
                item.privlevel = int(text)
            case _:
                raise _error(errno.EACCES)
        item.generation += 1
        self.log.append((attribute, contents))

    def _item(self, name: str, attribute: str) -> Item:
        if name not in self.items or attribute not in self.attributes:
            raise _error(errno.ENOENT)
        return self.items[name]

    def _report(self, item: Item) -> bytes:
        if not item.inblob:
            raise _error(errno.EINVAL)
        if item.report is None or item.report[0] != item.generation:
            item.report = item.generation, self.make_report(item.inblob, item.privlevel)
        return item.report[1]


@dataclass
class FakeFiles:
    """The device's operations on files, on top of the fake."""

    tsm: FakeTsm

    def make_entry(self, folder: Path) -> Path:
        """Make an entry of a new name."""
        name = f"entry-{self.tsm.made}"
        self.tsm.make(name)
        return folder / name

    def remove_entry(self, entry: Path) -> None:
        """Remove an entry."""
        self.tsm.remove(entry.name)

    def read(self, path: Path, size: int) -> bytes:
        """Read an attribute."""
        return self.tsm.read(path.parent.name, path.name)[:size]

    def write(self, path: Path, contents: bytes) -> None:
        """Write an attribute."""
        self.tsm.write(path.parent.name, path.name, contents)
