"""What an enclave may announce, checked before any of it is served.

Names were checked with the frame. The gateway does not judge evidence, callers do.
It sees to it that it can serve what is announced, within bounds of its own, and
that the enclave at the other end of the link stays the one that it was.
"""

from __future__ import annotations

from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.mqtt.topic_filters import parse_topic_filter
from enclaved.wire.frames import Announce, Lane
from enclaved.wire.limits import MAX_ATTESTATION, MAX_TOPIC

__all__ = ["check_announce", "check_same_runtime"]

_WHAT = "announcement"
_MAX_SLOTS = 4096  # each holds an invocation of up to a mebibyte
_MAX_TRIGGERS = 64


def check_announce(announce: Announce) -> None:
    """Check that an announcement can be served.

    Raises:
        ProtocolError: it cannot; `reason` says why.
    """
    if not 0 < len(announce.attestation) <= MAX_ATTESTATION:
        raise ProtocolError(_WHAT, f"an attestation has 1 to {MAX_ATTESTATION} bytes")
    if announce.expires_in_ms <= 0:
        raise ProtocolError(_WHAT, "it has expired")
    if len({lane.function for lane in announce.lanes}) != len(announce.lanes):
        raise ProtocolError(_WHAT, "a function has two lanes")
    for lane in announce.lanes:
        _check_lane(lane)


def check_same_runtime(announce: Announce, first: Announce) -> None:
    """Check that the enclave still serves under the names that it had at first.

    Client ids, topics and what waits in the broker belong to these names, so a gateway
    cannot follow a change of them.

    Raises:
        ConfigurationError: another enclave answers on this link.
    """
    before, now = (f"{names.namespace}/{names.runtime_id}" for names in (first, announce))
    if now != before:
        problem = f"the enclave announces {now}, and it was {before} before"
        raise ConfigurationError("link", problem, remedy="Give each enclave a link and a gateway of its own")


def _check_lane(lane: Lane) -> None:
    if not 0 < lane.slots <= _MAX_SLOTS:
        raise ProtocolError(_WHAT, f"a lane has 1 to {_MAX_SLOTS} slots")
    if len(lane.triggers) > _MAX_TRIGGERS:
        raise ProtocolError(_WHAT, f"a lane has at most {_MAX_TRIGGERS} triggers")
    for trigger in lane.triggers:
        parse_topic_filter(trigger)
        if len(trigger.encode()) > MAX_TOPIC:
            raise ProtocolError(_WHAT, f"a trigger has at most {MAX_TOPIC} bytes")
