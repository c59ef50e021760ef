"""The fake of `tsm_fake` as a mounted file system, for the device's own file operations.

Run as a program, it serves reports that repeat what was asked, until it is
unmounted: ``python tsm_fuse.py MOUNTPOINT PROVIDER RACES``, where the first so many
reads of a report are followed by somebody else's write.
"""

from __future__ import annotations

import errno
import stat
import sys
import time
from typing import Any

import mfusepy
from tsm_fake import FakeTsm, Item

__all__ = ["TsmFileSystem"]


class TsmFileSystem(mfusepy.Operations):
    """Entries are folders, attributes are files; both come and go as the fake has them."""

    use_ns = True

    def __init__(self, tsm: FakeTsm) -> None:
        self._tsm = tsm

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Say what is there."""
        name, attribute = _split(path)
        if name and name not in self._tsm.items:
            raise mfusepy.FuseOSError(errno.ENOENT)
        if attribute and attribute not in self._tsm.attributes:
            raise mfusepy.FuseOSError(errno.ENOENT)
        now = time.time_ns()
        times = {"st_atime": now, "st_mtime": now, "st_ctime": now}
        if attribute:
            return times | {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": 0}
        return times | {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}

    def readdir(self, path: str, fh: int) -> list[str]:
        """List entries, or an entry's attributes."""
        name, _ = _split(path)
        return [".", "..", *(self._tsm.attributes if name else self._tsm.items)]

    def mkdir(self, path: str, mode: int) -> int:
        """Make an entry."""
        return _mapped(lambda: self._tsm.make(_split(path)[0]))

    def rmdir(self, path: str) -> int:
        """Remove an entry, although there are attributes in it."""
        return _mapped(lambda: self._tsm.remove(_split(path)[0]))

    def open(self, path: str, flags: int) -> int:
        """Open an attribute; whether it may be read or written shows then."""
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Do nothing: configfs does not either."""
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read an attribute; what a reader has not read at once is not kept for it."""
        if offset:
            return b""
        return _mapped(lambda: self._tsm.read(*_split(path))[:size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write an attribute."""
        _mapped(lambda: self._tsm.write(*_split(path), data))
        return len(data)


def _split(path: str) -> tuple[str, str]:
    name, _, attribute = path.strip("/").partition("/")
    return name, attribute


def _mapped(operation: Any) -> Any:  # noqa: ANN401 - whatever the operation returns
    try:
        return operation() or 0
    except OSError as error:
        raise mfusepy.FuseOSError(error.errno) from error


def main() -> None:
    """Serve until unmounted."""
    mount_point, provider, races = sys.argv[1], sys.argv[2], int(sys.argv[3])
    is_snp = provider == "sev_guest"
    fake = FakeTsm(
        provider=provider,
        make_report=lambda inblob, privlevel: b"%d" % privlevel + inblob,
        auxblob=b"" if is_snp else None,
        floor=0 if is_snp else None,
    )
    left = [races]

    def write(item: Item, attribute: str) -> None:
        if attribute == "outblob" and left[0]:
            left[0] -= 1
            item.inblob, item.generation = b"somebody else's", item.generation + 1

    fake.after_read = write
    mfusepy.FUSE(TsmFileSystem(fake), mount_point, foreground=True, nothreads=True, direct_io=True)


if __name__ == "__main__":
    main()
