"""configfs-tsm through real system calls, against a file system that behaves like configfs."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from enclaved.attester.tsm import TsmDevice
from enclaved.attester.tsm_files import KernelFiles
from enclaved.errors import DeviceError

Mount: TypeAlias = "Callable[..., AbstractContextManager[Path]]"

BINDING = bytes(range(64))
_PROGRAM = Path(__file__).with_name("tsm_fuse.py")


def _missing() -> str | None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not there, or not for this user"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is not installed"
    if not (ctypes.util.find_library("fuse3") or ctypes.util.find_library("fuse")):
        return "libfuse is not installed"
    return None


pytestmark = [pytest.mark.fuse, pytest.mark.skipif(_missing() is not None, reason=_missing() or "")]


@pytest.fixture
def mounted(tmp_path: Path) -> Mount:
    """Mounts the fake for a while."""

    @contextmanager
    def mount(provider: str = "sev_guest", *, races: int = 0) -> Iterator[Path]:
        folder = tmp_path / "report"
        folder.mkdir()
        command = [sys.executable, str(_PROGRAM), str(folder), provider, str(races)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
            try:
                while not os.path.ismount(folder):
                    if server.poll() is not None:
                        _, said = server.communicate()
                        pytest.skip(f"this machine mounts nothing: {said.decode()[-200:]}")
                yield folder
            finally:
                subprocess.run(["fusermount3", "-uz", str(folder)], check=False, capture_output=True)
                server.terminate()

    return mount


def _device(folder: Path) -> TsmDevice:
    return TsmDevice(folder, KernelFiles(), endorsements={})


def test_report_comes_out_of_an_entry_that_is_removed(mounted: Mount) -> None:
    """Attributes appear with the folder and go with it: nothing else may be removed."""
    with mounted() as folder:
        evidence = _device(folder).attest(BINDING)

        assert (evidence.format, evidence.report) == ("sev-snp", b"0" + BINDING)
        assert list(folder.iterdir()) == []


def test_single_race_is_tried_again(mounted: Mount) -> None:
    """In a new entry."""
    with mounted(races=1) as folder:
        assert _device(folder).attest(BINDING).report == b"0" + BINDING
        assert list(folder.iterdir()) == []


def test_race_that_never_ends_is_an_error(mounted: Mount) -> None:
    """Rather than a report over somebody else's bytes."""
    with mounted(races=1000) as folder:
        with pytest.raises(DeviceError, match="generation conflict"):
            _device(folder).attest(BINDING)
        assert list(folder.iterdir()) == []


def test_tdx_is_another_provider_of_the_same_interface(mounted: Mount) -> None:
    """Without privilege levels and certificates."""
    with mounted("tdx_guest") as folder:
        assert _device(folder).attest(BINDING).format == "tdx"


def test_entry_of_a_used_name_is_an_error(mounted: Mount) -> None:
    """Two requests in one entry would see each other's writes."""
    with mounted() as folder:
        files = KernelFiles(random=bytes)
        entry = files.make_entry(folder)
        with pytest.raises(FileExistsError):
            files.make_entry(folder)
        files.remove_entry(entry)
