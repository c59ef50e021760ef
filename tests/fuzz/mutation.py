"""Good bytes turned bad: seeded, so that any input can be made again from its number alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

__all__ = ["Mutator"]

_MOST_PARTS = 3
_MOST_CHANGES = 4
_MOST_INSERTED = 16
_INTERESTING = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\x00\x00", b"\x7f\xff\xff\xff", b"\xff" * 4)


class Mutator:
    """Makes inputs out of a corpus.

    Some stay as they were: what is good must go through, or the fuzzing only ever tries the door.
    """

    def __init__(self, corpus: Sequence[bytes], *, seed: int) -> None:
        self._corpus = corpus
        self._seed = seed
        self._changes: tuple[Callable[[bytearray, random.Random], None], ...] = (
            _flip,
            _overwrite,
            _insert,
            _delete,
            _repeat,
            _truncate,
            self._splice,
        )

    def make(self, number: int) -> tuple[bytes, random.Random]:
        """Return the input of that number, and the chances that go on from there."""
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - to be repeated, not to be secret
        data = bytearray(b"".join(chance.choices(self._corpus, k=chance.randint(1, _MOST_PARTS))))
        for _ in range(chance.randint(0, _MOST_CHANGES)):
            chance.choice(self._changes)(data, chance)
        return bytes(data), chance

    def _splice(self, data: bytearray, chance: random.Random) -> None:
        other = chance.choice(self._corpus)
        data[_place(data, chance) :] = other[chance.randint(0, len(other)) :]


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """Return the bytes in pieces, as a socket might give them."""
    if chance.random() < 0.5:
        return [data]
    ends = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(1, 4)))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randint(0, len(data))


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: random.Random) -> None:
    value = chance.choice(_INTERESTING)
    place = _place(data, chance)
    data[place : place + len(value)] = value


def _insert(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = chance.randbytes(chance.randint(1, _MOST_INSERTED))


def _delete(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.randint(1, _MOST_INSERTED)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = data[place : place + chance.randint(1, _MOST_INSERTED)]


def _truncate(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]
