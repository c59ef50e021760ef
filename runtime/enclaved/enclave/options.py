"""The enclave process's options, as its command line gives them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from enclaved.enclave.epoch import Lifetime
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire.topics import check_name

__all__ = ["EnclaveOptions", "parse_options"]

_MIN_LIFETIME_S = 2.0  # what is due is looked for twice a second
_MAX_LIFETIME_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveOptions:
    """What an enclave process is started with.

    Attributes:
        namespace: where it serves.
        runtime_id: its name there.
        functions: the folder of functions.
        link: where it listens for the gateway, ``unix:PATH`` or ``vsock:CID:PORT``.
        device: the attestation device's name, or ``"auto"``.
        state: the folder for what survives restarts; never a key or a plaintext.
        lifetime: of a key bundle.
        reload: serve the functions anew when their folder changes.
        parent: the process whose end ends this one, or None.
    """

    namespace: str
    runtime_id: str
    functions: Path
    link: str
    device: str
    state: Path
    lifetime: Lifetime
    reload: bool
    parent: int | None


def parse_options(arguments: Sequence[str]) -> EnclaveOptions:
    """Return the options that a command line gives.

    Args:
        arguments: without the program's name.

    Raises:
        ConfigurationError: a value cannot be.
    """
    parser = argparse.ArgumentParser(
        prog="enclaved enclave",
        description="Hold the keys and run the functions: the trusted process, behind a gateway's link.",
        formatter_class=partial(argparse.HelpFormatter, width=100),  # asked for one, it imports decompressors
    )
    parser.add_argument("--namespace", default="demo", help="where it serves (demo)")
    parser.add_argument("--runtime-id", required=True, help="its name there, the same over restarts")
    parser.add_argument("--functions", type=Path, required=True, help="folder of functions")
    parser.add_argument("--link", required=True, help="listen for the gateway on unix:PATH or vsock:CID:PORT")
    parser.add_argument("--device", default="auto", help="attestation device; simulation only by name (auto)")
    parser.add_argument("--state", type=Path, default=Path(".enclaved"), help="state folder (./.enclaved)")
    parser.add_argument("--lifetime", type=float, default=3600.0, help="seconds that a key bundle lives (3600)")
    parser.add_argument("--overlap", type=float, default=600.0, help="seconds that two overlap (600)")
    parser.add_argument("--reload", action="store_true", help="serve functions anew when their folder changes")
    parser.add_argument("--parent", type=int, help="end when this process, which has to be the parent, ends")
    given = parser.parse_args(arguments)
    for option in ("namespace", "runtime_id"):
        try:
            check_name(getattr(given, option), what=option)
        except ProtocolError as error:
            raise ConfigurationError(f"--{option.replace('_', '-')}", error.reason, remedy="Choose another.") from error
    if not (0 <= 2 * given.overlap <= given.lifetime <= _MAX_LIFETIME_S and given.lifetime >= _MIN_LIFETIME_S):
        raise ConfigurationError(
            "--lifetime",
            "not at least twice --overlap, under two seconds or over a week",
            remedy="An hour and ten minutes are usual.",
        )
    return EnclaveOptions(
        namespace=given.namespace,
        runtime_id=given.runtime_id,
        functions=given.functions,
        link=given.link,
        device=given.device,
        state=given.state,
        lifetime=Lifetime(seconds=given.lifetime, overlap_seconds=given.overlap),
        reload=given.reload,
        parent=given.parent,
    )
