"""The simulated device and its root."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from enclaved.attester.device import DeviceOptions
from enclaved.attester.simulated import open_simulated
from enclaved.attester.simulated_root import open_root
from enclaved.errors import DeviceError
from simulation import DIGEST, NOON, OTHER_DIGEST, FixedClock, make_device


def _options(state: Path, digest: str = DIGEST) -> DeviceOptions:
    return DeviceOptions(state=state, clock=FixedClock(), runtime_digest=digest)


def test_root_survives_restarts(tmp_path: Path) -> None:
    """A policy names it once."""
    first = open_simulated(_options(tmp_path / "state"))
    second = open_simulated(_options(tmp_path / "state"))

    assert first.root == second.root


def test_device_key_does_not_survive_restarts(tmp_path: Path) -> None:
    """Nothing but the root is written down."""
    first = open_simulated(_options(tmp_path)).attest(bytes(64))
    second = open_simulated(_options(tmp_path)).attest(bytes(64))

    assert first.endorsements["root.der"] == second.endorsements["root.der"]
    assert first.endorsements["device.der"] != second.endorsements["device.der"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["root.pem"]


def test_two_state_folders_have_two_roots(tmp_path: Path) -> None:
    """One developer's simulation is not another's."""
    assert open_simulated(_options(tmp_path / "a")).root != open_simulated(_options(tmp_path / "b")).root


def test_roots_key_is_private(tmp_path: Path) -> None:
    """Whoever reads it can make evidence."""
    open_simulated(_options(tmp_path))

    assert stat.S_IMODE((tmp_path / "simulated").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "simulated" / "root.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """It may already have been copied."""
    open_simulated(_options(tmp_path))
    (tmp_path / "simulated" / "root.pem").chmod(mode)

    with pytest.raises(DeviceError):
        open_simulated(_options(tmp_path))


def test_link_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    """Somebody else's file is not our key."""
    open_simulated(_options(tmp_path / "a"))
    (tmp_path / "b" / "simulated").mkdir(parents=True)
    os.symlink(tmp_path / "a" / "simulated" / "root.pem", tmp_path / "b" / "simulated" / "root.pem")

    with pytest.raises(DeviceError):
        open_simulated(_options(tmp_path / "b"))


def _write_root(state: Path, contents: bytes) -> None:
    (state / "simulated").mkdir()
    path = state / "simulated" / "root.pem"
    path.touch(mode=0o600)
    path.write_bytes(contents)


def test_file_that_is_no_root_is_refused(tmp_path: Path) -> None:
    """It is not overwritten: a policy may name what was there."""
    _write_root(tmp_path, b"something else")

    with pytest.raises(DeviceError):
        open_simulated(_options(tmp_path))

    assert (tmp_path / "simulated" / "root.pem").read_bytes() == b"something else"


def test_root_on_another_curve_is_refused(tmp_path: Path) -> None:
    """Verifiers want P-384, and would refuse later."""
    certificate = make_device().root.public_bytes(Encoding.PEM)
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_root(tmp_path, key + certificate)

    with pytest.raises(DeviceError):
        open_simulated(_options(tmp_path))


def test_expired_root_is_refused(tmp_path: Path) -> None:
    """The error says what to do."""
    open_root(tmp_path, host_time=NOON)

    with pytest.raises(DeviceError, match="Remove the file"):
        open_root(tmp_path, host_time=NOON + timedelta(days=365 * 21))


def test_state_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "state").write_bytes(b"")

    with pytest.raises(DeviceError):
        open_simulated(_options(tmp_path / "state"))


def test_another_starting_process_wins(tmp_path: Path) -> None:
    """Two that start together end with one root, and a dead one's leftovers do not stand in the way."""
    root = open_root(tmp_path, host_time=NOON)
    leftover = tmp_path / "simulated" / f"root.{os.getpid()}"
    os.link(tmp_path / "simulated" / "root.pem", leftover)
    (tmp_path / "simulated" / "root.pem").unlink()

    assert open_root(tmp_path, host_time=NOON).certificate != root.certificate
    assert not leftover.exists()


def test_measurement_is_of_the_runtimes_digest(tmp_path: Path) -> None:
    """Other code, another measurement; the same code, the same."""
    reports = [
        open_simulated(_options(tmp_path, digest)).attest(bytes(64)).report for digest in (DIGEST, OTHER_DIGEST, DIGEST)
    ]
    measurements = [report[report.index(b"measurement") :][13:61] for report in reports]

    assert measurements[0] == measurements[2]
    assert measurements[0] != measurements[1]


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_binding_of_another_size_is_refused(size: int) -> None:
    """Nothing is padded or cut."""
    with pytest.raises(DeviceError):
        make_device().attest(bytes(size))
