"""`enclaved function new`, `check` and `run`: a function from its template to its output, without a runtime."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from enclaved.cli.function_template import TemplateEngine, write_template
from whole_runtime import FUNCTIONS, run


@pytest.mark.parametrize("engine", TemplateEngine)
async def test_a_new_function_runs_at_once(tmp_path: Path, engine: TemplateEngine) -> None:
    """Its check passes, and its output alone is on standard output."""
    made = await run("function", "new", "mine", "--engine", engine, cwd=tmp_path)
    checked = await run("function", "check", "functions/mine", cwd=tmp_path)
    done = await run("function", "run", "mine", "-", cwd=tmp_path, stdin=b"one two three")

    assert (made.code, checked.code, done.code) == (0, 0, 0)
    assert done.out == b"3 words\n"


async def test_an_example_gives_its_sample_to_the_byte(tmp_path: Path) -> None:
    """Bytes that are no text, too."""
    home = FUNCTIONS / "image-thumbnail"
    arguments = ("run", "image-thumbnail", f"--functions={FUNCTIONS}", f"--file={home / 'sample.png'}")
    done = await run("function", *arguments, cwd=tmp_path)

    assert done.out == (home / "expected.png").read_bytes()


async def test_a_failure_is_told_on_standard_error(tmp_path: Path) -> None:
    """Its own words and what it printed; nothing on standard output, and exit code 1."""
    home = write_template("bad", into=tmp_path, engine=TemplateEngine.PYTHON)
    (home / "handler.py").write_text("def handle(payload):\n    print('so far')\n    raise ValueError('no good')\n")
    done = await run("function", "run", "bad", "--functions=.", "--data=x", cwd=tmp_path)

    assert (done.code, done.out) == (1, b"")
    assert "so far" in done.err
    assert "handler.py" in done.err
    assert "no good" in done.err


async def test_a_run_is_one_json_document(tmp_path: Path) -> None:
    """With the level of isolation that it had."""
    write_template("mine", into=tmp_path, engine=TemplateEngine.WASM)
    done = await run("function", "run", "mine", "--functions=.", "--data=a b", "--json", cwd=tmp_path)

    assert done.document["outcome"] == "ok"
    assert base64.b64decode(done.document["output_base64"]) == b"2 words\n"
    assert done.document["isolation"] in {"full", "restricted", "memory-safe"}


async def test_an_input_beyond_the_functions_limit_is_usage(tmp_path: Path) -> None:
    """It was not run."""
    home = write_template("mine", into=tmp_path, engine=TemplateEngine.WASM)
    (home / "function.toml").write_text(
        (home / "function.toml").read_text().replace("[limits]", "[limits]\ninput_bytes = 3")
    )
    done = await run("function", "run", "mine", "--functions=.", "--data=abcd", cwd=tmp_path)

    assert done.code == 2
    assert "limits.input_bytes" in done.err


async def test_a_check_finds_what_only_the_sandbox_can_see(tmp_path: Path) -> None:
    """A module that imports what no enclave has, named with its remedy; exit code 2."""
    home = write_template("mine", into=tmp_path, engine=TemplateEngine.WASM)
    (home / "function.wasm").write_bytes(b"\0asm\1\0\0\0")
    done = await run("function", "check", "mine", "--json", cwd=tmp_path)

    assert done.code == 2
    assert done.document["error"]["code"] == "usage"
    assert "exports no memory named memory" in done.document["error"]["message"]


async def test_a_check_tries_the_sample(tmp_path: Path) -> None:
    """Another output than expected is exit code 1."""
    home = write_template("mine", into=tmp_path, engine=TemplateEngine.PYTHON)
    (home / "expected.txt").write_text("6 words\n")
    done = await run("function", "check", "mine", cwd=tmp_path)

    assert done.code == 1
    assert "another" not in done.err
    assert "expected.txt" in done.err


async def test_every_finding_is_listed(tmp_path: Path) -> None:
    """Several at once, each with its line; exit code 2, and nothing was run."""
    home = write_template("mine", into=tmp_path, engine=TemplateEngine.PYTHON)
    (home / "handler.py").write_text("import nothing_of_this_name\ndef handle(): pass\n")
    (home / ".git").mkdir()
    (home / ".git" / "HEAD").touch()
    done = await run("function", "check", "mine", "--json", cwd=tmp_path)

    assert done.code == 2
    found = [(each["where"], each["is_error"]) for each in json.loads(done.out)["findings"]]
    assert found == [("handler.py:1", True), ("handler.py:2", True), (".git", False)]


async def test_broken_toml_is_shown_with_its_line(tmp_path: Path) -> None:
    """The error names line and column."""
    home = write_template("mine", into=tmp_path, engine=TemplateEngine.PYTHON)
    (home / "function.toml").write_text('name = "mine"\nversion = \n')
    done = await run("function", "check", "mine", cwd=tmp_path)

    assert done.code == 2
    assert "line 2" in done.err
