"""Fuzzes one evidence format with Atheris, which is installed for the run: ``pip install atheris``.

Usage: fuzz_evidence.py FORMAT [options of libFuzzer]

    PYTHONPATH=runtime python tests/fuzz/fuzz_evidence.py sev-snp -max_total_time=600

What it finds beyond the corpus is kept in a temporary folder; a finding is written
into the working folder as ``crash-…``, and reproduced by naming it as an argument.
"""

from __future__ import annotations

import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["enclaved"]):
    from target import CORPUS, make_target

_LONGEST = 16_384  # the longest seed has ten thousand bytes


def main() -> None:
    """Fuzz until a finding, or until libFuzzer's options say to stop."""
    program, name, *options = sys.argv
    target = make_target(name)
    files = [each for each in options if not each.startswith("-")]
    with tempfile.TemporaryDirectory() as found:
        folders = [] if files else [found, str(CORPUS / name)]
        atheris.Setup([program, f"-max_len={_LONGEST}", *options, *folders], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
