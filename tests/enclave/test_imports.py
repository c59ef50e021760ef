"""What the process that holds the keys imports is a committed list, with a reason for each name."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from enclave_process import EnclaveProcess, Gateway, caller_of, write_function

_LIST = Path(__file__).with_name("imports.toml")
_IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)
_TRACE = ("-X", "importtime")

_NEVER = {
    *("enclaved.bench", "enclaved.caller", "enclaved.cli", "enclaved.collateral", "enclaved.gateway", "enclaved.mqtt"),
    *("enclaved.verifier", "aiomqtt", "paho", "mqtt5", "http", "urllib.request", "urllib.error", "urllib.response"),
    *(
        "typer",
        "click",
        "rich",
        "jwt",
        "dcap_qvl",
        "wasmtime",
        "prometheus_client",
        "numpy",
        "uvloop",
        "yaml",
        "requests",
    ),
    *("ftplib", "smtplib", "imaplib", "socketserver", "xmlrpc", "xml", "html", "webbrowser", "email.message"),
    *("email.parser", "pickle", "shelve", "sqlite3", "dbm", "multiprocessing", "tempfile", "shutil"),
    *("zipfile", "tarfile", "zlib", "gzip", "bz2", "lzma", "pdb", "code", "pip", "setuptools", "pkg_resources"),
}
"""What must never be there, whatever the list says."""


def _names(trace: str) -> set[str]:
    """Return the modules that a trace names, without those that were looked for in vain."""
    names = set(_IMPORTED.findall(trace))
    tops = {name for name in {name.partition(".")[0] for name in names} if _is_there(name)}
    return {name for name in names if name.partition(".")[0] in tops}


def _is_there(top: str) -> bool:
    return top in sys.builtin_module_names or importlib.util.find_spec(top) is not None


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module that the real process imports, from its start until it has served and ended.

    What this installation's interpreter loads at its own start, before any code of ours,
    is measured and taken off: it is the measured image's, and differs between machines.
    """
    start = subprocess.run([sys.executable, *_TRACE, "-c", ""], capture_output=True, text=True, check=True)
    folder = tmp_path_factory.mktemp("i")
    write_function(folder / "functions", "echo", "def handle(payload):\n    return payload\n")
    with EnclaveProcess(folder, python=_TRACE) as enclave:
        gateway, announce = Gateway.greeted(enclave.link)
        with gateway:
            assert gateway.result(caller_of(announce).call()).status == "ok"
            assert gateway.challenge(bytes(32)) is not None
        assert enclave.stop() == 0
        return _names(enclave.log.read_text()) - _names(start.stderr)


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    """The committed list."""
    return tomllib.loads(_LIST.read_text())


def test_our_own_modules_are_the_listed_ones(imported: set[str], listed: dict[str, Any]) -> None:
    """In full: a module more is code more in the trusted computing base."""
    wanted = {module for group in listed["ours"].values() for module in group["modules"]}
    found = {name for name in imported if name.partition(".")[0] == "enclaved"}

    assert sorted(found - wanted) == [], "imported, and not in imports.toml"
    assert sorted(wanted - found) == [], "in imports.toml, and imported no more"


def test_all_others_are_the_listed_ones(imported: set[str], listed: dict[str, Any]) -> None:
    """By their top-level names; of the standard library's private modules it is the public ones that are listed."""
    standard = {module for group in listed["standard"].values() for module in group["modules"]}
    wanted = standard | set(listed["libraries"])
    tops = {name.partition(".")[0] for name in imported}
    found = {name for name in tops if not (name.startswith("_") and name in sys.stdlib_module_names)}

    assert sorted(found - wanted - set(listed["sometimes"])) == [], "imported, and not in imports.toml"
    assert sorted(wanted - found) == [], "in imports.toml, and imported no more"


def test_nothing_of_the_other_roles_is_there(imported: set[str]) -> None:
    """No transport, no HTTP, no verifier, no command line, no archives, no pickles; not even by a listed name."""
    assert sorted(name for name in imported if any(name == bad or name.startswith(f"{bad}.") for bad in _NEVER)) == []


def test_every_name_has_its_reason(listed: dict[str, Any]) -> None:
    """And is listed once."""
    groups = [*listed["standard"].values(), *listed["ours"].values()]
    names = [name for group in groups for name in group["modules"]]
    names += [*listed["sometimes"], *(name for name in listed["libraries"] if name != "enclaved")]

    assert all(group["reason"] for group in groups)
    assert all({**listed["libraries"], **listed["sometimes"]}.values())
    assert len(names) == len(set(names))
