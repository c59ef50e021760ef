"""A small share of the fuzzing at each run of the tests; the whole is one command (`fuzz_surfaces.py`)."""

from __future__ import annotations

import random

import pytest
from fuzz_surfaces import SURFACES, Surface, fuzz, main
from mutation import Mutator

INPUTS = 1500


@pytest.mark.parametrize("name", SURFACES)
async def test_nothing_that_others_send_is_our_crash(name: str) -> None:
    """Some of it is taken and some is refused; nothing else happens."""
    outcome = await fuzz(name, inputs=INPUTS, seed=11)

    assert (outcome.inputs, outcome.faults) == (INPUTS, 0)
    assert outcome.taken > INPUTS // 50
    assert outcome.refused > INPUTS // 50


def test_an_input_can_be_made_again_from_its_number() -> None:
    """That is how a fault is looked into."""
    one, again = Mutator([b"abc", b"defg"], seed=5), Mutator([b"abc", b"defg"], seed=5)

    assert [one.make(number)[0] for number in range(100)] == [again.make(number)[0] for number in range(100)]


def test_a_fault_is_counted_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a million inputs without a fault would mean nothing."""

    def stumble(data: bytes, chance: random.Random) -> bool:
        if data.startswith(b"\xff"):
            raise IndexError
        return True

    monkeypatch.setitem(SURFACES, "stumbling", Surface(corpus=[b"\xff", b"good"], hear=stumble))

    assert main(["--surface", "stumbling", "--inputs", "50"]) == 1
    told = capsys.readouterr()
    assert '"faults": 10' in told.out
    assert "--seed 1 --from" in told.err
    assert "IndexError" in told.err
