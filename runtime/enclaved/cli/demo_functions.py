"""The example functions, copied for the demo, with a recipient's key that was made just now."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from enclaved.caller.keys import recipient_public_text
from enclaved.clock import RandomBytes
from enclaved.enclave.manifest import MANIFEST_NAME
from enclaved.enclave.registry import RegisteredFunction, load_registry
from enclaved.errors import ConfigurationError
from enclaved.wire.hpke import SUITES, PrivateKey, generate

__all__ = ["DemoFunction", "copy_examples"]

_RECIPIENTS = re.compile(r"^recipients = \[.*?\]", re.MULTILINE | re.DOTALL)
_LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFunction:
    """One example, ready to be called.

    Attributes:
        name: the function's name.
        payload: its sample input.
        content_type: of the input.
        expected: the output that it should give.
        trigger: the topic to send it to, or None for the function's own.
        output_topic: where its sealed output goes, or None where the caller gets it.
    """

    name: str
    payload: bytes
    content_type: str
    expected: bytes
    trigger: str | None
    output_topic: str | None


def copy_examples(target: Path, *, random: RandomBytes) -> tuple[tuple[DemoFunction, ...], PrivateKey]:
    """Copy the example functions, and seal their events to a fresh key.

    Args:
        target: the folder to make; an earlier copy is replaced.
        random: makes the recipient's key.

    Returns:
        The functions, and the recipient's private key, which is in memory only.

    Raises:
        ConfigurationError: the examples are not there, or one of them is wrong.
    """
    key = generate(SUITES[0], random=random)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(_examples(), target, ignore=_LEFT_BEHIND)
    for manifest in target.glob(f"*/{MANIFEST_NAME}"):
        text = manifest.read_text()
        manifest.write_text(_RECIPIENTS.sub(f'recipients = ["{recipient_public_text(key)}"]', text))
    functions = [_ready(function) for function in load_registry(target).functions.values()]
    return tuple(function for function in functions if function is not None), key


def _examples() -> Path:
    """Return the examples that came with the package, or those of the checkout that it runs from."""
    package = Path(__file__).parents[1]
    for folder in (package / "examples", package.parents[1] / "functions"):
        if folder.is_dir():
            return folder
    raise ConfigurationError("examples", "are not installed", remedy="Install enclaved, or run it from a checkout.")


def _ready(function: RegisteredFunction) -> DemoFunction | None:
    manifest, files = function.manifest, function.snapshot.files
    if manifest.sample is None or manifest.sample.output is None:
        return None
    return DemoFunction(
        name=manifest.name,
        payload=files[manifest.sample.input],
        content_type=manifest.sample.content_type,
        expected=files[manifest.sample.output],
        trigger=manifest.triggers[0].replace("+", "demo").replace("#", "demo") if manifest.triggers else None,
        output_topic=None if manifest.output is None else manifest.output.topic,
    )
