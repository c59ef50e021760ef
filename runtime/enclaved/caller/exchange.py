"""One invocation under way: sealed, sent, sent again, and answered.

What may happen is decided by `reactions`, `ledger` and `acceptance`; this moves the
bytes and keeps the time. Every sealing of the invocation is waited for until one of
them is answered and verified. Whatever then comes, or comes too late, is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from enclaved.caller.acceptance import Accepted, OpenedAnswer, accept_answer
from enclaved.caller.desk import Desk
from enclaved.caller.discovery import Chosen
from enclaved.caller.ledger import Request, Sealing, SessionLedger
from enclaved.caller.outbox import Outbox
from enclaved.caller.outcome import NoAnswer
from enclaved.caller.progress import Progress, Step
from enclaved.caller.reactions import MAX_REACTIONS, PlannedReaction, Reaction, Reactions, resend_delay
from enclaved.caller.replies import Mailbox
from enclaved.caller.trust import Trust
from enclaved.errors import AppraisalError, Error, EvidenceError, TransportError
from enclaved.mqtt.transport import Message
from enclaved.verifier.attestation import check_function
from enclaved.wire.attestation import evidence_digest
from enclaved.wire.topics import invoke_topic

__all__ = ["Answer", "Exchange"]

_SEAL_ANEW = frozenset({"answer_gone", "replayed"})  # sealed words that the enclave has no answer to give any more
_INLINE = 64 << 10  # a hash over more than this leaves the event loop to others


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verified answer, and which sealing it answers.

    Attributes:
        accepted: what was verified.
        sealing: the sealing that it answers.
        attempts: how often the invocation was sent.
    """

    accepted: Accepted
    sealing: Sealing
    attempts: int


