"""What `function check` says: each mistake with its place and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from enclaved.cli.function_check import Finding, inspect_function
from enclaved.cli.function_template import TemplateEngine, write_template
from enclaved.enclave.registry import load_function

GOOD = "def handle(payload):\n    return payload\n"


def findings(folder: Path, code: str = GOOD, *, preload: str = "[]", **files: str) -> list[Finding]:
    """Write a Python function with this handler, and inspect it."""
    home = write_template("f", into=folder, engine=TemplateEngine.PYTHON)
    (home / "handler.py").write_text(code)
    for name, text in files.items():
        path = home / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    manifest = home / "function.toml"
    manifest.write_text(f"preload = {preload}\n" + manifest.read_text())
    return inspect_function(load_function(home))


@pytest.mark.parametrize("engine", TemplateEngine)
def test_a_template_is_without_fault(tmp_path: Path, engine: TemplateEngine) -> None:
    """Nobody is warned of what they were just given."""
    assert inspect_function(load_function(write_template("f", into=tmp_path, engine=engine))) == []


@pytest.mark.parametrize(
    ("code", "where", "problem"),
    [
        ("def handle(payload:\n  pass", "handler.py:1", "is no Python"),
        ("\n\ndef handle(payload)\n  pass", "handler.py:3", "is no Python"),
        ("def handle(payload):\n\x00", "handler.py", "is no Python"),
        ("def other(payload): pass", "handler.py", "defines no handle"),
        ("if True:\n  def other(): pass", "handler.py", "defines no handle"),
        ("\ndef handle(): pass", "handler.py:2", "does not take one argument"),
        ("def handle(payload, more): pass", "handler.py:1", "does not take one argument"),
        ("def handle(payload, *, more): pass", "handler.py:1", "does not take one argument"),
        ("async def handle(payload): pass", "handler.py:1", "nobody awaits it"),
        (f"{GOOD}import nothing_of_this_name", "handler.py:3", "is not installed here"),
        (f"{GOOD}from nothing_of_this_name.a import b", "handler.py:3", "is not installed here"),
    ],
)
def test_what_cannot_work_is_an_error_with_its_line(tmp_path: Path, code: str, where: str, problem: str) -> None:
    """Said before it runs, where reading is enough."""
    (finding,) = findings(tmp_path, code)

    assert finding.is_error
    assert finding.where == where
    assert problem in finding.problem
    assert finding.remedy


@pytest.mark.parametrize(
    "code",
    [
        "def handle(payload, more=1): pass",
        "def handle(*all): pass",
        "handle = bytes",
        "from helper import handle",
        "from helper import run as handle",
        "from helper import *",
        "class handle:\n  def __init__(self, payload): pass",
        "if True:\n  def handle(payload): pass",
        "import json, helper.part\nfrom . import x\n" + GOOD,
    ],
)
def test_what_may_work_is_no_error(tmp_path: Path, code: str) -> None:
    """A check that cries wolf is switched off."""
    assert findings(tmp_path, code, helper__part_dot_py="") == []


def test_a_library_that_could_be_preloaded_is_mentioned(tmp_path: Path) -> None:
    """It works, and takes its time in each process."""
    (finding,) = findings(tmp_path, f"import anyio.abc\n{GOOD}")

    assert not finding.is_error
    assert 'preload = ["anyio"]' in finding.remedy


def test_a_preloaded_library_is_not(tmp_path: Path) -> None:
    """Its author has thought of it."""
    assert findings(tmp_path, f"import anyio.abc\n{GOOD}", preload='["anyio"]') == []


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("_dot_git__config", ".git"),
        ("_dot_venv__lib__x", ".venv"),
        ("_dot_DS_Store", ".DS_Store"),
        ("a__node_modules__b", "a/node_modules"),
        ("handler_dot_py~", "handler.py~"),
        ("old_dot_pyc", "old.pyc"),
    ],
)
def test_what_nobody_means_to_ship_is_mentioned_once(tmp_path: Path, file: str, named: str) -> None:
    """It is in the digest and goes to the enclave, whatever it is."""
    (finding,) = findings(tmp_path, **{file: "x", f"{file.rpartition('__')[0]}__other" if "__" in file else file: "x"})

    assert (finding.where, finding.is_error) == (named, False)


def test_a_sample_beyond_the_limits_is_an_error(tmp_path: Path) -> None:
    """The enclave would refuse the very example."""
    home = write_template("f", into=tmp_path, engine=TemplateEngine.PYTHON)
    (home / "function.toml").write_text(
        (home / "function.toml").read_text().replace("[limits]", "[limits]\ninput_bytes = 3")
    )

    (finding,) = inspect_function(load_function(home))
    assert (finding.where, finding.is_error) == ("sample.txt", True)


def test_a_function_without_a_sample_is_told_what_it_is_for(tmp_path: Path) -> None:
    """A warning: it works without one."""
    home = write_template("f", into=tmp_path, engine=TemplateEngine.WASM)
    (home / "function.toml").write_text((home / "function.toml").read_text().partition("[sample]")[0])

    (finding,) = inspect_function(load_function(home))
    assert not finding.is_error
