"""Deletes each numbered step of the verifier in turn, and reports those that no test misses.

A step is the comment ``# N. …`` and the statements below it, up to the next
numbered comment of the same block or the block's end. In a copy of the tree its
checks are deleted; assignments stay, because a name that is missing would be
noticed by every test and prove nothing. A step of assignments and returns alone
only parses: it is listed, and not deleted.

    python tests/verifier/delete_each_step.py [--tests PATH]... [FOLDER]...

Without folders: runtime/enclaved/verifier; without tests: tests/verifier. Exit
code 1 if a deletion went unnoticed, 2 if the tests fail without any.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_STEP = re.compile(r"( *)# (\d+\..*)")
_PARSING = ast.Assign | ast.AnnAssign | ast.Return | ast.Pass
_IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One numbered step: where it stands, and the statements that are its checks."""

    path: Path
    line: int
    title: str
    checks: tuple[ast.stmt, ...]

    def __str__(self) -> str:
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}: {self.title}"


def find_steps(path: Path) -> Iterator[Step]:
    """Yield the numbered steps of a file, in its order."""
    source = path.read_text()
    comments = _comments(source)
    for block in _blocks(ast.parse(source)):
        column, start, end = block[0].col_offset, block[0].lineno, block[-1].end_lineno or 0
        before = _end_of_what_precedes(source, start)
        own = [(line, title) for line, indent, title in comments if indent == column and before < line <= end]
        ends = [line for line, _ in own[1:]] + [end + 1]
        for (line, title), following in zip(own, ends[: len(own)], strict=True):
            body = [statement for statement in block if line < statement.lineno < following]
            yield Step(path=path, line=line, title=title, checks=tuple(_checks(body, comments)))


def _checks(body: list[ast.stmt], comments: list[tuple[int, int, str]]) -> Iterator[ast.stmt]:
    """Yield the statements of a step that check; a branch that holds further steps is theirs."""
    for statement in body:
        holds_steps = any(statement.lineno <= line <= (statement.end_lineno or 0) for line, _, _ in comments)
        if not isinstance(statement, _PARSING) and not holds_steps:
            yield statement


def delete(step: Step, source: str) -> str:
    """Return a file's text without the checks of a step; what is left still compiles."""
    lines = source.splitlines(keepends=True)
    for check in step.checks:
        indent = " " * check.col_offset
        end = check.end_lineno or check.lineno
        lines[check.lineno - 1 : end] = [f"{indent}pass\n", *["\n"] * (end - check.lineno)]
    text = "".join(lines)
    ast.parse(text)
    return text


def main() -> int:
    """Delete each step in turn, and say which deletions went unnoticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="*", default=["runtime/enclaved/verifier"], metavar="FOLDER")
    parser.add_argument("--tests", action="append", metavar="PATH", help="tests to run (default: tests/verifier)")
    arguments = parser.parse_args()
    tests: list[str] = arguments.tests or ["tests/verifier"]
    steps = [
        step
        for folder in arguments.folders
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for step in find_steps(path)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        tree = _copy(Path(temporary))
        if not _pass(tree, tests):
            sys.stderr.write("the tests fail before anything is deleted\n")
            return 2
        trees = [tree, *(_copy(Path(temporary) / str(number)) for number in range(1, os.cpu_count() or 1))]
        with ThreadPoolExecutor(len(trees)) as pool:
            shares = [steps[number :: len(trees)] for number in range(len(trees))]
            found = pool.map(lambda share, own: _unnoticed(share, own, tests), shares, trees)
            unnoticed = [step for share in found for step in share]
    for step in steps:
        verdict = "UNNOTICED" if step in unnoticed else "noticed" if step.checks else "parses only"
        sys.stdout.write(f"{verdict:12} {step}\n")
    deleted = sum(bool(step.checks) for step in steps)
    sys.stdout.write(f"{deleted} steps deleted, {len(unnoticed)} unnoticed, {len(steps) - deleted} parse only\n")
    return 1 if unnoticed or not deleted else 0


def _unnoticed(steps: list[Step], tree: Path, tests: list[str]) -> list[Step]:
    """Return the steps that nobody misses, deleting one after the other in a copy of one's own."""
    return [step for step in steps if step.checks and _goes_unnoticed(step, tree, tests)]


def _goes_unnoticed(step: Step, tree: Path, tests: list[str]) -> bool:
    """Delete a step and run the tests of its own folder, and all of them where those miss nothing."""
    path = tree / step.path.relative_to(REPOSITORY)
    source = path.read_text()
    path.write_text(delete(step, source))
    own = _own_tests(path, tree, tests)
    try:
        return (not own or _pass(tree, own)) and _pass(tree, tests)
    finally:
        path.write_text(source)


def _own_tests(path: Path, tree: Path, tests: list[str]) -> list[str]:
    """Return the tests of a file's own folder: those of its name, the nearest first, or those on top."""
    below = [str(folder) for each in tests if (tree / (folder := Path(each) / path.parent.name)).is_dir()]
    named = [str(file) for each in tests for file in (tree / each).glob(f"test_*{path.parent.name}*.py")]
    nearest = [str(file) for folder in below for file in sorted((tree / folder).glob("test_*verify*.py"))]
    return nearest + below or named or [str(file) for each in tests for file in sorted((tree / each).glob("test_*.py"))]


def _copy(temporary: Path) -> Path:
    tree = temporary / "tree"
    tree.mkdir(parents=True)
    for folder in ("runtime", "tests"):
        shutil.copytree(REPOSITORY / folder, tree / folder, ignore=_IGNORED)
    shutil.copy(REPOSITORY / "pyproject.toml", tree)
    return tree


def _pass(tree: Path, tests: list[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(tree / "runtime"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False)
    return run.returncode == 0


def _comments(source: str) -> list[tuple[int, int, str]]:
    """Return line, indent and title of every numbered comment that has a line to itself."""
    matches = ((number, _STEP.fullmatch(line)) for number, line in enumerate(source.splitlines(), start=1))
    return [(number, len(match[1]), match[2]) for number, match in matches if match]


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Yield every list of statements: bodies of functions, branches, loops."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def _end_of_what_precedes(source: str, start: int) -> int:
    """Return the line above the comments that stand directly before a block's first statement."""
    lines = source.splitlines()
    line = start - 1
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


if __name__ == "__main__":
    sys.exit(main())
