"""The cache: whole or nothing, its user's alone, and never larger than it may be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import enclaved
import pytest
from enclaved.collateral.cache import Cache, Entry
from enclaved.errors import ConfigurationError

PACKAGES = str(Path(enclaved.__file__).parents[1])
URL = "https://service/x"


def entry(url: str = URL, body: bytes = b"body") -> Entry:
    """Return something that was fetched."""
    return Entry(url=url, fetched_at=1_795_000_000_000, files={"a.crl": body})


def only_file(folder: Path) -> Path:
    """Return the one file in a folder."""
    (found,) = folder.iterdir()
    return found


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    """By the same address, and by no other."""
    cache = Cache(tmp_path / "c")
    cache.put(entry())

    assert Cache(tmp_path / "c").get(URL) == entry()
    assert cache.get(URL + "y") is None


def test_folder_and_files_are_the_users_alone(tmp_path: Path) -> None:
    """What a caller asks about shows which platforms it talks to."""
    Cache(tmp_path / "c").put(entry())

    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert only_file(tmp_path / "c").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_may_write_into_is_refused(tmp_path: Path) -> None:
    """Who can fill a cache can keep old answers in use until they end."""
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod"):
        Cache(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "c").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Cache(tmp_path / "c")


def test_every_turned_byte_makes_it_no_entry(tmp_path: Path) -> None:
    """A disk that forgets, and whoever edits, costs a fetch."""
    cache = Cache(tmp_path / "c")
    cache.put(entry())
    file = only_file(tmp_path / "c")
    good = file.read_bytes()
    for place in range(len(good)):
        file.write_bytes(good[:place] + bytes((good[place] ^ 1,)) + good[place + 1 :])
        assert cache.get(URL) is None


def test_every_cut_makes_it_no_entry(tmp_path: Path) -> None:
    """A file that was half written by something else is none."""
    cache = Cache(tmp_path / "c")
    cache.put(entry())
    file = only_file(tmp_path / "c")
    good = file.read_bytes()
    for size in range(len(good)):
        file.write_bytes(good[:size])
        assert cache.get(URL) is None


def test_an_entry_under_anothers_name_is_none(tmp_path: Path) -> None:
    """A file that was moved does not answer for another address."""
    cache = Cache(tmp_path / "c")
    cache.put(entry())
    moved = only_file(tmp_path / "c").read_bytes()
    only_file(tmp_path / "c").unlink()
    cache.put(entry(URL + "y"))
    only_file(tmp_path / "c").write_bytes(moved)

    assert cache.get(URL + "y") is None


@pytest.mark.parametrize(
    "make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to("/etc/passwd")], ids=["folder", "pipe", "link"]
)
def test_what_is_no_file_is_no_entry(tmp_path: Path, make: object) -> None:
    """Nothing is waited for and nothing followed, and what can be replaced is."""
    cache = Cache(tmp_path / "c")
    cache.put(entry())
    file = only_file(tmp_path / "c")
    file.unlink()
    make(file)

    assert cache.get(URL) is None
    cache.put(entry())  # a folder in its place cannot be replaced; that costs the cache, not the answer


def test_a_process_that_dies_while_it_writes_leaves_what_was_there(tmp_path: Path) -> None:
    """The new entry is beside the old one until it is whole; what is left behind goes when room is needed."""
    cache = Cache(tmp_path / "c")
    cache.put(entry(body=b"old"))
    dying = (
        "import os, sys; from pathlib import Path; import enclaved.collateral.cache as cache;"
        "cache.os.fsync = lambda _: os._exit(9);"
        f"cache.Cache(Path({str(tmp_path / 'c')!r})).put(cache.Entry(url={URL!r}, fetched_at=1, files={{'a': b'new'}}))"
    )
    environment = {"PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"}
    assert subprocess.run([sys.executable, "-c", dying], env=environment, check=False).returncode == 9

    assert cache.get(URL) == entry(body=b"old")
    assert len(list((tmp_path / "c").glob("*.partial"))) == 1
    small = Cache(tmp_path / "c", most_bytes=500)
    small.put(entry(URL + "y", body=b"b" * 200))
    assert not list((tmp_path / "c").glob("*.partial"))
    assert small.get(URL) == entry(body=b"old")


def test_the_oldest_goes_where_room_is_needed(tmp_path: Path) -> None:
    """The folder never holds more than it may."""
    cache = Cache(tmp_path / "c", most_bytes=1000)
    for number in range(5):
        cache.put(entry(f"{URL}{number}", body=b"b" * 200))
        newest = max((tmp_path / "c").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, ns=(number, number))  # file systems' clocks are coarse

    assert sum(path.stat().st_size for path in (tmp_path / "c").iterdir()) <= 1000
    assert cache.get(f"{URL}0") is None
    assert cache.get(f"{URL}4") is not None


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    """Nor does it push everything else out."""
    cache = Cache(tmp_path / "c", most_bytes=1000)
    cache.put(entry())
    cache.put(entry(URL + "y", body=b"b" * 1000))

    assert cache.get(URL) == entry()
    assert cache.get(URL + "y") is None


def test_a_folder_that_is_gone_costs_the_cache_and_not_the_answer(tmp_path: Path) -> None:
    """A full or broken disk is no reason to refuse what a service said."""
    cache = Cache(tmp_path / "c")
    (tmp_path / "c").rmdir()
    cache.put(entry())

    assert cache.get(URL) is None


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Each reads whole entries, its own or the other's, while both write the same one and make room."""
    program = (
        "import sys; from pathlib import Path; from enclaved.collateral.cache import Cache, Entry;"
        f"cache = Cache(Path({str(tmp_path / 'c')!r}), most_bytes=300000);"
        "mine = bytes([int(sys.argv[1])]) * 100000\n"
        "for n in range(60):\n"
        "    url = f'https://service/{n % 4}'\n"
        "    cache.put(Entry(url=url, fetched_at=n, files={'a': mine}))\n"
        "    found = cache.get(url)\n"
        "    assert found is None or (found.url == url and len(set(found.files['a'])) == 1), found\n"
        "print('done')"
    )
    environment = {"PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", program, number], env=environment, stdout=subprocess.PIPE, text=True)
        for number in "12"
    ]
    assert [process.communicate(timeout=50)[0] for process in processes] == ["done\n", "done\n"]
    assert not list((tmp_path / "c").glob("*.partial"))
    assert sum(path.stat().st_size for path in (tmp_path / "c").iterdir()) <= 400_000
