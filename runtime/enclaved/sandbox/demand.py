"""Which isolation level is used: the best that was reached, unless somebody demands a better one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.findings import Finding
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.layers import LEVELS

__all__ = ["choose_level", "explain", "remedy"]

_REMEDIES: Final[Mapping[IsolationLevel, str]] = {
    IsolationLevel.FULL: (
        "Install enclaved[runtime], and start the enclave as root, or where the kernel, AppArmor and the "
        "container's seccomp profile let its user make user namespaces; or demand `restricted`."
    ),
    IsolationLevel.RESTRICTED: "Use Linux 5.13 or later with Landlock enabled, on x86-64 or aarch64.",
}


def choose_level(
    findings: Sequence[Finding], *, demanded: IsolationLevel | None, without: IsolationLevel | None = None
) -> IsolationLevel | None:
    """Return the best level that was reached, or None: then no function may run.

    Args:
        findings: what came of trying the levels, the best first.
        demanded: the least that will do.
        without: the level of an engine whose functions need no sandbox, where none can be built.

    Raises:
        ConfigurationError: that one was not reached.
        SandboxError: none has been tried yet.
    """
    if not findings:
        raise SandboxError("the launcher has not yet told what this machine gives")
    reached = next((finding.level for finding in findings if not finding.problem), without)
    if demanded is not None:
        order = [*LEVELS, *([without] if without else [])]
        enough = order[: order.index(demanded) + 1] if demanded in order else []
        if reached not in enough:
            raise ConfigurationError(
                "isolation", f"{demanded} is demanded and not reached: {explain(findings)}", remedy=remedy(demanded)
            )
    return reached


def explain(findings: Sequence[Finding]) -> str:
    """Return what came of trying the levels, in words."""
    return "; ".join(f"{finding.level}: {finding.problem or 'reached'}" for finding in findings)


def remedy(level: IsolationLevel) -> str:
    """Return what can be done to reach a level."""
    return _REMEDIES.get(level, "Demand one that this engine has: " + " or ".join(LEVELS) + ".")
