"""`enclaved doctor` says what it found, and the level that a function really had."""

from __future__ import annotations

from pathlib import Path

from enclaved.cli.machine import machine_facts
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.sandbox.isolation import IsolationLevel
from whole_runtime import run


async def test_the_document_names_facts_and_levels(tmp_path: Path) -> None:
    """Every engine is tried; the broker that was named answers."""
    async with LoopbackBroker(port=0) as broker:
        done = await run("doctor", f"--broker=mqtt://127.0.0.1:{broker.port}", "--json", cwd=tmp_path)

    facts = {fact["name"]: fact for fact in done.document["facts"]}
    engines = {engine["name"]: IsolationLevel(engine["isolation"]) for engine in done.document["engines"]}
    assert done.code == 0
    assert set(engines) == {"python", "wasm"}
    assert facts["broker"]["ok"] is True
    assert facts["wasmtime"]["found"].startswith("50.")


async def test_a_broker_that_was_named_and_is_not_there_is_said_so(tmp_path: Path) -> None:
    """With what to do; functions can run all the same."""
    done = await run("doctor", "--broker=mqtt://127.0.0.1:1", cwd=tmp_path)

    assert done.code == 0
    assert b"no  broker: mqtt://127.0.0.1:1" in done.out
    assert b"python functions run at level" in done.out


def test_whatever_is_missing_has_a_remedy() -> None:
    """A diagnosis without one helps nobody."""
    facts = machine_facts()

    assert [fact.name for fact in facts[:2]] == ["system", "user"]
    assert all(fact.remedy for fact in facts if not fact.ok)
