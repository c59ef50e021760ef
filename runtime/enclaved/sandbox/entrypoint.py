"""Finding a function's callable in its folder.

Only source is read: a cached compilation beside it is no part of the function's
digest, so it must not decide what runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from typing import Never, cast

__all__ = ["load"]


class _SourceLoader(SourceFileLoader):
    """Compiles a module from its source, every time."""

    def path_stats(self, path: str) -> Mapping[str, Never]:
        raise OSError("compilations are not cached")  # importlib then reads the source


def load(folder: str, entrypoint: str) -> Callable[[bytes], object]:
    """Execute the function's module and return its callable.

    Args:
        folder: the function's absolute folder, which its own imports may use.
        entrypoint: module and callable, such as ``"handler:handle"``.

    Raises:
        TypeError: the entrypoint is no callable of a module in the folder.
        BaseException: whatever the module raises.
    """
    find = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> FileFinder:
        if path != folder and not path.startswith(f"{folder}/"):
            raise ImportError(path=path)
        return cast("FileFinder", find(path))

    sys.path_hooks.insert(0, hook)
    sys.path.insert(0, folder)
    module_name, _, attribute = entrypoint.partition(":")
    module = import_module(module_name)
    if not str(getattr(module, "__file__", None)).startswith(f"{folder}/"):
        raise TypeError(f"{module_name} is the name of a library, so the function's own module needs another")
    handle = getattr(module, attribute)
    if not callable(handle):
        raise TypeError(f"{entrypoint} is not callable")
    return cast("Callable[[bytes], object]", handle)
