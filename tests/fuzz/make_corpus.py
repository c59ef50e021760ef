"""Writes the corpus anew: evidence of every kind, signed under test roots whose keys are then forgotten.

Usage: PYTHONPATH=runtime:tests python tests/fuzz/make_corpus.py
"""

from __future__ import annotations

import json

from container import pack
from enclaved.verifier.formats import FORMATS
from enclaved.wire.attestation import Evidence
from simulation import make_device
from target import CORPUS
from verifier.nitro.nitro_forgery import make_evidence as make_nitro
from verifier.nitro.nitro_forgery import make_module
from verifier.snp import snp_forgery as snp


def main() -> None:
    """Write seeds and roots."""
    pinned: dict[str, str] = {}
    for line, version in (("Milan", 2), ("Genoa", 3), ("Turin", 5)):
        chip = snp.make_chip(snp.make_service(line))
        pinned |= _hex(chip.service.roots.fingerprints)
        _write(line.lower(), snp.make_evidence(chip, snp.make_report(chip, version=version)))
    module = make_module()
    pinned |= _hex(module.roots.fingerprints)
    _write("document", make_nitro(module))
    _write("nonce", make_nitro(module, user_data=None, nonce=bytes(32), public_key=b"key"))
    _write("report", make_device().attest(bytes(range(64))))
    CORPUS.with_name("roots.json").write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n")


def _write(name: str, evidence: Evidence) -> None:
    folder = CORPUS / evidence.format
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pack(evidence, FORMATS[evidence.format]))


def _hex(fingerprints: object) -> dict[str, str]:
    return {name: digest.hex() for name, (digest,) in fingerprints.items()}


if __name__ == "__main__":
    main()
