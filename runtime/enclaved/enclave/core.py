"""The rules of the enclave, without I/O: what becomes of each message that the host hands in.

`admit` takes a message's bytes and says what is to be done; `finish` takes what a
function left and says what is to be sent. The order of the checks is the order in
which an attacker meets them: sizes, then what can be read in clear, then the
session, then authenticity; and only what is authentic changes any state.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.clock import Clock, RandomBytes, unix_ms
from enclaved.enclave.answering import Answered, Request, answer_execution, answer_refusal
from enclaved.enclave.answers import CachedAnswer
from enclaved.enclave.epoch import Epoch
from enclaved.enclave.load import FunctionLoad
from enclaved.enclave.registry import RegisteredFunction
from enclaved.enclave.sessions import Pending, Session, SessionTableFullError
from enclaved.enclave.window import Place
from enclaved.errors import ProtocolError
from enclaved.sandbox.outcome import Execution
from enclaved.wire.bundle import FunctionEntry
from enclaved.wire.frames import Output
from enclaved.wire.header import InvocationHeader, InvocationParts, decode_invocation_header, split_invocation
from enclaved.wire.hint import Hint, HintCode, encode_hint
from enclaved.wire.invocation import InvocationBody, open_invocation, request_digest
from enclaved.wire.limits import MAX_EXPIRY_MS
from enclaved.wire.session import SessionKeys, open_offer, session_id

__all__ = ["MAX_EPOCHS", "Admission", "Core", "Dead", "Dropped", "Hinted", "Joined", "Replied", "Run"]

MAX_EPOCHS = 4
"""How many epochs may answer at once: by their times two do, and strangers who fill a table bring on the next early."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run:
    """Start a function; then call `Core.finish` or `Core.refuse_unstarted`.

    Attributes:
        request: what to answer.
        function: what to run.
        entry: the same, as the bundle names it.
        load: where it counts; an invocation may outlive its epoch, and the function's place in the tables.
        start_within_s: refuse it when it has not started by then.
    """

    request: Request
    function: RegisteredFunction
    entry: FunctionEntry
    load: FunctionLoad
    start_within_s: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Replied:
    """Send a sealed answer, and what goes with it."""

    reply: bytes
    outputs: tuple[Output, ...]
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """Send a hint in clear."""

    reply: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The same request is under way; its waiter gets the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """It was sealed to a key that is gone, and names no topic on which anybody could be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """It names another runtime, or is malformed and names no topic for a hint."""


Admission = Run | Replied | Hinted | Joined | Dead | Dropped


class Core:
    """All state that messages can change."""

    def __init__(self, *, runtime_id: str, clock: Clock, random: RandomBytes) -> None:
        self._runtime_id = runtime_id
        self._clock = clock
        self._random = random
        self._epochs: OrderedDict[bytes, Epoch] = OrderedDict()
        self._loads: Mapping[tuple[str, str], FunctionLoad] = {}
        self.wants_new_epoch = False

    @property
    def epoch(self) -> Epoch:
        """The newest epoch: the one that is announced."""
        return next(reversed(self._epochs.values()))

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """All epochs that still answer, oldest first."""
        return tuple(self._epochs.values())

    def install(self, epoch: Epoch, *, loads: Mapping[tuple[str, str], FunctionLoad]) -> None:
        """Make an epoch the newest.

        Args:
            epoch: attested, and ready to run its functions.
            loads: how busy each function is, by name and digest, of all epochs that still answer.
        """
        self._epochs[epoch.key_id] = epoch
        while len(self._epochs) > MAX_EPOCHS:  # its callers are told to verify the new one, and seal again
            self._epochs.popitem(last=False)
        self._loads = loads
        self.wants_new_epoch = False

    def end_epochs(self) -> None:
        """Forget the epochs that are over, keys and all; the newest is kept for its functions, and answers no more."""
        for epoch in self.epochs[:-1]:
            if epoch.is_over():
                del self._epochs[epoch.key_id]

    def admit(self, message: bytes, *, waiter: object) -> Admission:
        """Decide what becomes of a message.

        Args:
            message: untrusted bytes.
            waiter: who gets the answer; handed back by `finish`.

        Returns:
            What to do.
        """
        # 1. Sizes and structure. A topic for a hint cannot be read from what does not parse.
        try:
            parts = split_invocation(message)
            header = decode_invocation_header(parts.header)
        except ProtocolError:
            return Dropped()
        # 2. For this runtime: two may serve one topic.
        if header.runtime_id != self._runtime_id:
            return Dropped()
        # 3. Sealed to a key that is held here.
        epoch = self._epochs.get(header.key_id)
        if epoch is None or epoch.is_over():
            return _hint(header, "key_unknown")
        # 4. In a session or with an offer that opens one, and authentic; failures are not told apart.
        try:
            opened = _open(epoch, header, parts)
        except SessionTableFullError:
            self.wants_new_epoch = True
            return _hint(header, "key_unknown")
        except ProtocolError:
            return _hint(header, "malformed")
        if opened is None:
            return _hint(header, "session_unknown")
        # 5. Only now may it change anything.
        session, body = opened
        epoch.sessions.used(session)
        request = Request(
            epoch=epoch,
            keys=session.keys,
            header=header,
            body=body,
            digest=request_digest(parts.header, parts.ciphertext),
            # An offer rides along until the session's first answer: that is when the caller needs the attestation.
            wants_attestation=parts.offer is not None or header.evidence == "full",
        )
        return self._admit_authentic(session, request, waiter)

    def finish(self, run: Run, execution: Execution) -> tuple[Answered, list[object]]:
        """Take what a function left.

        Args:
            run: what `admit` returned.
            execution: how it ended.

        Returns:
            The answer, which repeats will get as well, and all who wait for it.
        """
        manifest = run.function.manifest
        answered = answer_execution(
            run.request,
            execution,
            entry=run.entry,
            content_type=manifest.content_type,
            event=manifest.output,
            host_time=self._clock.now(),
            random=self._random,
        )
        run.load.finish(execution.duration_ms / 1000)
        return answered, self._settle(run.request, answered)

    def refuse_unstarted(self, run: Run, code: str) -> tuple[Answered, list[object]]:
        """Take back a run that could not be started.

        Args:
            run: what `admit` returned.
            code: why.

        Returns:
            The sealed refusal, and all who wait for it.
        """
        run.load.abandon()
        answered = answer_refusal(run.request, code, random=self._random)
        return answered, self._settle(run.request, answered)

    def _admit_authentic(self, session: Session, request: Request, waiter: object) -> Admission:
        header = request.header
        session.answers.drop_below(header.verified_below)
        match session.window.place(header.sequence):
            case Place.OUTSIDE:
                return self._refuse(request, "replayed")
            case Place.SEEN:
                return self._repeat(session, request, waiter)
            case Place.NEW:
                session.window.accept(header.sequence)
        function = request.epoch.registry.functions.get(header.function)
        entry = request.epoch.keys.bundle.function(header.function)
        if function is None or entry is None:
            return self._refuse_and_keep(session, request, "function_unknown")
        load = self._loads[function.manifest.name, function.digest]
        code, start_within_s = self._refusal(request, function, load)
        if code is not None:
            return self._refuse_and_keep(session, request, code)
        session.pending[header.sequence] = Pending(request_digest=request.digest, waiters=[waiter])
        load.admit()
        return Run(request=request, function=function, entry=entry, load=load, start_within_s=start_within_s)

    def _refusal(self, request: Request, function: RegisteredFunction, load: FunctionLoad) -> tuple[str | None, float]:
        """Return why a new request is refused, or None and the seconds within which it has to start."""
        if not function.may_be_called_by(request.keys.caller):
            return "caller_refused", 0.0
        if len(request.body.payload) > function.manifest.limits.input_bytes:
            return "input_too_large", 0.0
        left_ms = min(request.header.expires_at - unix_ms(self._clock.now()), MAX_EXPIRY_MS)
        if left_ms <= 0:
            return "expired", 0.0
        if not load.can_start_within(left_ms / 1000):
            return "overloaded", 0.0
        return None, left_ms / 1000

    def _repeat(self, session: Session, request: Request, waiter: object) -> Admission:
        """Answer a sequence that was accepted before; only the very same bytes get what the first ones got."""
        sequence = request.header.sequence
        pending = session.pending.get(sequence)
        if pending is not None and pending.request_digest == request.digest:
            pending.waiters.append(waiter)
            return Joined()
        cached = session.answers.get(sequence)
        if cached is not None and cached.request_digest == request.digest:
            return Replied(reply=cached.reply, outputs=cached.outputs, refused=cached.refused)
        return self._refuse(request, "answer_gone" if pending is None and cached is None else "replayed")

    def _refuse(self, request: Request, code: str) -> Replied:
        answered = answer_refusal(request, code, random=self._random)
        return Replied(reply=answered.reply, outputs=(), refused=True)

    def _refuse_and_keep(self, session: Session, request: Request, code: str) -> Replied:
        replied = self._refuse(request, code)
        session.answers.put(
            request.header.sequence,
            CachedAnswer(request_digest=request.digest, reply=replied.reply, outputs=(), refused=True),
        )
        return replied

    def _settle(self, request: Request, answered: Answered) -> list[object]:
        session = request.epoch.sessions.get(request.keys.session_id)
        if session is None:
            return []
        pending = session.pending.pop(request.header.sequence)
        cached = CachedAnswer(
            request_digest=request.digest, reply=answered.reply, outputs=answered.outputs, refused=answered.refused
        )
        session.answers.put(request.header.sequence, cached)
        return pending.waiters


def _open(epoch: Epoch, header: InvocationHeader, parts: InvocationParts) -> tuple[Session, InvocationBody] | None:
    """Return the session and the opened body; None where there is no session and none can be opened.

    The message must open before its offer's session takes a place: an offer alone is cheap to copy.
    """
    if parts.offer is not None and session_id(parts.offer) != header.session_id:
        raise ProtocolError("invocation", "an offer of another session")
    session = epoch.sessions.get(header.session_id)
    if session is not None:
        return session, _open_body(header, parts, session.keys)
    if parts.offer is None or epoch.sessions.was_evicted(header.session_id):
        return None  # an evicted offer never starts a new window, or its old messages would run again
    if not epoch.sessions.has_room():
        raise SessionTableFullError
    keys = open_offer(parts.offer, bundle_digest=epoch.bundle_digest, keys=epoch.keys.private_keys)
    body = _open_body(header, parts, keys)
    return epoch.sessions.open(keys), body


def _open_body(header: InvocationHeader, parts: InvocationParts, keys: SessionKeys) -> InvocationBody:
    return open_invocation(parts.header, parts.ciphertext, sequence=header.sequence, keys=keys)


def _hint(header: InvocationHeader, code: HintCode) -> Hinted | Dead | Dropped:
    if header.response_topic is not None:
        return Hinted(reply=encode_hint(Hint(v=1, hint=code, session_id=header.session_id, sequence=header.sequence)))
    return Dropped() if code == "malformed" else Dead()
