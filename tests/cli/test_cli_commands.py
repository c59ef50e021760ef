"""The commands that need no runtime, as processes: what they print, write and exit with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import enclaved
import pytest
from enclaved.caller.keys import read_caller_key, read_recipient_key
from enclaved.cli.settings import load_settings
from enclaved.cli.state import locked_state
from enclaved.errors import ConfigurationError
from enclaved.wire.key_text import parse_caller_key, parse_recipient_key

FUNCTIONS = Path(__file__).parents[2] / "functions"
PACKAGES = str(Path(enclaved.__file__).parents[1])


def enclaved_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    command = [sys.executable, "-B", "-m", "enclaved", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50, check=False)


def test_a_new_function_passes_its_check_and_is_listed(tmp_path: Path) -> None:
    """What `function new` writes is complete: check, digest and list take it as it is."""
    assert enclaved_command("function", "new", "my-function", "--functions", "f", cwd=tmp_path).returncode == 0

    checked = enclaved_command("function", "check", "f/my-function", "--json", cwd=tmp_path)
    digest = enclaved_command("function", "digest", "f/my-function", cwd=tmp_path)
    listed = enclaved_command("function", "list", "--functions", "f", "--json", cwd=tmp_path)

    row = json.loads(checked.stdout)
    assert row["name"] == "my-function"
    assert digest.stdout.strip() == row["digest"]
    assert row.pop("findings") == []
    assert json.loads(listed.stdout)["functions"] == [row]


def test_a_new_function_does_not_overwrite(tmp_path: Path) -> None:
    """A folder that is there stays as it is; the error says what to do."""
    (tmp_path / "f" / "x").mkdir(parents=True)
    done = enclaved_command("function", "new", "x", "--functions", "f", cwd=tmp_path)

    assert done.returncode == 2
    assert "another name" in done.stderr


def test_a_digest_is_what_find_sort_and_sha256sum_give(tmp_path: Path) -> None:
    """Anybody can recompute a digest with the shell."""
    pipeline = r"find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum | cut -c1-64"
    hexadecimal = subprocess.run(
        ["bash", "-c", pipeline], cwd=FUNCTIONS / "redact", capture_output=True, text=True, check=True
    ).stdout.strip()
    done = enclaved_command("function", "digest", str(FUNCTIONS / "redact"), cwd=tmp_path)

    import base64

    assert done.stdout.strip() == "h1:" + base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def test_a_wrong_manifest_is_refused_with_its_key_and_a_remedy(tmp_path: Path) -> None:
    """The error names file and key; exit code 2."""
    enclaved_command("function", "new", "f", "--functions", ".", cwd=tmp_path)
    manifest = tmp_path / "f" / "function.toml"
    manifest.write_text(manifest.read_text().replace('callers = "any"', "callers = []"))
    done = enclaved_command("function", "check", "f", cwd=tmp_path)

    assert done.returncode == 2
    assert "callers" in done.stderr
    assert "enclaved keygen" in done.stderr


def test_keygen_makes_a_callers_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    """The private half lies in a file of mode 0600, the public half is printed as manifests want it."""
    done = enclaved_command("keygen", "me.key", "--json", cwd=tmp_path)

    document = json.loads(done.stdout)
    assert (tmp_path / "me.key").stat().st_mode & 0o777 == 0o600
    public = read_caller_key(tmp_path / "me.key").public_key().public_bytes_raw()
    assert parse_caller_key(document["public_key"]) == public


@pytest.mark.parametrize("suite", ["mlkem768-x25519", "x25519"])
def test_keygen_makes_a_recipients_key(suite: str, tmp_path: Path) -> None:
    """Of either suite; the printed text is that key's public half."""
    done = enclaved_command("keygen", "r.key", "--recipient", "--suite", suite, "--json", cwd=tmp_path)

    printed = parse_recipient_key(json.loads(done.stdout)["public_key"])
    assert printed.public_key == read_recipient_key(tmp_path / "r.key").public_key
    assert printed.suite == suite


