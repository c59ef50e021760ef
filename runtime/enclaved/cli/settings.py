"""What the commands share: options over ``enclaved.toml`` over defaults.

A secret is never a value here: keys and passwords are files.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from enclaved.clock import system_random
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.gateway.options import read_password
from enclaved.mqtt.transport import DEFAULT_TRANSPORT, Connection, Tls, parse_broker_url
from enclaved.wire.topics import check_name

__all__ = ["CONFIGURATION_NAME", "DEFAULT_BROKER", "Settings", "load_settings"]

DEFAULT_BROKER = "mqtt://127.0.0.1:1883"
CONFIGURATION_NAME = "enclaved.toml"
_MAX_CONFIGURATION = 64 << 10


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of ``enclaved.toml``; each has an option of the same name.

    Attributes:
        broker: the broker's URL; None for the usual place, where `up` starts a development broker.
        namespace: where runtimes serve and callers look.
        state: the state folder.
        functions: the folder of functions that `up` runs.
        policy: the caller's policy document.
        key: the caller's private key file, from ``enclaved keygen``.
        runtime_id: the runtime's name; made up once and kept in the state folder by default.
        link: between gateway and enclave, ``unix:PATH`` or ``vsock:CID:PORT``.
        device: the attestation device that `up` opens; ``"auto"`` takes hardware only.
        transport: how to speak MQTT.
        username: for the broker.
        password_file: file with the broker's password.
        cafile: roots to trust for the broker, PEM.
        cert: our certificate for the broker, PEM.
        certkey: its private key, PEM.
        lifetime_s: seconds that a key bundle lives.
        overlap_s: seconds that two bundles overlap.
    """

    broker: str | None = None
    namespace: str = "demo"
    state: Path = Path(".enclaved")
    functions: Path = Path("functions")
    policy: Path | None = None
    key: Path | None = None
    runtime_id: str | None = None
    link: str | None = None
    device: str = "simulated"  # `up` is for developing: what it shows is then marked SIMULATED
    transport: str = DEFAULT_TRANSPORT
    username: str | None = None
    password_file: Path | None = None
    cafile: Path | None = None
    cert: Path | None = None
    certkey: Path | None = None
    lifetime_s: float = 3600.0
    overlap_s: float = 600.0

    @property
    def broker_url(self) -> str:
        """The broker's URL, the usual one where none is named."""
        return self.broker or DEFAULT_BROKER

    @property
    def tls(self) -> Tls | None:
        """What TLS needs, or None for the system's roots."""
        if self.cafile is None and self.cert is None and self.certkey is None:
            return None
        return Tls(cafile=self.cafile, cert=self.cert, certkey=self.certkey)

    @property
    def password(self) -> str | None:
        """The broker's password, read from its file.

        Raises:
            ConfigurationError: the file cannot be read or holds none.
        """
        return None if self.password_file is None else read_password(self.password_file)

    def connection(self) -> Connection:
        """Return how to reach the broker, under a fresh client id.

        Raises:
            ConfigurationError: the settings do not go together.
        """
        return Connection(
            address=parse_broker_url(self.broker_url),
            client_id=f"enclaved-{system_random(8).hex()}",
            username=self.username,
            password=self.password,
            tls=self.tls,
        )


def load_settings(configuration: Path | None = None, **options: Any) -> Settings:  # noqa: ANN401 - any key's type
    """Return the settings that options, the configuration file and the defaults make together.

    Args:
        configuration: the file; ``enclaved.toml`` of the working folder, where it is there, by default.
        options: what the command line gave; None where it gave nothing.

    Raises:
        ConfigurationError: the file cannot be read, has an unknown key, or a value that cannot be.
    """
    document = _read(configuration)
    document |= {
        name: str(value) if isinstance(value, Path) else value for name, value in options.items() if value is not None
    }
    where = "options" if configuration is None else str(configuration)
    try:
        settings = msgspec.convert(document, Settings, strict=True, dec_hook=_path)
        check_name(settings.namespace, what="namespace")
    except msgspec.ValidationError as error:
        raise ConfigurationError(where, str(error), remedy="`enclaved --help` and README name the keys.") from error
    except ProtocolError as error:
        raise ConfigurationError(where, str(error), remedy="Choose another namespace.") from error
    return settings


def _read(configuration: Path | None) -> dict[str, Any]:
    path = configuration or Path(CONFIGURATION_NAME)
    if configuration is None and not path.exists():
        return {}
    try:
        data = path.read_bytes()
        if len(data) > _MAX_CONFIGURATION:
            raise ConfigurationError(str(path), "more than 64 KiB", remedy="Keep only its keys.")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read ({error.strerror})", remedy="Name a file.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(str(path), f"not TOML: {error}", remedy="Mend it at that place.") from error


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{kind.__name__} cannot be made of {type(value).__name__}")
