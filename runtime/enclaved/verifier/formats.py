"""The table of all evidence formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from enclaved.errors import EvidenceError
from enclaved.verifier.azure_vtpm.format import AZURE_VTPM
from enclaved.verifier.dcap.format import SGX, TDX
from enclaved.verifier.format import Format
from enclaved.verifier.nitro.format import NITRO
from enclaved.verifier.simulated.format import SIMULATED
from enclaved.verifier.snp.format import SEV_SNP
from enclaved.verifier.token.format import TOKEN
from enclaved.verifier.tpm.format import TPM

__all__ = ["FORMATS", "find_format"]

FORMATS: Mapping[str, Format] = MappingProxyType(
    {each.name: each for each in (SEV_SNP, TDX, SGX, NITRO, AZURE_VTPM, TPM, TOKEN, SIMULATED)}
)


def find_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        EvidenceError: there is none; the code is ``"unsupported"``.
    """
    found = FORMATS.get(name)
    if found is None:
        raise EvidenceError("unsupported", "format", found=repr(name[:64]), wanted=f"one of {', '.join(FORMATS)}")
    return found
