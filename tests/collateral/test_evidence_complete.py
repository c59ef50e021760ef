"""The command ``evidence complete`` as a process, against a real HTTPS service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import enclaved
import pytest
from https_world import HttpsWorld, answer, open_world
from verifier.snp.snp_forgery import DAY, Chip, ark, ask, make_chip, make_crl, make_report, make_service, vek

PACKAGES = str(Path(enclaved.__file__).parents[1])
NOW = datetime.now(UTC).replace(microsecond=0)
DATES = {"start": NOW - DAY, "end": NOW + DAY}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    document: dict[str, object]
    out: str
    err: str


@dataclass(frozen=True)
class Desk:
    """A folder with a bare report, and a service that knows its chip."""

    chip: Chip
    world: HttpsWorld
    folder: Path

    async def complete(self, *arguments: str) -> Done:
        """Run the command on the folder, with the service in place of AMD's."""
        command = [sys.executable, "-B", "-m", "enclaved", "evidence", "complete", "e", *arguments]
        services = [f"--kds={self.world.server.base}", f"--cafile={self.world.cafile}", "--cache=cache"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PACKAGES, "COLUMNS": "300"}
        done = await anyio.run_process([*command, *services], cwd=self.folder, env=environment, check=False)
        out = done.stdout.decode()
        document = json.loads(out) if "--json" in arguments else {}
        return Done(done.returncode, document, out, done.stderr.decode())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A Milan chip that is certified at present."""
    service = make_service(root=ark(**DATES), authority=ask(**DATES))
    chip = make_chip(service, vek(**DATES))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "report.bin").write_bytes(make_report(chip))
    async with open_world(tmp_path) as world:
        world.server.paths |= {
            f"/vcek/v1/Milan/{chip.chip_id.hex()}": [answer(chip.key.der)],
            "/vcek/v1/Milan/cert_chain": [answer(service.authority.pem + service.root.pem)],
            "/vcek/v1/Milan/crl": [answer(make_crl(service.root, **DATES))],
        }
        yield Desk(chip, world, tmp_path)


async def test_a_bare_folder_is_completed(desk: Desk) -> None:
    """Four files are added, each as the service gave it."""
    done = await desk.complete("--format=sev-snp", "--json")

    assert done.code == 0, done
    assert done.document["added"] == ["ark.pem", "ask.pem", "milan.crl", "vcek.der"]
    assert (desk.folder / "e" / "vcek.der").read_bytes() == desk.chip.key.der
    assert len(desk.world.server.asked) == 3


async def test_a_complete_folder_is_left_alone(desk: Desk) -> None:
    """Nothing is asked for twice, and people are told that nothing is missing."""
    await desk.complete("--format=sev-snp")
    again = await desk.complete("--format=sev-snp")

    assert again.code == 0
    assert "in force" in again.err
    assert len(desk.world.server.asked) == 3


async def test_what_is_kept_completes_a_folder_offline(desk: Desk) -> None:
    """Another folder of the same platform needs no network."""
    await desk.complete("--format=sev-snp")
    for name in ("ark.pem", "ask.pem", "milan.crl", "vcek.der"):
        (desk.folder / "e" / name).unlink()
    done = await desk.complete("--format=sev-snp", "--offline", "--json")

    assert (done.code, len(done.document["added"])) == (0, 4)
    assert len(desk.world.server.asked) == 3


async def test_offline_without_anything_kept_says_what_to_do(desk: Desk) -> None:
    """One document with the error; the folder stays as it was."""
    done = await desk.complete("--format=sev-snp", "--offline", "--json")

    assert (done.code, done.document["error"]["code"]) == (7, "collateral_unavailable")
    assert "while online" in done.document["error"]["message"]
    assert [path.name for path in (desk.folder / "e").iterdir()] == ["report.bin"]


async def test_a_chip_that_the_service_does_not_know_is_said(desk: Desk) -> None:
    """The address that was asked is in the message."""
    del desk.world.server.paths[f"/vcek/v1/Milan/{desk.chip.chip_id.hex()}"]
    done = await desk.complete("--format=sev-snp")

    assert done.code == 7
    assert f"{desk.world.server.base}/vcek/v1/Milan/" in done.err
    assert "does not know it" in done.err


async def test_evidence_that_carries_everything_asks_nobody(desk: Desk) -> None:
    """Nor is a cache made for it."""
    (desk.folder / "e" / "attestation_doc.cbor").write_bytes(b"anything")
    done = await desk.complete("--format=nitro")

    assert (done.code, desk.world.server.asked) == (0, [])
    assert "carries everything" in done.err
    assert not (desk.folder / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--format=sev-snp", "--kds=http://kds"], 2, "https://"),
        (["--format=sev-snp", "--product=naples"], 2, "milan"),
        (["--format=sev-snp", "--cafile=none.pem"], 2, "none.pem"),
        (["--format=nothing"], 5, "format"),
    ],
    ids=["address", "product", "roots", "format"],
)
async def test_a_wrong_option_is_said_before_anything_is_asked(
    desk: Desk, arguments: list[str], code: int, words: str
) -> None:
    """Each says what to write instead."""
    command = [sys.executable, "-B", "-m", "enclaved", "evidence", "complete", "e", "--cache=cache", *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PACKAGES, "COLUMNS": "300"}
    done = await anyio.run_process(command, cwd=desk.folder, env=environment, check=False)

    assert done.returncode == code
    assert words in done.stderr.decode()
    assert desk.world.server.asked == []
