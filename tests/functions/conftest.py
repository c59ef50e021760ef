"""Loads the example functions as an engine does: from their folder, by path, and without leaving bytecode in it."""

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
    return lambda name: tomllib.loads((FUNCTIONS / name / "function.toml").read_text())
