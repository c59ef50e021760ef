"""A fault of ours ends the process; where it came up is said, what it failed on is not."""

from __future__ import annotations

import sys

import pytest
from enclaved.enclave import __main__ as program

SECRET = "a word of a plaintext"


def fail(value: str) -> None:
    """Fail as code does that met a value it did not expect."""
    raise ValueError(value)


def test_a_fault_is_placed_and_not_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    """In a group or alone: kinds, files and lines."""
    try:
        fail(SECRET)
    except ValueError as error:
        group = ExceptionGroup(SECRET, [error])
    program._report_fault(type(group), group, None)
    said = capsys.readouterr().err

    assert "ValueError" in said
    assert "test_enclave_faults.py:" in said
    assert SECRET not in said


def test_every_fault_goes_that_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is what the interpreter calls last, whatever escapes."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "argv", ["enclave", "--runtime-id", "No Name", "--functions", "x", "--link", "unix:x"])

    assert program.main() == 2
    assert sys.excepthook is program._report_fault
    assert "--runtime-id" in capsys.readouterr().err
