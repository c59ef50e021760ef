"""Fail where a test was skipped that this machine can run: a skip nobody notices is a test nobody has.

Usage: check_skips.py JUNIT_XML
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

_HARDWARE = "hardware: "  # begins the reason of every test that needs a real TEE device


def main(report: Path) -> int:
    """Return 1, and say which, where a skip has another reason than missing hardware."""
    skipped = [
        (f"{case.get('classname')}.{case.get('name')}", skip.get("message", ""))
        for case in ET.parse(report).iter("testcase")  # noqa: S314
        for skip in case.iter("skipped")
    ]
    wrong = [(name, reason) for name, reason in skipped if not reason.startswith(_HARDWARE)]
    for name, reason in wrong:
        sys.stderr.write(f"skipped, and should run: {name}: {reason}\n")
    sys.stdout.write(f"{len(skipped)} skipped, {len(wrong)} of them should have run\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
