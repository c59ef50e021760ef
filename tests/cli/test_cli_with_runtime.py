"""The commands that look at a running runtime, and the demo."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from whole_runtime import FUNCTIONS, run, up


async def test_the_demo_shows_every_example_verified(tmp_path: Path) -> None:
    """One JSON document, with a row for each example, its output as it should be."""
    done = await run("demo", "--json", cwd=tmp_path)

    rows = {row["name"]: row for row in done.document["functions"]}
    assert done.code == 0, done.err
    assert set(rows) == {path.parent.name for path in FUNCTIONS.glob("*/function.toml")}
    wanted = {
        "name", "input_bytes", "sealed_bytes", "output_base64", "digest", "isolation", "claims", "receipt",
        "round_trip_ms",
    }  # fmt: skip
    assert all(wanted <= set(row) for row in rows.values())
    expected = (FUNCTIONS / "redact" / "expected.txt").read_bytes()
    assert base64.b64decode(rows["redact"]["output_base64"]) == expected
    assert rows["redact"]["sealed_bytes"] > rows["redact"]["input_bytes"]
    assert all(row["claims"]["simulated"] for row in rows.values())
    assert all(row["receipt"]["function_digest"] == row["digest"] for row in rows.values())


async def test_evidence_is_fetched_shown_verified_and_appraised(tmp_path: Path) -> None:
    """A folder of raw evidence over our own nonce; the bytes it is bound to are printed, to compare with."""
    async with up(tmp_path) as runtime:
        fetched = await run("evidence", "fetch", "--out=e", "--json", *runtime.access, cwd=tmp_path)
        shown = await run("evidence", "show", *runtime.access, cwd=tmp_path)
        policy = await run("policy", "init", "--out=p.toml", "--json", *runtime.access, cwd=tmp_path)

    binding = fetched.document["binding"]
    verified = await run("evidence", "verify", "--format=simulated", "e", f"--nonce={binding}", "--json", cwd=tmp_path)
    other = await run("evidence", "verify", "--format=simulated", "e", f"--nonce={'00' * 64}", "--json", cwd=tmp_path)
    archived = await run(
        "evidence", "appraise", "--format=simulated", "e", "--policy=p.toml", "--at=evidence", "--json", cwd=tmp_path
    )

    assert "SIMULATED" in shown.out.decode()
    assert policy.code == 0
    assert any("SIMULATED" in warning for warning in policy.document["warnings"])
    assert (verified.code, verified.document["authentic"], verified.document["accepted"]) == (0, True, None)
    assert (other.code, other.document["error"]["code"]) == (3, "not_authentic")
    assert (archived.code, archived.document["accepted"], archived.document["mode"]) == (0, True, "evidence")


async def test_a_drafted_policy_lets_data_be_sealed(tmp_path: Path) -> None:
    """What `policy init` writes accepts the runtime that it was drafted from."""
    async with up(tmp_path) as runtime:
        await run("policy", "init", "--out=p.toml", *runtime.access, cwd=tmp_path)
        done = await run("invoke", "echo", "--data=x", "--policy=p.toml", "--json", *runtime.access, cwd=tmp_path)

    assert (done.code, json.loads(done.out)["status"]) == (0, "ok")
