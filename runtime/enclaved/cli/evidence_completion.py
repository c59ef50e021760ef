"""``enclaved evidence complete``: adding to an evidence folder what its vendor says of the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import anyio
import typer

from enclaved.cli.options import Json
from enclaved.cli.report import errors_console, print_json, reporting
from enclaved.collateral.cache import Cache
from enclaved.collateral.completion import COMPLETED_FORMATS, CollateralSource
from enclaved.collateral.fetcher import Fetcher
from enclaved.collateral.https import HttpsClient
from enclaved.collateral.services import AMD_KDS, INTEL_PCS, Services
from enclaved.errors import ConfigurationError
from enclaved.verifier.evidence_folder import read_folder, write_folder
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.snp.product import LINES
from enclaved.wire.attestation import Evidence

__all__ = ["complete_command"]


def complete_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Evidence folder; files are added to it.")],
    format_name: Annotated[str, typer.Option("--format", help=f"The evidence's format: {', '.join(FORMATS)}.")],
    kds: Annotated[
        str | None, typer.Option("--kds", metavar="URL", help=f"AMD's service, or a cache of it [{AMD_KDS}].")
    ] = None,
    pccs: Annotated[
        str | None, typer.Option("--pccs", metavar="URL", help=f"A PCCS in place of Intel's [{INTEL_PCS}].")
    ] = None,
    cafile: Annotated[
        Path | None,
        typer.Option("--cafile", metavar="FILE", help="Roots to trust for a private service, PEM [the system's]."),
    ] = None,
    product: Annotated[
        str | None, typer.Option("--product", help=f"AMD's product, for reports before version 3: {', '.join(LINES)}.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Where answers are kept [~/.cache/enclaved/collateral]."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody; take what is kept and still in force.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch what the vendor says of the machine: certificates, revocation lists, TCB information.

    AMD's service is asked for SEV-SNP, Intel's for SGX and TDX, over HTTPS, by what the evidence says
    of its chip; evidence of other formats needs nothing more. What lies in the folder and is in force
    stays; what is past its end is replaced. Answers are kept, and none is used past its next update.
    Nothing is judged here: `evidence verify` and `appraise` do that, and need no network.

    Examples:
      enclaved evidence complete evidence/ --format sev-snp
      enclaved evidence complete evidence/ --format tdx --pccs https://pccs.example:8081 --cafile pccs.pem
    """
    with reporting(json):
        services = Services() if kds is None else Services().with_kds(kds)
        services = services if pccs is None else services.with_pccs(pccs)
        if product is not None and product not in LINES:
            raise ConfigurationError(
                "--product", "there is no such product", remedy=f"Write one of {', '.join(LINES)}."
            )
        evidence = completed = read_folder(format_name, folder)
        if format_name in COMPLETED_FORMATS:
            client = None if offline else HttpsClient(cafile=cafile)
            source = CollateralSource(Fetcher(client, cache=Cache(cache or _cache_folder())), services=services)
            completed = anyio.run(_complete, source, evidence, product)
        added = sorted(n for n, each in completed.endorsements.items() if evidence.endorsements.get(n) != each)
        if added:
            _write(completed, folder)
        _report(format_name, folder, added, sorted(completed.endorsements), as_json=json)


async def _complete(source: CollateralSource, evidence: Evidence, product: str | None) -> Evidence:
    return await source.complete(evidence, product=product)


def _write(evidence: Evidence, folder: Path) -> None:
    try:
        write_folder(evidence, folder)
    except OSError as error:
        raise ConfigurationError(
            str(folder), f"cannot be written ({error.strerror})", remedy="Copy the evidence into a folder of yours."
        ) from error


def _report(format_name: str, folder: Path, added: list[str], files: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"format": format_name, "folder": str(folder), "added": added, "endorsements": files})
    elif added:
        errors_console.print(f"[green]added[/] {', '.join(added)} to {folder}")
    elif format_name in COMPLETED_FORMATS:
        errors_console.print(f"{folder} holds everything that {format_name} evidence needs, and all of it is in force")
    else:
        errors_console.print(f"{format_name} evidence carries everything that it needs")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # The specification of these folders has a relative one ignored.
        home = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise ConfigurationError("--cache", "there is no home folder", remedy="Name a folder with --cache.") from error
    return home / "enclaved" / "collateral"
