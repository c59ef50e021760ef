"""Each layer has an attack that succeeds without it: what it is there for, and what it is not needed for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import enclaved.sandbox
import pytest
from attacks import ABLATIONS, OUTSIDE, Ablation
from enclaved.sandbox.layers import Layer
from worlds import follow, unavailable

pytestmark = [pytest.mark.timeout(170)]

README = Path(enclaved.sandbox.__file__).with_name("README.md")
MEMORY_MIB = 512  # room for more threads than a user of its own may have
TARGETS = {"threads": 700, "mebibytes": 900}  # more than either limit, and no trouble for the host


def _orders(ablation: Ablation) -> list[frozenset[Layer]]:
    """Return which layers are tried: without both, and with either; without one, where it is alone."""
    base = ablation.base
    if ablation.other is None:
        return [base - {ablation.layer}, base]
    return [base - {ablation.layer, ablation.other}, base - {ablation.layer}, base - {ablation.other}]


@cache
def _tried(world: str) -> dict[tuple[frozenset[Layer], str], Any]:
    """Try all ablations of a world in one process."""
    wanted = {(layers, each.attack) for each in ABLATIONS if each.world == world for layers in _orders(each)}
    sets = sorted({layers for layers, _ in wanted}, key=sorted)
    orders = [
        {
            "layers": sorted(layers),
            "attacks": sorted(attack for its, attack in wanted if its == layers and attack != OUTSIDE),
            "peek": (layers, OUTSIDE) in wanted,
            "targets": TARGETS,
            "memory_mib": MEMORY_MIB,
        }
        for layers in sets
    ]
    done = follow(world, orders)["orders"]
    return {
        (layers, attack): outcome
        for layers, order in zip(sets, done, strict=True)
        for attack, outcome in order["results"].items()
    }


@pytest.mark.parametrize("ablation", ABLATIONS, ids=Ablation.name)
def test_without_its_layers_an_attack_succeeds_and_with_either_it_fails(ablation: Ablation) -> None:
    """So each layer is needed, and each pair is two deep."""
    if reason := unavailable(ablation.world):
        pytest.skip(reason)
    tried = _tried(ablation.world)
    without, *with_either = [tried[layers, ablation.attack] for layers in _orders(ablation)]

    assert without["escaped"], without
    for each in with_either:
        assert not each["escaped"], each


def test_every_layer_has_an_attack_of_its_own() -> None:
    """A layer that nothing shows would be ceremony."""
    assert {each.layer for each in ABLATIONS} | {each.other for each in ABLATIONS} >= set(Layer)


def test_the_readme_says_what_was_shown() -> None:
    """Its table is this file's, row for row."""
    rows = re.findall(r"^\| `([\w-]+)` \| (?:`([\w-]+)`|nothing) \| `([\w.]+)` \|", README.read_text(), re.MULTILINE)

    assert rows == [(each.layer.value, each.other.value if each.other else "", each.attack) for each in ABLATIONS]
