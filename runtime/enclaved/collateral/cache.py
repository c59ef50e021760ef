"""What services said, kept on disk: private, bounded, and never trusted.

One file for each address, named by the address's SHA-256. It is written beside
its place and moved there, so that a reader sees all of it or nothing, also when a
process dies while it writes and when several processes share the folder. Whatever
cannot be read, was changed, or is for another address, is no entry; whether an
entry may still be used is read from its contents each time (`resource`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.lp import length_prefixed

__all__ = ["Cache", "Entry"]

_VERSION = 1
_SUFFIX = ".collateral"
_PARTIAL = ".partial"
_MAX_ENTRY = 2 << 20
_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_OTHERS_MAY_WRITE = 0o022


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a service said.

    Attributes:
        url: what it was asked.
        fetched_at: when, in Unix milliseconds.
        files: evidence files, by name.
    """

    url: str
    fetched_at: int
    files: dict[str, bytes]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: int
    entry: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    size: int
    written_ns: int


class Cache:
    """A folder of entries. Blocking: call it from a thread.

    Args:
        folder: the folder; it is made where it is not there, for its user alone.
        most_bytes: how much it may hold; the entries written longest ago go first.
        random: makes names of files that are being written.

    Raises:
        ConfigurationError: it cannot be made, or others may write into it.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 64 << 20, random: RandomBytes = system_random) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._random = random
        _open_folder(folder)

    def get(self, url: str) -> Entry | None:
        """Return what was kept for an address; None where there is nothing that can be read."""
        try:
            sealed = decode(_read(self._path(url)), _Sealed, what="cache entry", max_size=_MAX_ENTRY)
            entry = decode(sealed.entry, Entry, what="cache entry", max_size=_MAX_ENTRY)
        except (OSError, ProtocolError):
            return None
        sound = sealed.v == _VERSION and sealed.sha256 == _digest(sealed.entry) and entry.url == url
        return entry if sound else None

    def put(self, entry: Entry) -> None:
        """Keep what a service said, and make room where that is needed.

        A disk that is full or read-only costs the cache, not the answer: nothing is kept then.
        """
        inner = encode(entry)
        sealed = encode(_Sealed(v=_VERSION, entry=inner, sha256=_digest(inner)))
        if len(sealed) > min(_MAX_ENTRY, self._most_bytes):
            return
        with contextlib.suppress(OSError):
            self._make_room(len(sealed))
            self._write(self._path(entry.url), sealed)

    def _path(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}{_SUFFIX}"

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(f"{self._random(8).hex()}{_PARTIAL}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)  # else a power cut could leave the name with nothing behind it
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        """Remove what was written longest ago, whatever a process that died left behind first."""
        found = sorted(self._found(), key=lambda each: (each.path.suffix != _PARTIAL, each.written_ns))
        size = sum(each.size for each in found) + wanted
        for each in found:
            if size <= self._most_bytes:
                break
            each.path.unlink(missing_ok=True)  # another process may have been here first
            size -= each.size

    def _found(self) -> Iterator[_Found]:
        with os.scandir(self._folder) as entries:
            for each in entries:
                if each.name.endswith((_SUFFIX, _PARTIAL)):
                    with contextlib.suppress(FileNotFoundError):
                        status = each.stat(follow_symlinks=False)
                        yield _Found(Path(each.path), status.st_size, status.st_mtime_ns)


def _open_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ConfigurationError(
            str(folder), f"cannot be used ({error.strerror})", remedy="Name another folder for the cache."
        ) from error
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        # Nothing in it is trusted, but who can fill it can keep old answers in use until they end.
        raise ConfigurationError(
            str(folder), "others may write into it", remedy="Name a folder of your own, or chmod it to 0700."
        )


def _read(path: Path) -> bytes:
    # Not blocking, not following: whatever was put there, opening it waits for nobody and leads nowhere.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(_MAX_ENTRY + 1)


def _digest(entry: bytes) -> bytes:
    return hashlib.sha256(length_prefixed(b"enclaved collateral cache", entry)).digest()
