"""What the development broker holds at most.

It lives in memory beside the runtime, so every queue is counted in bytes, and a
full one refuses out loud: a publisher is told 0x97 (quota exceeded), where
others answer success and drop.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BrokerLimits"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """The bounds of one broker.

    Attributes:
        packet_bytes: the largest packet that it takes, as it tells clients.
        session_bytes: what may wait for one client.
        queued_bytes: what may wait for all clients together.
        retained_bytes: what may be retained.
        connections: how many clients may be connected.
        sessions: how many clients may be remembered.
        subscriptions: how many filters one client may have.
        receive_maximum: how many unacknowledged publishes a client may send.
        connect_s: seconds that a connection has until its CONNECT.
    """

    packet_bytes: int = 8 * _MIB
    session_bytes: int = 64 * _MIB
    queued_bytes: int = 256 * _MIB
    retained_bytes: int = 64 * _MIB
    connections: int = 512  # half of the descriptors that a process usually has
    sessions: int = 4096
    subscriptions: int = 256
    receive_maximum: int = 1024
    connect_s: float = 10.0
