"""The sessions of one key bundle, within bounds that strangers cannot fill.

An offer opens at most once per bundle: a session that is idle may be evicted, and
leaves its id; neither a known nor an evicted offer ever starts a new window, or a
replay of an old message would run again. Half of the table, and of the answers'
memory, is kept for callers whose key is on some function's list.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from enclaved.enclave.answers import AnswerBudget, AnswerCache
from enclaved.enclave.window import ReplayWindow
from enclaved.wire.session import SessionKeys

__all__ = ["Pending", "Session", "SessionBounds", "SessionTable", "SessionTableFullError"]


class SessionTableFullError(Exception):
    """No session can be opened under this bundle any more; the next epoch has room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBounds:
    """How much the sessions of one bundle may take.

    Attributes:
        sessions: all of them; strangers get at most half.
        per_key: sessions of one listed key.
        evicted: ids of evicted sessions, 16 bytes each, that are remembered; strangers cause at most half.
        answer_bytes: sealed answers of all sessions; strangers' get at most half.
        session_answer_bytes: sealed answers of one session.
    """

    sessions: int = 32_768
    per_key: int = 8_192
    evicted: int = 262_144
    answer_bytes: int = 128 << 20
    session_answer_bytes: int = 8 << 20


@dataclass(slots=True, kw_only=True)
class Pending:
    """An invocation that is under way, and who waits for its answer.

    Attributes:
        request_digest: of the very request that started it.
        waiters: the deliveries that get the answer.
    """

    request_digest: bytes
    waiters: list[object] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Session:
    """One caller's session.

    Attributes:
        keys: its secrets.
        listed: is its caller's key on some function's list.
        window: the sequences that were accepted.
        answers: what repeats get.
        pending: what is under way, by sequence.
    """

    keys: SessionKeys
    listed: bool
    window: ReplayWindow
    answers: AnswerCache
    pending: dict[int, Pending] = field(default_factory=dict)


class SessionTable:
    """The sessions of one bundle, by id; the one unused longest is evicted first."""

    def __init__(self, bounds: SessionBounds, *, listed_callers: frozenset[bytes]) -> None:
        self._bounds = bounds
        self._listed_callers = listed_callers
        self._strangers: OrderedDict[bytes, Session] = OrderedDict()
        self._listed: OrderedDict[bytes, Session] = OrderedDict()
        self._by_key: dict[bytes, OrderedDict[bytes, None]] = {}
        self._evicted: set[bytes] = set()
        self._stranger_answers = AnswerBudget(bounds.answer_bytes // 2)
        self._listed_answers = AnswerBudget(bounds.answer_bytes - bounds.answer_bytes // 2)

    def __len__(self) -> int:
        return len(self._strangers) + len(self._listed)

    def get(self, session_id: bytes) -> Session | None:
        """Return an open session; that alone does not count as using it."""
        return self._listed.get(session_id) or self._strangers.get(session_id)

    def used(self, session: Session) -> None:
        """Note that an authentic message came: forged ones must not decide who is evicted."""
        session_id = session.keys.session_id
        if session.listed and session.keys.caller is not None:
            self._listed.move_to_end(session_id)
            self._by_key[session.keys.caller].move_to_end(session_id)
        else:
            self._strangers.move_to_end(session_id)

    def was_evicted(self, session_id: bytes) -> bool:
        """Tell whether this offer was opened before and its session is gone."""
        return session_id in self._evicted

    def has_room(self) -> bool:
        """Tell whether anybody's session could still be opened; asked before any public-key work, so of nobody yet."""
        return len(self._evicted) < self._bounds.evicted or len(self) < self._bounds.sessions

    def open(self, keys: SessionKeys) -> Session:
        """Open a session whose offer was opened for the first time.

        Args:
            keys: the session's secrets.

        Returns:
            The session.

        Raises:
            SessionTableFullError: nothing idle can make room, or no more evictions can be remembered.
        """
        listed = keys.caller is not None and keys.caller in self._listed_callers
        self._make_room(keys.caller if listed else None)
        session = Session(
            keys=keys,
            listed=listed,
            window=ReplayWindow(),
            answers=AnswerCache(
                pool=self._listed_answers if listed else self._stranger_answers,
                limit=self._bounds.session_answer_bytes,
            ),
        )
        if listed and keys.caller is not None:
            self._listed[keys.session_id] = session
            self._by_key.setdefault(keys.caller, OrderedDict())[keys.session_id] = None
        else:
            self._strangers[keys.session_id] = session
        return session

    def _make_room(self, listed_caller: bytes | None) -> None:
        if listed_caller is None:
            if len(self._strangers) >= self._bounds.sessions // 2 or len(self) >= self._bounds.sessions:
                self._check_memory(self._bounds.evicted // 2)
                self._evict_idle(self._strangers)
            return
        own = self._by_key.get(listed_caller, OrderedDict())
        if len(own) >= self._bounds.per_key:
            self._evict_idle(self._listed, among=own)
        elif len(self) >= self._bounds.sessions:
            # Strangers first: a listed caller's session is dropped only for another listed caller's.
            self._evict_idle(self._strangers if self._has_idle(self._strangers) else self._listed)

    def _evict_idle(self, table: OrderedDict[bytes, Session], *, among: OrderedDict[bytes, None] | None = None) -> None:
        self._check_memory(self._bounds.evicted)
        for session_id in among if among is not None else table:
            if not table[session_id].pending:
                self._evict(table, session_id)
                return
        raise SessionTableFullError

    def _check_memory(self, most: int) -> None:
        if len(self._evicted) >= most:
            raise SessionTableFullError  # an id that is not remembered could be opened a second time

    def _evict(self, table: OrderedDict[bytes, Session], session_id: bytes) -> None:
        session = table.pop(session_id)
        session.answers.clear()
        self._evicted.add(session_id)
        if session.listed and session.keys.caller is not None:
            own = self._by_key[session.keys.caller]
            del own[session_id]
            if not own:
                del self._by_key[session.keys.caller]

    @staticmethod
    def _has_idle(table: OrderedDict[bytes, Session]) -> bool:
        return any(not session.pending for session in table.values())
