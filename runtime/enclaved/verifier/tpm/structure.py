"""Reading the structures of TPM 2.0, which are big-endian and carry their own lengths.

TCG, "Trusted Platform Module Library", part 2 "Structures", family 2.0. A length
is held against the bytes that are there before anything is taken.
"""

from __future__ import annotations

__all__ = ["MalformedError", "Structure"]


class MalformedError(ValueError):
    """The bytes are not the structure that was expected."""


class Structure:
    """Takes one field after the other.

    Args:
        data: untrusted bytes, their size already checked.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """Take so many bytes.

        Raises:
            MalformedError: there are fewer.
        """
        end = self._position + size
        if end > len(self._data):
            raise MalformedError("truncated")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, size: int) -> int:
        """Take an unsigned number of so many bytes.

        Raises:
            MalformedError: there are fewer.
        """
        return int.from_bytes(self.take(size), "big")

    def sized(self, *, most: int) -> bytes:
        """Take a TPM2B: a length of two bytes, and what it announces.

        Args:
            most: the most that it may announce.

        Raises:
            MalformedError: it announces more, or more than there is.
        """
        size = self.number(2)
        if size > most:
            raise MalformedError(f"{size} bytes where at most {most} belong")
        return self.take(size)

    def finish(self) -> None:
        """Check that everything was taken.

        Raises:
            MalformedError: something follows.
        """
        if self._position != len(self._data):
            raise MalformedError(f"{len(self._data) - self._position} trailing bytes")
