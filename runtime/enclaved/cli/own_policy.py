"""The policy that a runtime writes for its own developer: pinned to itself, and rewritten while it is only that.

It is what makes the first invocation on one machine possible. It is no appraisal:
it accepts what this very runtime showed, simulated as that may be,
and says so in its first lines.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from enclaved.errors import ConfigurationError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.policy import Freshness
from enclaved.verifier.policy_draft import draft_policy
from enclaved.verifier.rule import Waiver
from enclaved.wire.attestation import decode_attestation
from enclaved.wire.bundle import decode_bundle

__all__ = ["drafted_policy", "write_own_policy"]

_NAME = "policy.toml"
_MARK = "# Written by `enclaved up` for its own runtime, and rewritten at each of its starts: copy it to change it.\n"


def drafted_policy(encoded: bytes, *, at: datetime) -> str:
    """Return a policy document that accepts a runtime's attestation, and nothing else.

    Args:
        encoded: the attestation, as the runtime announced it.
        at: the present.

    Raises:
        EvidenceError: its evidence is not authentic.
        ProtocolError: it is no attestation.
    """
    attestation = decode_attestation(encoded)
    claims = authenticate(attestation.evidence, at=at, checks=Checks())
    freshness = Freshness(challenge=True, max_age=Waiver.ANY)
    return draft_policy(decode_bundle(attestation.bundle), claims, freshness=freshness)


def write_own_policy(document: str, *, state: Path) -> Path:
    """Write the policy beside the state folder, unless a person's own lies there.

    Args:
        document: the drafted policy.
        state: the state folder.

    Returns:
        Where the policy lies: ours, or inside the state folder where that place is taken.

    Raises:
        ConfigurationError: it cannot be written.
    """
    beside = state.absolute().parent / _NAME
    path = beside if _is_ours(beside) else state / _NAME
    try:
        temporary = path.with_suffix(".new")
        temporary.write_text(_MARK + document)
        os.replace(temporary, path)  # whoever reads it meanwhile sees the old one or the new one
    except OSError as error:
        raise ConfigurationError(
            str(path), f"cannot be written ({error.strerror})", remedy="Name a policy with --policy."
        ) from error
    return path


def _is_ours(path: Path) -> bool:
    """Tell whether a policy may be written here: nothing is there, or what an earlier start wrote."""
    if not path.exists():
        return True
    with path.open(errors="replace") as file:
        return file.read(len(_MARK)) == _MARK