def test_keygen_does_not_overwrite_a_key(tmp_path: Path) -> None:
    """A lost key cannot be made again."""
    (tmp_path / "me.key").write_text("precious")

    assert enclaved_command("keygen", "me.key", cwd=tmp_path).returncode == 2
    assert (tmp_path / "me.key").read_text() == "precious"


def test_a_receipt_that_is_none_is_unreadable(tmp_path: Path) -> None:
    """Exit code 5, and with --json one document all the same."""
    (tmp_path / "r.cbor").write_bytes(b"no receipt")
    done = enclaved_command("receipt", "verify", "r.cbor", "--json", cwd=tmp_path)

    assert done.returncode == 5
    assert json.loads(done.stdout)["verdict"]["error"]["code"] == "unreadable"


def test_a_policy_is_checked_and_its_waivers_are_named(tmp_path: Path) -> None:
    """A waiver that leaves code unmeasured is said, not refused."""
    (tmp_path / "p.toml").write_text(
        'version = 1\nnamespace = "demo"\nsuites = ["x25519"]\n[freshness]\nmax_age = "any"\n'
        '[functions.echo]\ndigest = "any"\nisolation = ["restricted"]\n'
    )
    done = enclaved_command("policy", "check", "p.toml", "--json", cwd=tmp_path)

    warnings = json.loads(done.stdout)["warnings"]
    assert done.returncode == 0
    assert any("unmeasured" in warning for warning in warnings)


def test_an_unknown_policy_key_is_usage(tmp_path: Path) -> None:
    """A forgotten letter must not open a door."""
    (tmp_path / "p.toml").write_text('version = 1\nnamespace = "demo"\nsuites = ["x25519"]\nfreshnes = 1\n')
    done = enclaved_command("policy", "check", "p.toml", cwd=tmp_path)

    assert done.returncode == 2
    assert "freshnes" in done.stderr


def test_evidence_of_an_empty_folder_is_unreadable(tmp_path: Path) -> None:
    """Exit code 5, in a document of the shape that every verdict has."""
    done = enclaved_command("evidence", "verify", "--format", "simulated", ".", "--json", cwd=tmp_path)

    document = json.loads(done.stdout)
    assert done.returncode == 5
    assert set(document) == {"authentic", "accepted", "format", "at", "mode", "claims", "checks", "error"}
    assert document["error"]["code"] == "unreadable"


def test_options_go_before_the_configuration_file_and_that_before_defaults(tmp_path: Path) -> None:
    """Three places, one order."""
    file = tmp_path / "enclaved.toml"
    file.write_text('namespace = "ward"\nbroker = "mqtt://127.0.0.1:1999"\n')

    settings = load_settings(file, broker="mqtt://127.0.0.1:2000")

    assert (settings.broker, settings.namespace, settings.transport) == ("mqtt://127.0.0.1:2000", "ward", "auto")


@pytest.mark.parametrize("text", ['brokr = "x"', "namespace = 3", "namespace = 'A B'", "[", "\xff"])
def test_a_wrong_configuration_is_refused(text: str, tmp_path: Path) -> None:
    """An unknown key, a wrong type, a name that cannot be, and what is no TOML."""
    file = tmp_path / "enclaved.toml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigurationError):
        load_settings(file)


def test_a_state_folder_serves_one_runtime_at_a_time(tmp_path: Path) -> None:
    """Two runtimes of one name would take each other's sessions at the broker."""
    with locked_state(tmp_path / "state"), pytest.raises(ConfigurationError), locked_state(tmp_path / "state"):
        pass


def test_a_runtimes_name_survives_restarts(tmp_path: Path) -> None:
    """It is made up once: the broker keeps what waits for it under that name."""
    with locked_state(tmp_path / "state") as state:
        first = state.runtime_id(random=lambda size: b"\1" * size)
    with locked_state(tmp_path / "state") as state:
        second = state.runtime_id(random=lambda size: b"\2" * size)

    assert first == second
