r"""The ``h1:`` digest of a folder, which names a function by all of its files.

SHA-256 over one line ``<sha256 hex>␠␠<path>\n`` per regular file, sorted by the
bytes of the paths; so anybody can recompute it with ``find | sort | sha256sum``.
What the digest could not see, or could see in two ways, is an error: symbolic
links, other file types, ``__pycache__``; and names that those programs would take
for an option or write otherwise: a leading ``-``, a backslash, control characters.

The files are read once. What was hashed is what will be run: whoever changes the
folder afterwards changes neither.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from enclaved.errors import ConfigurationError

__all__ = ["FolderSnapshot", "digest_files", "read_folder"]

_MAX_FILES = 4096
_MAX_BYTES = 128 << 20
_MAX_PATH = 512
_ESCAPED = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")  # surrogates stand for bytes that are not UTF-8


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FolderSnapshot:
    """The files of a folder at one moment, and their digest.

    Attributes:
        files: contents by path, relative to the folder and with ``/`` between its parts.
        digest: ``h1:`` and the base64 SHA-256.
    """

    files: Mapping[str, bytes]
    digest: str

    def write_to(self, folder: Path) -> None:
        """Write the very bytes that were hashed into a new folder, readable and not writable.

        Args:
            folder: must not exist yet.
        """
        for path, contents in self.files.items():
            target = folder / path
            _make_folders(folder, path)
            target.write_bytes(contents)
            target.chmod(0o444)


def digest_files(files: Mapping[str, bytes]) -> str:
    """Return the ``h1:`` digest of files by their relative paths."""
    lines = [
        hashlib.sha256(contents).hexdigest().encode() + b"  " + os.fsencode(path) + b"\n"
        for path, contents in sorted(files.items(), key=lambda item: os.fsencode(item[0]))
    ]
    return "h1:" + base64.b64encode(hashlib.sha256(b"".join(lines)).digest()).decode()


def read_folder(folder: Path) -> FolderSnapshot:
    """Read all files of a folder and digest them.

    Args:
        folder: an existing folder.

    Returns:
        The snapshot.

    Raises:
        ConfigurationError: it cannot be read, or holds what a digest cannot name: symbolic links, other
            file types, ``__pycache__``, names that `sha256sum` writes otherwise, or too much.
    """
    files: dict[str, bytes] = {}
    total = 0
    try:
        for path, entry in _walk(folder, prefix=""):
            total += entry.stat(follow_symlinks=False).st_size
            if len(files) >= _MAX_FILES or total > _MAX_BYTES:
                raise _error(folder, f"more than {_MAX_FILES} files or {_MAX_BYTES >> 20} MiB", "Keep only its code.")
            files[path] = _read_file(entry.path)
    except OSError as error:
        raise _error(folder, f"cannot be read ({error.strerror})", "Check that it exists and is readable.") from error
    return FolderSnapshot(files=files, digest=digest_files(files))


def _walk(folder: str | Path, *, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if not _is_plain(path):
                raise _error(folder, f"{path[:80]!r} is not a name that a digest can hold", "Rename it.")
            if entry.name == "__pycache__":
                raise _error(
                    folder,
                    f"{path} is left over from running Python here",
                    "Remove it; run Python with -B, or set PYTHONDONTWRITEBYTECODE=1.",
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, prefix=f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path, entry
            else:
                raise _error(folder, f"{path} is neither a file nor a folder", "Replace links by what they point to.")


def _read_file(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it was swapped since it was listed
            raise OSError(0, "changed while it was read")
        contents = file.read(_MAX_BYTES + 1)
    if len(contents) > _MAX_BYTES:
        raise OSError(0, "grew while it was read")
    return contents


def _is_plain(path: str) -> bool:
    """Tell whether ``find | sha256sum`` writes a path as it is."""
    return len(path) <= _MAX_PATH and not path.startswith("-") and not _ESCAPED.search(path)


def _make_folders(folder: Path, path: str) -> None:
    """Make the folders above a file, open to other users whatever the umask: a sandbox may run as one."""
    for parent in reversed((folder / path).relative_to(folder.parent).parents[:-1]):
        above = folder.parent / parent
        above.mkdir(parents=True, exist_ok=True)
        above.chmod(0o755)


def _error(folder: str | Path, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(str(folder), problem, remedy=remedy)
