"""What an enclave will run is read once, measured, and checked before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from enclave_world import caller_key, function, manifest_text
from enclaved.enclave.folder_digest import read_folder
from enclaved.enclave.registry import Registry, load_function, load_registry
from enclaved.errors import ConfigurationError
from enclaved.wire.bundle import callers_digest


def write(folder: Path, name: str, *, manifest: str | None = None) -> Path:
    """Write a function's folder."""
    home = folder / name
    home.mkdir(parents=True)
    (home / "function.toml").write_text(manifest_text(name) if manifest is None else manifest)
    (home / "handler.py").write_text("def handle(payload): return payload\n")
    return home


def test_every_folder_with_a_manifest_is_a_function(tmp_path: Path) -> None:
    """In the order of their names; other entries are left alone."""
    write(tmp_path, "b")
    write(tmp_path, "a")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").touch()

    assert list(load_registry(tmp_path).functions) == ["a", "b"]


def test_a_function_is_measured_as_it_was_read(tmp_path: Path) -> None:
    """Its digest is its folder's, and its files are held."""
    home = write(tmp_path, "a")
    loaded = load_function(home)
    digest = read_folder(home).digest
    (home / "handler.py").write_text("changed")

    assert loaded.digest == digest
    assert loaded.snapshot.files["handler.py"] == b"def handle(payload): return payload\n"


def test_the_bundle_names_it_by_what_it_is(tmp_path: Path) -> None:
    """Name, digest, who may call, limits, and the isolation that is reached here."""
    _, listed = caller_key()
    home = write(tmp_path, "a", manifest=manifest_text("a", callers=f'["{listed}"]'))
    loaded = load_function(home)
    entry = loaded.entry(isolation="restricted")

    assert (entry.name, entry.digest, entry.isolation) == ("a", loaded.digest, "restricted")
    assert entry.callers_digest == callers_digest((listed,)) != callers_digest(None)


def test_no_function_at_all_is_an_error(tmp_path: Path) -> None:
    """An enclave that serves nothing was started with the wrong folder."""
    with pytest.raises(ConfigurationError):
        load_registry(tmp_path)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """It names the folder."""
    with pytest.raises(ConfigurationError) as refused:
        load_registry(tmp_path / "nothing")

    assert "nothing" in refused.value.where


def test_too_many_functions_are_an_error(tmp_path: Path) -> None:
    """A bundle holds 256."""
    for number in range(257):
        (tmp_path / f"f{number}").mkdir()
        (tmp_path / f"f{number}" / "function.toml").touch()

    with pytest.raises(ConfigurationError):
        load_registry(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "where"),
    [
        (manifest_text("other"), "name"),
        (manifest_text("a").replace("handler:", "missing:"), "entrypoint"),
        (manifest_text("a", more='[sample]\ninput = "missing.txt"\n'), "sample"),
        (manifest_text("a", more='[sample]\ninput = "../b/handler.py"\n'), "sample"),
        ("", "function.toml"),
    ],
    ids=["name", "entrypoint", "sample", "outside", "empty"],
)
def test_one_wrong_function_stops_the_start(tmp_path: Path, manifest: str, where: str) -> None:
    """Whoever operates it is told which; nothing is served in part."""
    write(tmp_path, "b")
    write(tmp_path, "a", manifest=manifest)

    with pytest.raises(ConfigurationError) as refused:
        load_registry(tmp_path)
    assert where in refused.value.where


def test_a_function_without_a_manifest_is_none(tmp_path: Path) -> None:
    """Asked for by name, it is an error."""
    home = write(tmp_path, "a")
    (home / "function.toml").unlink()

    with pytest.raises(ConfigurationError):
        load_function(home)


def wasm_manifest(name: str, *, module: str = "a.wasm") -> str:
    """Return the manifest of a WebAssembly function."""
    return (
        manifest_text(name).replace("python", "wasm").replace('entrypoint = "handler:handle"', f'module = "{module}"')
    )


def test_a_wasm_functions_module_lies_in_its_folder(tmp_path: Path) -> None:
    """It is measured like every file, and read by nobody here."""
    home = write(tmp_path, "a", manifest=wasm_manifest("a"))
    (home / "a.wasm").write_bytes(b"whatever it is")

    assert load_function(home).manifest.entrypoint == "a.wasm"


@pytest.mark.parametrize("module", ["b.wasm", "../a.wasm", "./a.wasm", "/a.wasm"])
def test_a_module_outside_the_folder_is_none(tmp_path: Path, module: str) -> None:
    """Only a file of the folder is in its digest."""
    home = write(tmp_path, "a", manifest=wasm_manifest("a", module=module))
    (home / "a.wasm").touch()

    with pytest.raises(ConfigurationError) as refused:
        load_function(home)
    assert refused.value.where.endswith("module")


def test_a_huge_module_is_refused(tmp_path: Path) -> None:
    """It would be compiled at each start."""
    home = write(tmp_path, "a", manifest=wasm_manifest("a"))
    (home / "a.wasm").write_bytes(bytes((16 << 20) + 1))

    with pytest.raises(ConfigurationError, match="16 MiB"):
        load_function(home)


def test_a_packages_entrypoint_is_found(tmp_path: Path) -> None:
    """`a.b:handle` is the module `a/b.py` or the package `a/b/`."""
    home = write(tmp_path, "a", manifest=manifest_text("a").replace("handler:", "package.inner:"))
    (home / "package" / "inner").mkdir(parents=True)
    (home / "package" / "inner" / "__init__.py").touch()

    assert load_function(home).manifest.entrypoint == "package.inner:handle"


def test_anybody_may_call_what_is_open() -> None:
    """Written out as "any"."""
    assert function("echo").may_be_called_by(None)
    assert function("echo").may_be_called_by(bytes(32))


def test_a_list_of_callers_admits_nobody_else() -> None:
    """No anonymous caller, and no other key."""
    key, listed = caller_key()
    guarded = function("echo", callers=f'["{listed}"]')

    assert guarded.may_be_called_by(key.public_key().public_bytes_raw())
    assert not guarded.may_be_called_by(None)
    assert not guarded.may_be_called_by(bytes(32))


def test_every_list_counts_for_who_is_listed() -> None:
    """A caller of one function has a place in the table, whichever it is."""
    first, second = caller_key(), caller_key()
    registry = Registry.of(
        [function("a", callers=f'["{first[1]}"]'), function("b"), function("c", callers=f'["{second[1]}"]')]
    )

    assert registry.listed_callers == {key.public_key().public_bytes_raw() for key, _ in (first, second)}
