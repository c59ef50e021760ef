"""Each example function is complete, and its sample gives exactly its expected output."""

from __future__ import annotations

import ast
import base64
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sensor_table import table

Load = Callable[[str], ModuleType]
Call = Callable[[str, bytes], bytes]
ReadManifest = Callable[[str], dict[str, Any]]

PYTHON = ["early-warning", "echo", "invoice-check", "redact", "table-statistics"]
WASM = ["image-thumbnail", "word-count"]
NAMES = sorted(PYTHON + WASM)


def test_these_are_all_functions(functions: Path) -> None:
    """A function that nobody lists here would go untested."""
    assert sorted(path.name for path in functions.iterdir() if path.is_dir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sample_gives_the_expected_output(name: str, call: Call, functions: Path, manifest: ReadManifest) -> None:
    """People compare what they get with this file, so it is equal to the byte, on each run."""
    sample = manifest(name)["sample"]
    payload = (functions / name / sample["input"]).read_bytes()
    expected = (functions / name / sample["output"]).read_bytes()

    assert call(name, payload) == expected
    assert call(name, payload) == expected


@pytest.mark.parametrize("name", NAMES)
def test_sample_fits_the_functions_own_limits(name: str, functions: Path, manifest: ReadManifest) -> None:
    """A sample that the runtime refuses would be a poor first impression."""
    sample, limits = manifest(name)["sample"], manifest(name)["limits"]

    assert (functions / name / sample["input"]).stat().st_size <= limits.get("input_bytes", 1048576)
    assert (functions / name / sample["output"]).stat().st_size <= limits.get("output_bytes", 1048576)


@pytest.mark.parametrize("name", NAMES)
def test_manifest_says_what_a_manifest_must(name: str, manifest: ReadManifest) -> None:
    """The folder's name is the function's, and who may call it is written out."""
    document = manifest(name)

    assert document["name"] == name
    assert document["callers"] == "any"
    if name in WASM:
        assert (document["engine"], document["module"]) == ("wasm", f"{name}.wasm")
    else:
        assert (document["engine"], document["entrypoint"]) == ("python", "handler:handle")
    assert document["version"]
    assert document["description"]


@pytest.mark.parametrize("name", NAMES)
def test_folder_holds_plain_files_only(name: str, call: Call, functions: Path, manifest: ReadManifest) -> None:
    """The folder is hashed whole: bytecode or a symbolic link in it is refused."""
    call(name, (functions / name / manifest(name)["sample"]["input"]).read_bytes())

    for path in (functions / name).iterdir():
        assert path.is_file(), path
        assert not path.is_symlink(), path


@pytest.mark.parametrize("name", PYTHON)
def test_only_declared_libraries_are_imported(name: str, functions: Path, manifest: ReadManifest) -> None:
    """A handler needs the standard library, its own modules, and what its manifest preloads: never the runtime."""
    own = {path.stem for path in (functions / name).glob("*.py")}
    allowed = sys.stdlib_module_names | own | set(manifest(name).get("preload", []))

    for path in (functions / name).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] in allowed


def test_alarms_go_to_a_real_key_on_a_topic_of_their_own(manifest: ReadManifest) -> None:
    """An event function that listened to its own output would call itself for ever."""
    document = manifest("early-warning")
    recipient = document["output"]["recipients"][0].removeprefix("x25519:")

    assert len(base64.b64decode(recipient, validate=True)) == 32
    assert document["trigger"]["topics"] == ["demo/ward/+/vitals"]
    assert document["output"]["topic"] == "demo/ward/alarms"


def test_sensor_sample_is_the_generated_table(functions: Path) -> None:
    """Where the 2880 rows come from is written down, and anyone can make them anew."""
    assert (functions / "table-statistics" / "sample.csv").read_text() == table()


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"x" * 1_000_000], ids=["empty", "binary", "large"])
def test_echo_gives_back_its_input(payload: bytes, load: Load) -> None:
    """Whatever the bytes are."""
    assert load("echo").handle(payload) == payload
