"""All sessions of a broker, by client id."""

from __future__ import annotations

from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.session import Budget, Session

__all__ = ["Sessions"]


class Sessions:
    """One session per client id.

    Attributes:
        budget: the bytes that they share.
    """

    def __init__(self, *, limits: BrokerLimits) -> None:
        self.budget = Budget(limits.queued_bytes)
        self._limits = limits
        self._sessions: dict[str, Session] = {}

    def __contains__(self, client_id: object) -> bool:
        return client_id in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Whether no further client can be remembered."""
        return len(self._sessions) >= self._limits.sessions

    def get(self, client_id: str) -> Session:
        """Return a session that exists."""
        return self._sessions[client_id]

    def find(self, client_id: str) -> Session | None:
        """Return a session, or None."""
        return self._sessions.get(client_id)

    def create(self, client_id: str) -> Session:
        """Begin an empty session for a client that has none."""
        session = Session(client_id, limit=self._limits.session_bytes, budget=self.budget)
        self._sessions[client_id] = session
        return session

    def remove(self, session: Session) -> None:
        """Forget a session."""
        del self._sessions[session.client_id]

    def with_due_will(self, now: float) -> list[Session]:
        """Return those whose will is to be published."""
        return [
            session for session in self._sessions.values() if session.will_at is not None and session.will_at <= now
        ]

    def ended(self, now: float) -> list[Session]:
        """Return those that nobody came back to in time."""
        return [
            session for session in self._sessions.values() if session.ends_at is not None and session.ends_at <= now
        ]
