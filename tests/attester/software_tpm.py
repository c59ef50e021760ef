"""A real software TPM, started for a test: swtpm behind a Unix socket, and tpm2-tools beside it."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["SoftwareTpm", "needs_swtpm", "needs_tools", "start_tpm"]

needs_swtpm = pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is not installed")
needs_tools = pytest.mark.skipif(shutil.which("tpm2_checkquote") is None, reason="tpm2-tools are not installed")


@dataclass(frozen=True)
class SoftwareTpm:
    """A software TPM that runs.

    Attributes:
        path: where it listens.
        state: where its seeds lie.
    """

    path: Path
    state: Path

    def tool(self, *command: str) -> bytes:
        """Run a tool of tpm2-tools on it; the TPM serves one connection at a time."""
        environment = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:path={self.path}"}
        run = subprocess.run(command, env=environment, capture_output=True, check=False, cwd=self.state)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout


@contextmanager
def start_tpm(state: Path | None = None, *, flags: str = "not-need-init,startup-clear") -> Iterator[SoftwareTpm]:
    """Start a TPM with the seeds of a folder, or with new ones; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="tpm-") as short:  # a socket's path has 108 bytes at most
        folder, path = state or Path(short), Path(short) / "s"
        command = [
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", flags),
            *("--server", f"type=unixio,path={path}", "--ctrl", f"type=unixio,path={path}.ctrl"),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                _wait(path, process)
                yield SoftwareTpm(path=path, state=folder)
            finally:
                process.terminate()


def _wait(path: Path, process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    while True:
        with socket.socket(socket.AF_UNIX) as stream:
            if stream.connect_ex(str(path)) == 0:
                return
        readable, _, _ = select.select([process.stderr], [], [], 0.005)
        if readable and process.poll() is not None:
            raise AssertionError(process.stderr.read().decode())
