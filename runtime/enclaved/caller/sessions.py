"""Sessions: the one that is in use with each runtime.

Opening one costs a public-key operation here and in the enclave, and a forged hint
can ask for it. So invocations that are hinted together share the new one, and a
young session is not replaced again.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.caller.ledger import SessionLedger
from enclaved.caller.trust import Trust
from enclaved.clock import Clock, RandomBytes

__all__ = ["YOUNG_S", "Sessions"]

YOUNG_S = 0.1  # longer than a round trip on a local network


class Sessions:
    """The present session with each runtime."""

    def __init__(self, *, clock: Clock, random: RandomBytes, caller_key: Ed25519PrivateKey | None) -> None:
        self._clock = clock
        self._random = random
        self._caller_key = caller_key
        self._present: dict[str, SessionLedger] = {}

    def present(self, trust: Trust) -> SessionLedger:
        """Return the session with a trusted bundle; open one where there is none.

        Raises:
            ProtocolError: the bundle's key is not one of its suite.
        """
        session = self._present.get(trust.runtime_id)
        if session is None or session.trust.bundle_digest != trust.bundle_digest:
            session = self._open(trust)
        return session

    def after(self, session: SessionLedger) -> SessionLedger:
        """Return the session to use instead of one that the runtime is said not to know.

        Args:
            session: the one that was hinted at.

        Returns:
            The present one where that is another already; the same one while it is young; else a new one.
        """
        present = self._present.get(session.trust.runtime_id, session)
        if present is not session and present.trust.bundle_digest == session.trust.bundle_digest:
            return present
        if self._clock.monotonic() - session.opened_at < YOUNG_S:
            return session
        return self._open(session.trust)

    def _open(self, trust: Trust) -> SessionLedger:
        session = SessionLedger(
            trust, random=self._random, caller_key=self._caller_key, opened_at=self._clock.monotonic()
        )
        self._present[trust.runtime_id] = session
        return session
