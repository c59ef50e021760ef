"""The functions that an enclave will run: loaded from a folder, measured, and kept as they were measured.

Each subfolder with a ``function.toml`` is a function. Its files are read once,
hashed, and written to a private folder of the enclave's own; engines run that
copy. So what a receipt names is what ran, whatever happens to the source since.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enclaved.enclave.folder_digest import FolderSnapshot, read_folder
from enclaved.enclave.manifest import MANIFEST_NAME, Manifest, parse_manifest
from enclaved.errors import ConfigurationError
from enclaved.wire.bundle import FunctionEntry, callers_digest
from enclaved.wire.limits import MAX_FUNCTIONS

__all__ = ["RegisteredFunction", "Registry", "load_function", "load_registry"]

_MAX_MODULE = 16 << 20  # it is compiled at the start, and that takes about 0.2 s for each MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredFunction:
    """One function as it was measured.

    Attributes:
        manifest: its manifest.
        snapshot: its files and their digest.
    """

    manifest: Manifest
    snapshot: FolderSnapshot

    @property
    def digest(self) -> str:
        """The ``h1:`` digest of its folder."""
        return self.snapshot.digest

    def entry(self, *, isolation: str) -> FunctionEntry:
        """Return how a key bundle names it.

        Args:
            isolation: the level that its sandbox reaches here.
        """
        return FunctionEntry(
            name=self.manifest.name,
            version=self.manifest.version,
            digest=self.digest,
            engine=self.manifest.engine,
            isolation=isolation,
            callers_digest=callers_digest(self.manifest.callers),
            limits=self.manifest.limits,
        )

    def may_be_called_by(self, caller: bytes | None) -> bool:
        """Tell whether a proven caller key, or an anonymous caller, is on the function's list."""
        keys = self.manifest.caller_keys
        return keys is None or (caller is not None and caller in keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """All functions of one epoch.

    Attributes:
        functions: by name.
        listed_callers: every key that some function's list names.
    """

    functions: dict[str, RegisteredFunction]
    listed_callers: frozenset[bytes]

    @property
    def digests(self) -> dict[str, str]:
        """The functions' digests, by name."""
        return {name: function.digest for name, function in self.functions.items()}

    @classmethod
    def of(cls, functions: list[RegisteredFunction]) -> Registry:
        """Return the registry of these functions."""
        listed = [function.manifest.caller_keys or frozenset() for function in functions]
        return cls(
            functions={function.manifest.name: function for function in functions},
            listed_callers=frozenset().union(*listed),
        )


def load_registry(folder: Path) -> Registry:
    """Load every function of a folder.

    Args:
        folder: each subfolder with a ``function.toml`` is a function; other entries are left alone.

    Returns:
        The registry, in the order of names.

    Raises:
        ConfigurationError: there is no function, there are too many, or one of them is wrong.
    """
    try:
        candidates = sorted(path for path in folder.iterdir() if (path / MANIFEST_NAME).is_file())
    except OSError as error:
        raise ConfigurationError(
            str(folder), f"cannot be read ({error.strerror})", remedy="Name a folder of functions."
        ) from error
    if not 1 <= len(candidates) <= MAX_FUNCTIONS:
        raise ConfigurationError(
            str(folder),
            f"{len(candidates)} functions, 1 to {MAX_FUNCTIONS} are possible",
            remedy=f"A function is a folder with a {MANIFEST_NAME}; `enclaved function new NAME` makes one.",
        )
    return Registry.of([load_function(path) for path in candidates])


def load_function(folder: Path) -> RegisteredFunction:
    """Load one function from its folder.

    Args:
        folder: holds the manifest and the code.

    Returns:
        The function.

    Raises:
        ConfigurationError: the folder cannot be digested, or its manifest or entrypoint is wrong.
    """
    snapshot = read_folder(folder)
    data = snapshot.files.get(MANIFEST_NAME)
    if data is None:
        raise ConfigurationError(
            str(folder), f"no {MANIFEST_NAME}", remedy="`enclaved function new NAME` makes a function."
        )
    manifest = parse_manifest(data, where=str(folder / MANIFEST_NAME))
    if manifest.name != folder.resolve().name:
        raise ConfigurationError(
            f"{folder / MANIFEST_NAME}: name", "not its folder's name", remedy="Make them the same."
        )
    _check_files(manifest, snapshot, folder)
    return RegisteredFunction(manifest=manifest, snapshot=snapshot)


def _check_files(manifest: Manifest, snapshot: FolderSnapshot, folder: Path) -> None:
    match manifest.engine:
        case "wasm":
            _check_module(manifest, snapshot, folder)
        case _:
            _check_entrypoint(manifest, snapshot, folder)
    sample = manifest.sample
    for name in (sample.input, sample.output) if sample else ():
        if name is not None and name not in snapshot.files:
            raise ConfigurationError(
                f"{folder / MANIFEST_NAME}: sample", f"there is no {name[:80]}", remedy="Name a file of the folder."
            )


def _check_entrypoint(manifest: Manifest, snapshot: FolderSnapshot, folder: Path) -> None:
    module = manifest.entrypoint.partition(":")[0].replace(".", "/")
    if f"{module}.py" not in snapshot.files and f"{module}/__init__.py" not in snapshot.files:
        raise ConfigurationError(
            f"{folder / MANIFEST_NAME}: entrypoint", f"there is no {module}.py", remedy="Name a module of the folder."
        )


def _check_module(manifest: Manifest, snapshot: FolderSnapshot, folder: Path) -> None:
    """Check that the module is there; what is in it is for its sandbox to read, not for this process."""
    module = snapshot.files.get(manifest.entrypoint)
    where = f"{folder / MANIFEST_NAME}: module"
    if module is None:
        raise ConfigurationError(
            where, f"there is no {manifest.entrypoint[:80]}", remedy="Name a .wasm file of the folder, and build it."
        )
    if len(module) > _MAX_MODULE:
        raise ConfigurationError(
            where, f"more than {_MAX_MODULE >> 20} MiB", remedy="Build it without debug information (-Wl,--strip-all)."
        )
