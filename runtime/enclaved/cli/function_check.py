"""What can be said about a function before it runs: each finding with its place and what to do.

The manifest and its files are checked as the enclave checks them. Beyond that this reads
Python source without running it, and lists what a folder holds that nobody meant to ship:
the whole folder is hashed, and all of it reaches the enclave.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Final

from enclaved.enclave.registry import RegisteredFunction

__all__ = ["Finding", "inspect_function"]

_LEFT_BEHIND: Final = frozenset({"node_modules", "venv", "build", "dist", "Thumbs.db"})
_LEFT_ENDINGS: Final = (".pyc", ".pyo", ".swp", ".orig", ".rej", ".egg-info", "~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to be said.

    Attributes:
        where: the file, with the line where there is one.
        problem: what is wrong, or might be.
        remedy: what to do about it.
        is_error: the function cannot work like this; otherwise it only should not be like this.
    """

    where: str
    problem: str
    remedy: str
    is_error: bool

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return asdict(self)


def inspect_function(function: RegisteredFunction) -> list[Finding]:
    """Return what there is to be said about a function whose manifest and files are right.

    Args:
        function: as it was loaded from its folder.

    Returns:
        The findings, errors first.
    """
    findings = [*_left_behind(function), *_sample(function)]
    if function.manifest.engine == "python":
        findings += _python(function)
    return sorted(findings, key=lambda finding: (not finding.is_error, finding.where))


def _left_behind(function: RegisteredFunction) -> Iterator[Finding]:
    for name in _tops(function):
        yield Finding(
            where=name,
            problem="is part of the function: it is hashed, and goes to the enclave",
            remedy="Remove it, if that is not meant.",
            is_error=False,
        )


def _tops(function: RegisteredFunction) -> list[str]:
    """Return the files and folders that look as if nobody meant them, each folder once."""
    found: dict[str, None] = {}
    for path in function.snapshot.files:
        parts = PurePosixPath(path).parts
        for depth, part in enumerate(parts):
            if part.startswith(".") or part in _LEFT_BEHIND or part.endswith(_LEFT_ENDINGS):
                found["/".join(parts[: depth + 1])] = None
                break
    return list(found)


def _sample(function: RegisteredFunction) -> Iterator[Finding]:
    sample, limits = function.manifest.sample, function.manifest.limits
    if sample is None:
        yield Finding(
            where="function.toml",
            problem="has no [sample]",
            remedy="Name an input, and the output that belongs to it: they are tried at each check.",
            is_error=False,
        )
        return
    for name, key, most in (
        (sample.input, "input_bytes", limits.input_bytes),
        (sample.output, "output_bytes", limits.output_bytes),
    ):
        if name is not None and len(function.snapshot.files[name]) > most:
            yield Finding(
                where=name, problem=f"is longer than limits.{key}", remedy="Raise that, or shorten it.", is_error=True
            )


def _python(function: RegisteredFunction) -> Iterator[Finding]:
    module, _, attribute = function.manifest.entrypoint.partition(":")
    entry = module.replace(".", "/")
    for path, source in function.snapshot.files.items():
        if not path.endswith(".py"):
            continue
        try:
            tree = ast.parse(source, filename=path)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            yield Finding(
                where=f"{path}:{line}" if line else path,
                problem=f"is no Python: {getattr(error, 'msg', error)}",
                remedy="Mend it at that line.",
                is_error=True,
            )
            continue
        yield from _imports(function, path, tree)
        if path in (f"{entry}.py", f"{entry}/__init__.py"):
            yield from _callable(path, tree, attribute)


def _imports(function: RegisteredFunction, path: str, tree: ast.Module) -> Iterator[Finding]:
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in function.snapshot.files}
    preloaded = {name.partition(".")[0] for name in function.manifest.preload}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(level=0, module=str(module)):
                names = [module]
            case _:
                continue
        for top in {name.partition(".")[0] for name in names} - own - preloaded - sys.stdlib_module_names:
            yield _foreign(f"{path}:{node.lineno}", top)


def _foreign(where: str, library: str) -> Finding:
    if importlib.util.find_spec(library) is None:
        return Finding(
            where=where,
            problem=f"imports {library}, which is not installed here",
            remedy="Install it where the enclave runs, or put its source into the folder.",
            is_error=True,
        )
    return Finding(
        where=where,
        problem=f"imports {library} anew in each process",
        remedy=f'Name it in preload = ["{library}"]: then it is imported once.',
        is_error=False,
    )


def _callable(path: str, tree: ast.Module, name: str) -> Iterator[Finding]:
    """Look for the entrypoint among what the module defines; what it makes in other ways cannot be seen here."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=defined) if defined == name:
                if not _takes_one(node.args):
                    yield Finding(
                        where=f"{path}:{node.lineno}",
                        problem=f"{name} does not take one argument",
                        remedy="Write it as def handle(payload: bytes) -> bytes.",
                        is_error=True,
                    )
                return
            case ast.AsyncFunctionDef(name=defined) if defined == name:
                yield Finding(
                    where=f"{path}:{node.lineno}",
                    problem=f"{name} is async, and nobody awaits it",
                    remedy="Write it as def, and call anyio.run or asyncio.run in it.",
                    is_error=True,
                )
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Expr():
                continue
            case _ if name in _names(node):
                return
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in tree.body):
        return
    yield Finding(
        where=path, problem=f"defines no {name}", remedy="Define it, or change the entrypoint.", is_error=True
    )


def _names(node: ast.stmt) -> set[str]:
    """Return the names that a statement may define."""
    found: set[str] = set()
    for each in ast.walk(node):
        match each:
            case ast.Name(id=identifier, ctx=ast.Store()):
                found.add(identifier)
            case ast.alias(name=imported, asname=renamed):
                found.add(renamed or imported)
            case ast.FunctionDef(name=defined) | ast.ClassDef(name=defined):
                found.add(defined)
            case _:
                pass
    return found


def _takes_one(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    keywords = [default for default in arguments.kw_defaults if default is None]
    has_room = len(positional) >= 1 or arguments.vararg is not None
    return needed <= 1 and has_room and not keywords
