"""The main job on genuine TPM 2.0 evidence: `enclaved up` on a software TPM, and an invocation that verifies it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from software_tpm import needs_swtpm, start_tpm
from whole_runtime import run, up

pytestmark = [pytest.mark.swtpm, needs_swtpm]


async def test_invocation_is_sealed_to_a_key_that_a_tpm_quoted(tmp_path: Path) -> None:
    """The policy that `up` wrote pins the TPM's key and the runtime's PCR, and says what it had to accept."""
    with start_tpm() as tpm:
        async with up(tmp_path, f"--device=tpm:{tpm.path}") as running:
            done = await running.invoke("echo", "--data=hello")
            policy = running.policy.read_text()

    assert done.code == 0, done.err
    assert done.document["verdict"]["format"] == "tpm"
    assert done.document["verdict"]["accepted"] is True
    assert "accept_not_confidential = true" in policy
    assert "software = true" in policy


async def test_evidence_of_another_tpm_is_refused(tmp_path: Path) -> None:
    """Everything else is the same: the functions, the runtime, its PCRs."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with start_tpm() as tpm:
        async with up(tmp_path / "one", f"--device=tpm:{tpm.path}") as running:
            policy = tmp_path / "policy.toml"
            policy.write_bytes(running.policy.read_bytes())
    with start_tpm() as tpm:
        async with up(tmp_path / "two", f"--device=tpm:{tpm.path}") as running:
            arguments = ("echo", "--data=hello", f"--policy={policy}", *running.access, "--json")
            done = await run("invoke", *arguments, cwd=tmp_path)

    assert done.code == 4, done.err
    assert json.loads(done.out)["error"]["message"].startswith("ak:")
