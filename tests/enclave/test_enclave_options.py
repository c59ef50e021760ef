"""The process's options are checked before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from enclaved.enclave.options import parse_options
from enclaved.enclave.runtime_digest import runtime_digest
from enclaved.errors import ConfigurationError

GOOD = ["--runtime-id", "r1", "--functions", "functions", "--link", "unix:/x"]


def test_the_defaults_are_safe() -> None:
    """A real device, an hour and ten minutes."""
    options = parse_options(GOOD)

    assert (options.namespace, options.device, options.state) == ("demo", "auto", Path(".enclaved"))
    assert (options.lifetime.seconds, options.lifetime.overlap_seconds) == (3600, 600)
    assert options.parent is None


@pytest.mark.parametrize("missing", ["--runtime-id", "--functions", "--link"])
def test_what_has_no_default_is_needed(missing: str) -> None:
    """It exits as a command does that was called wrongly."""
    at = GOOD.index(missing)
    with pytest.raises(SystemExit) as ended:
        parse_options(GOOD[:at] + GOOD[at + 2 :])

    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("more", "where"),
    [
        (["--namespace", "a/b"], "--namespace"),
        (["--namespace", "+"], "--namespace"),
        (["--runtime-id", ""], "--runtime-id"),
        (["--runtime-id", "R1"], "--runtime-id"),
        (["--lifetime", "0", "--overlap", "0"], "--lifetime"),
        (["--lifetime", "10", "--overlap", "6"], "--lifetime"),
        (["--lifetime", "10", "--overlap", "-1"], "--lifetime"),
        (["--lifetime", "nan"], "--lifetime"),
        (["--overlap", "nan"], "--lifetime"),
        (["--lifetime", "inf"], "--lifetime"),
        (["--lifetime", "604801"], "--lifetime"),
    ],
)
def test_a_value_that_cannot_be_is_an_error(more: list[str], where: str) -> None:
    """It names the option."""
    with pytest.raises(ConfigurationError) as refused:
        parse_options([*GOOD, *more])

    assert refused.value.where == where


def test_epochs_never_pile_up() -> None:
    """With an overlap of at most half a lifetime, two answer at once and no more."""
    assert parse_options([*GOOD, "--lifetime", "6", "--overlap", "3"]).lifetime.overlap_seconds == 3


def _package(folder: Path) -> Path:
    for part in ("attester", "enclave", "sandbox", "wire", "gateway"):
        (folder / part).mkdir(parents=True)
        (folder / part / "x.py").write_text(part)
    for name in ("__init__.py", "clock.py", "errors.py"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("part", ["clock.py", "errors.py", "__init__.py", "attester/x.py", "sandbox/x.py", "wire/x.py"])
def test_the_runtimes_digest_covers_every_part_of_the_tcb(tmp_path: Path, part: str) -> None:
    """A byte changed in any file is another runtime."""
    package = _package(tmp_path / "p")
    before = runtime_digest(package)
    with (package / part).open("a") as file:
        file.write("#")

    assert runtime_digest(package) != before


def test_the_runtimes_digest_covers_files_that_are_added(tmp_path: Path) -> None:
    """However deep."""
    package = _package(tmp_path / "p")
    before = runtime_digest(package)
    (package / "wire" / "deep").mkdir()
    (package / "wire" / "deep" / "new.py").touch()

    assert runtime_digest(package) != before


def test_the_runtimes_digest_leaves_the_hosts_half_alone(tmp_path: Path) -> None:
    """The gateway is not trusted, so it is not named."""
    package = _package(tmp_path / "p")
    before = runtime_digest(package)
    (package / "gateway" / "x.py").write_text("changed")

    assert runtime_digest(package) == before


def test_the_runtimes_digest_does_not_depend_on_where_it_lies(tmp_path: Path) -> None:
    """Nor on anything but the files."""
    assert runtime_digest(_package(tmp_path / "a")) == runtime_digest(_package(tmp_path / "b"))
    assert runtime_digest().startswith("h1:")
