"""The simulated device's root: an authority of the developer's own, kept in the state folder.

It survives restarts, so that a policy can name it once. Key and certificate lie
in one file that is written under another name and then linked into place: two
processes that start together end with one root, and a crash leaves none or all.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from enclaved.errors import DeviceError

__all__ = ["SimulatedRoot", "make_root", "open_root"]

_FOLDER = "simulated"
_FILE = "root.pem"
_LARGEST = 16 << 10
_LIFETIME = timedelta(days=20 * 365)
_BACKDATED = timedelta(days=1)  # a relying party's clock may be behind the host's
_ROOT_NAME = "SIMULATED enclaved root"
_DEVICE_NAME = "SIMULATED enclaved device"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRoot:
    """An authority that certifies simulated devices.

    Attributes:
        private_key: its key, on P-384.
        certificate: its certificate, signed by itself.
    """

    private_key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def certify(self, public_key: ec.EllipticCurvePublicKey, *, host_time: datetime) -> x509.Certificate:
        """Return a certificate over a device's key that is valid as long as the root."""
        builder = _builder(_DEVICE_NAME, public_key, issuer=_ROOT_NAME, start=host_time - _BACKDATED)
        builder = builder.not_valid_after(self.certificate.not_valid_after_utc)
        return _signed(builder, self.private_key, is_root=False)


def open_root(state: Path, *, host_time: datetime) -> SimulatedRoot:
    """Return the root of a state folder, making it where there is none.

    Args:
        state: the runtime's state folder.
        host_time: the present by the host's clock.

    Returns:
        The root.

    Raises:
        DeviceError: it cannot be read or made, others can read its key, or it has expired.
    """
    folder = state / _FOLDER
    path = folder / _FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, _to_pem(make_root(host_time=host_time)))
        root = _from_pem(path, _read_private(path))
    except OSError as error:
        raise DeviceError(f"{path}: the simulated root cannot be read or made: {error.strerror}") from error
    if host_time > root.certificate.not_valid_after_utc:
        raise DeviceError(f"{path}: the simulated root has expired. Remove the file, and name the new root in policies")
    return root


def make_root(*, host_time: datetime) -> SimulatedRoot:
    """Return a new root, valid for twenty years.

    Args:
        host_time: the present by the host's clock.
    """
    private_key = ec.generate_private_key(ec.SECP384R1())
    builder = _builder(_ROOT_NAME, private_key.public_key(), issuer=_ROOT_NAME, start=host_time - _BACKDATED)
    builder = builder.not_valid_after(host_time + _LIFETIME)
    return SimulatedRoot(private_key=private_key, certificate=_signed(builder, private_key, is_root=True))


def _builder(
    name: str, public_key: ec.EllipticCurvePublicKey, *, issuer: str, start: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
    )


def _signed(
    builder: x509.CertificateBuilder, private_key: ec.EllipticCurvePrivateKey, *, is_root: bool
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.BasicConstraints(ca=is_root, path_length=0 if is_root else None)
    builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
    return builder.sign(private_key, hashes.SHA384())


def _write_once(path: Path, contents: bytes) -> None:
    """Write a private file that nobody ever sees half-written; an older one wins."""
    own = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        own.unlink()  # left by a process of this id that died here
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()


def _read_private(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise DeviceError(f"{path}: others can read this key. Make it a file of this user's with mode 0600")
        return file.read(_LARGEST)


def _to_pem(root: SimulatedRoot) -> bytes:
    key = root.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + root.certificate.public_bytes(Encoding.PEM)


def _from_pem(path: Path, pem: bytes) -> SimulatedRoot:
    try:
        private_key = load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise DeviceError(f"{path}: not a simulated root. Remove the file to have another one made") from error
    if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP384R1):
        raise DeviceError(f"{path}: not a simulated root: its key is not on P-384")
    return SimulatedRoot(private_key=private_key, certificate=certificate)
