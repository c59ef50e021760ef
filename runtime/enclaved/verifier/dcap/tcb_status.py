"""TCB statuses, and how those of a platform's parts make one.

Intel, "Provisioning Certification Service API", "TCB Info", and the rules of
Intel's own verification library: the platform's status stands, unless a part of
it (quoting enclave, TDX module) is out of date or revoked. A good part never
makes a bad platform better: a platform that is out of date stays so, however new
its TDX module is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PART_STATUSES", "TcbStatus", "TcbVerdict", "combine", "relaunch"]


class TcbStatus(StrEnum):
    """What Intel says of a combination of SVNs, and of a TD that outlived its module."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"


PART_STATUSES = frozenset({TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED})
"""The statuses that a quoting enclave or a TDX module can have."""
_OUT_OF_DATE = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}
_STALE = frozenset({TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED})
_NEEDS_CONFIGURATION = frozenset(
    {
        TcbStatus.CONFIGURATION_NEEDED,
        TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbVerdict:
    """A status, and the advisories that explain it, each once."""

    status: TcbStatus
    advisories: tuple[str, ...]


def combine(platform: TcbVerdict, parts: Iterable[TcbVerdict]) -> TcbVerdict:
    """Return the status of a platform with its parts.

    Args:
        platform: the platform's.
        parts: those of its quoting enclave and of its TDX module.
    """
    status, advisories = platform.status, list(platform.advisories)
    for part in parts:
        advisories += part.advisories
        if TcbStatus.REVOKED in (status, part.status):
            status = TcbStatus.REVOKED
        elif part.status is TcbStatus.OUT_OF_DATE:
            status = _OUT_OF_DATE.get(status, status)
    return TcbVerdict(status=status, advisories=tuple(dict.fromkeys(advisories)))


def relaunch(launched: TcbVerdict, current: TcbVerdict) -> TcbVerdict:
    """Return the status of a TD that was launched under one TDX module and now runs under another.

    A module can be renewed below a running TD. Where the platform is good by what
    runs now, what remains is to launch the TD anew; where it is not, the status of
    the launch stands.

    Args:
        launched: the status by the SVNs at launch.
        current: the status by the SVNs of now.
    """
    status = launched.status
    if current.status is TcbStatus.REVOKED:
        status = TcbStatus.REVOKED
    elif launched.status in _STALE and current.status in _OUT_OF_DATE:
        needs_configuration = {launched.status, current.status} & _NEEDS_CONFIGURATION
        status = (
            TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED if needs_configuration else TcbStatus.TD_RELAUNCH_ADVISED
        )
    advisories = dict.fromkeys((*launched.advisories, *current.advisories))
    return TcbVerdict(status=status, advisories=tuple(advisories))
