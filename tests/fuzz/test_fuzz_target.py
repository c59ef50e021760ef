"""What the fuzzer runs is right: its seeds are accepted, and what is not the seeds' is a finding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import target
from container import pack, unpack
from enclaved.errors import EvidenceError
from enclaved.verifier.formats import FORMATS
from hypothesis import given
from hypothesis import strategies as st

SEEDS = sorted(path for path in target.CORPUS.rglob("*") if path.is_file())
NAMES = [f"{path.parent.name}/{path.name}" for path in SEEDS]


@pytest.mark.parametrize("seed", SEEDS, ids=NAMES)
def test_a_seed_is_authentic(seed: Path) -> None:
    """A fuzzer that starts with evidence that is refused at once finds nothing behind that."""
    format_ = FORMATS[seed.parent.name]
    data = seed.read_bytes()

    assert target.judge(data, format_).format == format_.name
    assert pack(unpack(data, format_), format_) == data
    target.make_target(format_.name)(data)


@pytest.mark.parametrize("seed", SEEDS, ids=NAMES)
@given(data=st.data())
def test_what_is_turned_a_little_is_judged(seed: Path, data: st.DataObject) -> None:
    """A taste of what the fuzzer does for longer."""
    turned = bytearray(seed.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(turned) - 1))
        turned[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    target.make_target(seed.parent.name)(bytes(turned))


def test_what_nobody_signed_and_is_accepted_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target would say so, if a verifier accepted what the seeds do not say."""
    seed = next(path for path in SEEDS if path.parent.name == "nitro").read_bytes()
    fuzz = target.make_target("nitro")
    forged = replace(target.judge(seed, FORMATS["nitro"]), measurement=b"forged")
    monkeypatch.setattr(target, "authenticate", lambda *_, **__: forged)

    with pytest.raises(AssertionError, match="nobody signed it"):
        fuzz(seed)


def test_garbage_is_refused_as_ours() -> None:
    """Nothing is accepted, nothing escapes."""
    with pytest.raises(EvidenceError):
        target.judge(b"garbage", FORMATS["sev-snp"])
