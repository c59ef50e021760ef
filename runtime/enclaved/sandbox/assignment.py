"""What a launcher and a zygote are told about the function that they keep.

A few fields joined by NUL, because a zygote imports as little as it can: every
module that it loads is memory in each of its children.
"""

from __future__ import annotations

from typing import NamedTuple

from enclaved.sandbox.layers import Layer

__all__ = ["Assignment"]


class Assignment(NamedTuple):
    """One function, as the processes that keep it need to know it.

    Attributes:
        engine: the engine's name, which decides what the launcher starts.
        name: the function's name.
        folder: its absolute folder.
        entrypoint: what runs, in its engine's words: ``"handler:handle"``, or ``"function.wasm"``.
        preload: libraries to import before any of its processes exists.
        memory_bytes: address space beyond what the zygote has after `preload`.
        cpu_s: processor time after which the kernel ends one of its processes.
        time_ms: the longest that one invocation may run, for engines that can stop one themselves.
        output_bytes: the longest output, for engines that can refuse one themselves.
        layers: what keeps its processes in.
        user: the user and group that its processes become; 0 if they have to stay
            whoever starts them, and then namespaces bring a user of their own.
    """

    engine: str
    name: str
    folder: str
    entrypoint: str
    preload: tuple[str, ...]
    memory_bytes: int
    cpu_s: int
    time_ms: int
    output_bytes: int
    layers: frozenset[Layer]
    user: int

    def encode(self) -> bytes:
        """Return the assignment as bytes.

        Raises:
            ValueError: a field holds a NUL.
        """
        fields = [self.engine, self.name, self.folder, self.entrypoint, ",".join(self.preload)]
        fields += map(str, (self.memory_bytes, self.cpu_s, self.time_ms, self.output_bytes))
        fields += [",".join(sorted(self.layers)), str(self.user)]
        if any("\0" in field for field in fields):
            raise ValueError("a field of an assignment holds a NUL")
        return "\0".join(fields).encode()

    @classmethod
    def decode(cls, data: bytes) -> Assignment:
        """Read an assignment.

        Raises:
            ValueError: it does not have the right fields.
        """
        engine, name, folder, entrypoint, preload, *numbers, layers, user = data.decode().split("\0")
        memory_bytes, cpu_s, time_ms, output_bytes = map(int, numbers)
        return cls(
            engine,
            name,
            folder,
            entrypoint,
            preload=tuple(preload.split(",")) if preload else (),
            memory_bytes=memory_bytes,
            cpu_s=cpu_s,
            time_ms=time_ms,
            output_bytes=output_bytes,
            layers=frozenset(Layer(layer) for layer in layers.split(",") if layer),
            user=int(user),
        )