class Exchange:
    """One invocation from its first sealing to its answer."""

    def __init__(self, desk: Desk, request: Request, *, timeout_s: float, deadline: float) -> None:
        self._desk = desk
        self._request = request
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._mailbox = Mailbox()
        self._outbox = Outbox(desk.publisher, on_change=self._mailbox.bell.ring, on_sent=self._note_sent)
        self._reactions = Reactions()
        self._sealings: list[Sealing] = []
        self._sealed_anew = 0
        self._unanswered = 0
        self._resend_at = 0.0
        self._planned: tuple[float, PlannedReaction] | None = None
        self._refreshing = False
        self._refreshed: Trust | None = None
        self._refusal: Error | None = None

    async def run(self, chosen: Chosen) -> Answer:
        """Carry the invocation out.

        Args:
            chosen: the verified runtime to seal to.

        Returns:
            The verified answer.

        Raises:
            NoAnswer: none came in time.
            EvidenceError: an answer opened, and it or its attestation does not verify.
            AppraisalError: an answer opened, and the policy refuses it.
            TransportError: the broker refused the message, or the caller was closed.
        """
        outcome: Answer | Error
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._outbox.run, name="send")
                outcome = await self._outcome(chosen, tasks)
                tasks.cancel_scope.cancel()
        finally:
            for sealing in self._sealings:
                self._desk.replies.forget(sealing)
                sealing.session.settle(sealing.sequence)
        if isinstance(outcome, Error):
            raise outcome
        return outcome

    async def _outcome(self, chosen: Chosen, tasks: TaskGroup) -> Answer | Error:
        """Return an error rather than raise it: a task group would wrap it."""
        try:
            self._seal(self._desk.sessions.present(chosen.trust), chosen)
            self._send("as needed")
            return await self._converse(tasks)
        except Error as error:
            return error

    async def _converse(self, tasks: TaskGroup) -> Answer:
        while True:
            await self._mailbox.bell.wait(until=self._wake())
            while self._mailbox.answers:
                answer = await self._accept(self._mailbox.answers.pop(0))
                if answer is not None:
                    return answer
            if self._outbox.failure is not None:
                raise self._outbox.failure
            if self._mailbox.closed:
                raise TransportError("the caller is closed")
            if anyio.current_time() >= self._deadline:
                raise self._no_answer()
            self._take_refreshed()
            self._take_hint()
            self._act(tasks)

    def _wake(self) -> float:
        pending = self._mailbox.answers or self._mailbox.closed or self._refreshed or self._outbox.failure
        if pending or (self._mailbox.hint and self._planned is None):
            return 0.0  # rung while something else was waited for
        planned_at = self._deadline if self._planned is None else self._planned[0]
        return min(self._deadline, self._resend_at, planned_at)

    def _act(self, tasks: TaskGroup) -> None:
        """Do what is due: a planned reaction first, else a resend."""
        now = anyio.current_time()
        if self._planned is not None and now >= self._planned[0]:
            planned, self._planned = self._planned[1], None
            self._react(planned.reaction, tasks)
        elif now >= self._resend_at:
            self._unanswered += 1
            if self._reactions.key_doubted:
                self._react(Reaction.VERIFY_AFRESH, tasks)
            else:
                self._send("as needed")

    def _take_hint(self) -> None:
        if self._mailbox.hint is None or self._planned is not None:
            return
        code, self._mailbox.hint = self._mailbox.hint, None
        planned = self._reactions.to(code)
        if planned is not None:
            self._tell(Step.HINTED, detail=code)
            self._planned = (anyio.current_time() + planned.delay_s, planned)

    def _react(self, reaction: Reaction, tasks: TaskGroup) -> None:
        match reaction:
            case Reaction.RESEND:
                self._send("always")
            case Reaction.NEW_SESSION:
                present = self._sealings[-1]
                session = self._desk.sessions.after(present.session)
                if session is not present.session:
                    self._seal(session, Chosen(trust=session.trust, entry=present.entry))
                self._send("always")
            case Reaction.VERIFY_AFRESH:
                self._resend_at = anyio.current_time() + resend_delay(self._unanswered)
                if not self._refreshing:
                    self._refreshing = True
                    tasks.start_soon(self._refresh, name="verify afresh")

    async def _refresh(self) -> None:
        """Verify the runtime's present bundle, beside the waiting: the answer may still come."""
        runtime_id = self._sealings[-1].session.trust.runtime_id
        remaining_s = self._deadline - anyio.current_time()
        try:
            trust = await self._desk.discovery.present(runtime_id, timeout_s=remaining_s)
            self._refreshed = trust or self._sealings[-1].session.trust
        except (EvidenceError, AppraisalError, NoAnswer, TransportError) as error:
            self._refusal = error  # kept for the end: whoever forged the hint may have forged this too
        self._refreshing = False
        self._mailbox.bell.ring()

    def _take_refreshed(self) -> None:
        trust, self._refreshed = self._refreshed, None
        if trust is None:
            return
        if trust.bundle_digest == self._sealings[-1].session.trust.bundle_digest:
            self._send("always")
            return
        try:
            entry = check_function(trust.verified, self._desk.vetting.policy, self._request.function)
        except AppraisalError as error:
            self._refusal = error
            return
        self._seal(self._desk.sessions.present(trust), Chosen(trust=trust, entry=entry))
        self._send("as needed")

    def _seal(self, session: SessionLedger, chosen: Chosen) -> None:
        sealing = session.seal(self._request, entry=chosen.entry)
        self._sealings.append(sealing)
        self._desk.replies.expect(sealing, self._mailbox)
        self._tell(Step.SEALED)

    def _send(self, offer: Literal["as needed", "always"]) -> None:
        sealing = self._sealings[-1]
        self._resend_at = anyio.current_time() + resend_delay(self._unanswered)
        remaining_s = max(1, int(self._deadline - anyio.current_time()) + 1)
        topic = self._request.topic or invoke_topic(
            self._desk.namespace, sealing.session.trust.runtime_id, self._request.function
        )
        self._outbox.put(
            Message(
                topic=topic,
                payload=sealing.message(offer=offer),
                response_topic=self._request.response_topic,
                correlation_data=sealing.correlation_data,
                expiry_s=remaining_s,
            )
        )

    async def _accept(self, opened: OpenedAnswer) -> Answer | None:
        session = opened.sealing.session
        verify = partial(
            accept_answer,
            opened,
            vetting=self._desk.vetting,
            at=self._desk.surroundings.clock.now(),
            announced=self._desk.announcements.latest(session.trust.runtime_id),
        )
        accepted = verify() if self._is_quick(opened) else await anyio.to_thread.run_sync(verify)
        for encoded in accepted.learned:
            session.trust.learn(encoded)
        session.confirmed = True
        if accepted.body.code in _SEAL_ANEW and self._sealed_anew < MAX_REACTIONS:
            if opened.sealing is self._sealings[-1]:
                self._sealed_anew += 1
                self._seal(session, Chosen(trust=session.trust, entry=opened.sealing.entry))
                self._send("as needed")
            return None
        self._tell(Step.ANSWERED, detail=accepted.body.code)
        return Answer(accepted=accepted, sealing=opened.sealing, attempts=self._outbox.sent)

    def _is_quick(self, opened: OpenedAnswer) -> bool:
        if len(opened.body.output) + len(self._request.payload) > _INLINE:
            return False
        encoded = opened.attestation
        return encoded is None or evidence_digest(encoded) in opened.sealing.session.trust.evidence()

    def _no_answer(self) -> NoAnswer:
        error = NoAnswer(
            "answer",
            timeout_s=self._timeout_s,
            invocation_id=self._request.invocation_id,
            attempts=self._outbox.sent,
            hints=self._reactions.codes,
            dropped=self._mailbox.dropped,
        )
        error.__cause__ = self._refusal
        return error

    def _note_sent(self, sent: int) -> None:
        self._tell(Step.SENT if sent == 1 else Step.RESENT)
        if sent == 1:
            self._tell(Step.WAITING)

    def _tell(self, step: Step, *, detail: str = "") -> None:
        runtime_id = self._sealings[-1].session.trust.runtime_id if self._sealings else ""
        self._desk.observer(
            Progress(step=step, runtime_id=runtime_id, invocation_id=self._request.invocation_id, detail=detail)
        )
