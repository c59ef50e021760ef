"""Loads the example functions as an engine does: from their folder, by path, and without leaving anything in it."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from enclaved.sandbox.wasm_module import Program

FUNCTIONS = Path(__file__).parents[2] / "functions"


@cache
def load_module(name: str) -> ModuleType:
    """Execute a function's module; its folder is hashed whole, so no ``__pycache__`` may appear in it."""
    folder = str(FUNCTIONS / name)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("handler")
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = written
        for module in [each for each in sys.modules.values() if str(getattr(each, "__file__", "")).startswith(folder)]:
            del sys.modules[module.__name__]  # the next function has a `handler`, too


@cache
def load_program(name: str) -> Program:
    """Compile a function's WebAssembly module."""
    manifest = read_manifest(name)
    code = (FUNCTIONS / name / manifest["module"]).read_bytes()
    return Program(code, where=name, memory_bytes=manifest["limits"]["memory_mib"] << 20)


def call_module(program: Program, payload: bytes) -> bytes:
    """Call a WebAssembly function in an instance of its own; return the status byte and what follows it."""
    with program.instantiate() as instance:
        pointer = instance.allocate(len(payload))
        with instance.view(pointer, len(payload), what="the input") as target:
            target[:] = payload
        with instance.view(*instance.handle(pointer, len(payload)), what="the output") as output:
            return bytes(output)


def read_manifest(name: str) -> dict[str, Any]:
    """Read a function's manifest."""
    return tomllib.loads((FUNCTIONS / name / "function.toml").read_text())


def call_function(name: str, payload: bytes) -> bytes:
    """Return the output of a function of either engine; it must not fail."""
    if read_manifest(name)["engine"] == "python":
        return bytes(load_module(name).handle(payload))
    answer = call_module(load_program(name), payload)
    assert answer[0] == 0, answer[1:]
    return answer[1:]


@pytest.fixture(scope="session")
def call() -> Callable[[str, bytes], bytes]:
    """Return what gives a function's output for an input."""
    return call_function


@pytest.fixture(scope="session")
def answer() -> Callable[[str, bytes], bytes]:
    """Return what gives a WebAssembly function's whole answer: 0 and the output, or 1 and the text of an error."""
    return lambda name, payload: call_module(load_program(name), payload)


@pytest.fixture(scope="session")
def load() -> Callable[[str], ModuleType]:
    """Return what loads a function's module by the function's name."""
    return load_module


@pytest.fixture(scope="session")
def functions() -> Path:
    """Return the folder of all functions."""
    return FUNCTIONS


@pytest.fixture(scope="session")
def manifest() -> Callable[[str], dict[str, Any]]:
    """Return what reads a function's manifest by the function's name."""
    return read_manifest
