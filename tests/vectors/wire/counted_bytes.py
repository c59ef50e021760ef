"""What the vectors are made of, and how they are shown."""

from __future__ import annotations

from typing import Any

import msgspec
from enclaved.wire import lp


class CountedBytes:
    """Bytes from a counter: unpredictable to nobody, the same for everybody."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        """Return the next bytes."""
        drawn = b""
        while len(drawn) < size:
            drawn += lp.sha256(b"enclaved test vectors", self._seed.encode(), self._count.to_bytes(8, "big"))
            self._count += 1
        return drawn[:size]


def shown(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value as JSON has it: bytes as hex, structs as objects."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in value.__struct_fields__ if name != "padding"}
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [shown(each) for each in value]
    return value
