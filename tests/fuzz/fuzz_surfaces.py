"""Fuzz what others send us; a million inputs are one command.

    PYTHONPATH=runtime python tests/fuzz/fuzz_surfaces.py --inputs 1000000 [--surface NAME] [--seed N] [--from N]

The inputs are spread over the surfaces. It prints one line for each, and for
each fault the number that makes it again; it exits 1 where there was any. A
surface tells whether an input was taken or refused; all else that it raises is
a fault, and so is an input that takes longer than a second.
"""

from __future__ import annotations

import argparse
import inspect
import json
import random
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

import anyio
from link_surface import ENCLAVE_CORPUS, GATEWAY_CORPUS, enclave_hears, gateway_hears
from mqtt_surface import BROKER_CORPUS, CLIENT_CORPUS, broker_hears, client_hears
from mutation import Mutator

__all__ = ["SURFACES", "Outcome", "Surface", "fuzz"]

Hear = Callable[[bytes, random.Random], "bool | Awaitable[bool]"]
_TOO_LONG_S = 1.0
_MOST_FAULTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One place where bytes of others arrive.

    Attributes:
        corpus: good ones.
        hear: takes bytes, and tells whether they were good; `random` cuts them up.
    """

    corpus: Sequence[bytes]
    hear: Hear


SURFACES = {
    "mqtt-from-broker": Surface(corpus=BROKER_CORPUS, hear=client_hears),
    "mqtt-from-client": Surface(corpus=CLIENT_CORPUS, hear=broker_hears),
    "link-from-enclave": Surface(corpus=ENCLAVE_CORPUS, hear=gateway_hears),
    "link-from-gateway": Surface(corpus=GATEWAY_CORPUS, hear=enclave_hears),
}


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a surface's inputs; a refused one is no fault."""

    surface: str
    seed: int
    inputs: int = 0
    taken: int = 0
    refused: int = 0
    faults: int = 0
    slowest_ms: float = 0.0
    seconds: float = 0.0


async def fuzz(name: str, *, inputs: int, seed: int, first: int = 0) -> Outcome:
    """Give a surface that many inputs; faults are told on standard error."""
    surface, outcome = SURFACES[name], Outcome(surface=name, seed=seed)
    mutator = Mutator(surface.corpus, seed=seed)
    began = time.monotonic()
    for number in range(first, first + inputs):
        data, chance = mutator.make(number)
        before = time.monotonic()
        fault = await _hear(surface.hear, data, chance, outcome)
        took_s = time.monotonic() - before
        outcome.inputs += 1
        outcome.slowest_ms = max(outcome.slowest_ms, round(took_s * 1000, 1))
        if fault is None and took_s > _TOO_LONG_S:
            fault = f"took {took_s:.1f} s"
        if fault is not None:
            outcome.faults += 1
            sys.stderr.write(f"{name}: fault at --seed {seed} --from {number}: {data.hex()}\n{fault}\n")
            if outcome.faults >= _MOST_FAULTS:
                break
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


async def _hear(hear: Hear, data: bytes, chance: random.Random, outcome: Outcome) -> str | None:
    """Give one input; count what became of it, or return the fault."""
    try:
        answer = hear(data, chance)
        taken = await answer if inspect.isawaitable(answer) else answer
    except (KeyboardInterrupt, anyio.get_cancelled_exc_class()):
        raise
    except BaseException:  # noqa: BLE001 - a codec's panic is no Exception, and is what we look for
        return traceback.format_exc()
    if taken:
        outcome.taken += 1
    else:
        outcome.refused += 1
    return None


async def _main(options: argparse.Namespace) -> int:
    names = [options.surface] if options.surface else list(SURFACES)
    faults = 0
    for name in names:
        outcome = await fuzz(name, inputs=options.inputs // len(names), seed=options.seed, first=options.first)
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()
        faults += outcome.faults
    return 1 if faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz what others send us.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all surfaces together")
    parser.add_argument("--surface", choices=SURFACES, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first input")
    return anyio.run(_main, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
