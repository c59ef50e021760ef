"""Key files: written for their owner alone, and refused when others can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from enclaved.caller.keys import (
    caller_public_text,
    create_caller_key,
    create_recipient_key,
    read_caller_key,
    read_recipient_key,
    recipient_public_text,
)
from enclaved.errors import ConfigurationError
from enclaved.wire.hpke import SUITES
from enclaved.wire.key_text import parse_caller_key, parse_recipient_key


def test_caller_key_is_read_back(tmp_path: Path) -> None:
    """What was written is what proves who calls."""
    created = create_caller_key(tmp_path / "key", random=os.urandom)

    read = read_caller_key(tmp_path / "key")

    assert read.private_bytes_raw() == created.private_bytes_raw()
    assert parse_caller_key(caller_public_text(read)) == created.public_key().public_bytes_raw()


@pytest.mark.parametrize("suite", SUITES)
def test_recipient_key_is_read_back(tmp_path: Path, suite: str) -> None:
    """The seed determines the key, and the text is what manifests name."""
    created = create_recipient_key(tmp_path / "key", suite=suite, random=os.urandom)

    read = read_recipient_key(tmp_path / "key")

    assert read.public_key == created.public_key
    assert parse_recipient_key(recipient_public_text(read)).public_key == created.public_key


def test_key_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask says."""
    create_caller_key(tmp_path / "caller", random=os.urandom)
    create_recipient_key(tmp_path / "recipient", suite="x25519", random=os.urandom)

    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("caller", "recipient")}
    assert modes == {0o600}


def test_no_key_is_overwritten(tmp_path: Path) -> None:
    """A key that is lost cannot be made again."""
    create_caller_key(tmp_path / "key", random=os.urandom)

    with pytest.raises(ConfigurationError):
        create_caller_key(tmp_path / "key", random=os.urandom)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_key_that_others_have_rights_to_is_refused_with_a_remedy(tmp_path: Path, mode: int) -> None:
    """Whoever reads a key is the caller from then on."""
    create_caller_key(tmp_path / "key", random=os.urandom)
    create_recipient_key(tmp_path / "recipient", suite="x25519", random=os.urandom)
    for name, read in (("key", read_caller_key), ("recipient", read_recipient_key)):
        (tmp_path / name).chmod(mode)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"x25519:AAAA", b"x25519-seed:AAAA", b"x25519-seed:%%", bytes(20000)]
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """The error names the file and what to do, and repeats nothing of it."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    for read in (read_caller_key, read_recipient_key):
        with pytest.raises(ConfigurationError) as refused:
            read(path)
        assert refused.value.where == str(path)


def test_private_key_of_another_kind_is_no_caller_key(tmp_path: Path) -> None:
    """Callers sign; a key that cannot is no caller's."""
    path = tmp_path / "key"
    path.write_bytes(X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="Ed25519"):
        read_caller_key(path)


@pytest.mark.parametrize("read", [read_caller_key, read_recipient_key])
def test_missing_key_and_folder_are_refused(tmp_path: Path, read: object) -> None:
    """A path that holds no file is a mistake with a remedy."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError):
            read(path)
