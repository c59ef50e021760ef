"""Functions that attack: none of them gets anywhere, and the next honest invocation is served."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from attacks import ATTACKS, HELD_BY_THE_ENCLAVE, NEED_PRIVILEGES
from worlds import follow, unavailable

pytestmark = [pytest.mark.timeout(170)]

LEVELS = {"root": "full", "user": "full", "container": "restricted"}


@cache
def outcomes(world: str) -> dict[str, Any]:
    """Let every attack be tried in a world, once."""
    if reason := unavailable(world):
        pytest.skip(reason)
    return follow(world, [{"attacks": ATTACKS}])


@pytest.mark.parametrize("world", LEVELS)
def test_the_level_is_the_best_that_a_world_gives(world: str) -> None:
    """Probing finds namespaces where they are, and does without where they are not."""
    (order,) = outcomes(world)["orders"]

    assert order["level"] == LEVELS[world], order["findings"]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("world", LEVELS)
def test_an_attack_fails_and_the_next_invocation_is_served(world: str, attack: str) -> None:
    """At `full` as root and as somebody else, and at `restricted`."""
    outcome = outcomes(world)["orders"][0]["results"][attack]

    assert not outcome["escaped"], outcome
    assert outcome["served"] is True


@pytest.mark.parametrize("world", LEVELS)
def test_what_others_may_write_is_as_it_was(world: str) -> None:
    """The host's file that everybody may write was not touched by any of them."""
    assert outcomes(world)["intact"]


@cache
def unprotected() -> dict[str, Any]:
    """Let every attack be tried without any layer, never as root: what succeeds would be done to this machine."""
    if reason := unavailable("user"):
        pytest.skip(reason)
    results: dict[str, Any] = follow("user", [{"attacks": ATTACKS, "layers": []}])["orders"][0]["results"]
    return results


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - NEED_PRIVILEGES - HELD_BY_THE_ENCLAVE))
def test_an_attack_succeeds_without_layers(attack: str) -> None:
    """An attack that fails anyway would show nothing."""
    outcome = unprotected()[attack]

    assert outcome["escaped"], outcome
