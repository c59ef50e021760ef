"""The caller: seals invocations to verified runtimes and shows only verified answers.

    async with Caller.connect("mqtt://localhost:1883", namespace="demo", policy="policy.toml") as caller:
        result = await caller.invoke("redact", b"call me on 555-0100", timeout=5)

Nothing is sealed before the runtime's attestation was verified under the policy, and
no output is shown before its receipt was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.caller.announcements import Announcements
from enclaved.caller.arguments import Settings, check_arguments, check_size, read_settings
from enclaved.caller.challenges import Challenges
from enclaved.caller.connections import SLOTS, Incoming, ReplyTopics, reply_topics
from enclaved.caller.desk import Desk
from enclaved.caller.discovery import Candidate, Chosen, Discovery
from enclaved.caller.exchange import Answer, Exchange
from enclaved.caller.ledger import Request
from enclaved.caller.outcome import FunctionFailed, InvocationRefused, NoAnswer, Passage, Result
from enclaved.caller.progress import Progress, ProgressObserver, Step, ignore_progress
from enclaved.caller.replies import Replies
from enclaved.caller.sessions import Sessions
from enclaved.caller.surroundings import Surroundings
from enclaved.clock import unix_ms
from enclaved.errors import EvidenceError, TransportError
from enclaved.mqtt.transport import (
    DEFAULT_TRANSPORT,
    EPHEMERAL,
    Connection,
    FirstConnection,
    Publisher,
    Tls,
    Transport,
    parse_broker_url,
)
from enclaved.mqtt.transports import open_transport
from enclaved.verifier.policy import Policy
from enclaved.wire.invocation import INVOCATION_ID_SIZE
from enclaved.wire.limits import MAX_EXPIRY_MS

__all__ = ["DEFAULT_IN_FLIGHT", "DEFAULT_TIMEOUT_S", "Caller"]

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_IN_FLIGHT = 256


class Caller:
    """One relying party, connected to one broker; `connect` makes it."""

    def __init__(self, desk: Desk, *, runtime: str | None, in_flight: int) -> None:
        self._desk = desk
        self._runtime = runtime
        self._slots = anyio.CapacityLimiter(in_flight)
        self._is_closed = False

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        broker: str,
        *,
        namespace: str,
        policy: str | Path | Policy,
        key: str | Path | Ed25519PrivateKey | None = None,
        runtime: str | None = None,
        transport: str | Transport = DEFAULT_TRANSPORT,
        username: str | None = None,
        password: str | None = None,
        tls: Tls | None = None,
        in_flight: int = DEFAULT_IN_FLIGHT,
        observer: ProgressObserver = ignore_progress,
        surroundings: Surroundings | None = None,
    ) -> AsyncIterator[Caller]:
        """Connect to a broker; leaving closes both connections and ends every task.

        Args:
            broker: its URL, such as ``"mqtt://localhost:1883"``.
            namespace: where the runtimes serve.
            policy: what to accept: a TOML file, or the value.
            key: proves who calls: a file that `enclaved keygen` wrote, or the key. None for functions
                that anybody may call: a proof is transferable evidence of contact.
            runtime: the runtime to call unless an invocation names another; None for any that the
                policy accepts.
            transport: its name, or one.
            username: as whom to connect.
            password: the password itself, out of a file of yours.
            tls: TLS options, for ``mqtts`` and ``wss``.
            in_flight: how many invocations may be under way at once; more wait.
            observer: told of every step.
            surroundings: time, randomness and roots; for tests.

        Yields:
            The connected caller.

        Raises:
            ConfigurationError: an argument, the policy or the key file is wrong.
            TransportError: the broker cannot be reached, or refused.
        """
        around = surroundings or Surroundings()
        settings = read_settings(
            namespace, policy, key=key, runtime=runtime, in_flight=in_flight, around=around, observer=observer
        )
        name = f"enclaved-caller-{around.random(8).hex()}"
        address = parse_broker_url(broker)
        incoming = Connection(address=address, client_id=f"{name}-in", username=username, password=password, tls=tls)
        outgoing = Connection(address=address, client_id=f"{name}-out", username=username, password=password, tls=tls)
        through = open_transport(transport) if isinstance(transport, str) else transport
        topics = reply_topics(namespace, random=around.random)
        failure: Exception | None = None
        observer(Progress(step=Step.CONNECTING, detail=address.url))
        async with (
            through.consume(
                incoming,
                topics=topics.all,
                slots=SLOTS,
                session=EPHEMERAL,
                first=FirstConnection.MUST_SUCCEED,
            ) as consumer,
            through.publish(outgoing, first=FirstConnection.MUST_SUCCEED) as publisher,
            anyio.create_task_group() as tasks,
        ):
            await consumer.subscribed()
            caller, handed_on = _assemble(cls, settings, topics, publisher)
            tasks.start_soon(handed_on.pump, consumer, name="caller: incoming")
            try:
                yield caller
            except Exception as error:  # noqa: BLE001 - raised again below: task groups would wrap it
                failure = error
            finally:
                caller._close()  # noqa: SLF001 - its own class
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        content_type: str = "",
        evidence: Literal["full", "digest"] = "digest",
        runtime: str | None = None,
        topic: str | None = None,
    ) -> Result:
        """Run a function in a verified enclave.

        Args:
            function: its name.
            payload: its input, at most 1 MiB and what the function takes.
            timeout: how long to wait for everything, in seconds.
            content_type: of the payload, for the function.
            evidence: ``"full"`` to have the attestation sent along with the answer.
            runtime: the runtime to call, or None for the one that `connect` named, or any.
            topic: a trigger topic to send it to instead of the function's own.

        Returns:
            The verified result. Of a function whose output goes to recipients it is an
            acknowledgement: `Result.acknowledged`, with a receipt and without output.

        Raises:
            FunctionFailed: it ran, and failed.
            InvocationRefused: the enclave did not start it.
            NoAnswer: no answer that verifies came in time; it may have run.
            EvidenceError: the runtime's evidence is not authentic, and nothing was sealed; or the
                answer does not verify, and its output is withheld.
            AppraisalError: the policy refuses the runtime or the function, and nothing was sealed;
                or it refuses the answer.
            ConfigurationError: an argument is wrong; nothing was sealed.
            TransportError: the broker refused, or the caller is closed.
        """
        check_arguments(function, payload, timeout=timeout, content_type=content_type, topic=topic)
        if self._is_closed:
            raise TransportError("the caller is closed")
        start = anyio.current_time()
        deadline = start + timeout
        expires_at = unix_ms(self._desk.surroundings.clock.now()) + min(int(timeout * 1000), MAX_EXPIRY_MS)
        request = Request(
            invocation_id=self._desk.surroundings.random(INVOCATION_ID_SIZE),
            function=function,
            payload=payload,
            content_type=content_type,
            evidence=evidence,
            response_topic=self._desk.response_topic,
            expires_at=expires_at,
            topic=topic,
        )
        async with self._slot(timeout):
            chosen = await self._choose(function, runtime, remaining_s=deadline - anyio.current_time())
            check_size(payload, chosen.entry)
            answer = await Exchange(self._desk, request, timeout_s=timeout, deadline=deadline).run(chosen)
        elapsed = timedelta(seconds=anyio.current_time() - start)
        return _show(answer, elapsed=elapsed)

    async def runtimes(self) -> tuple[Candidate, ...]:
        """Return the runtimes that are announced in the namespace, with the policy's verdict on each.

        Their announced evidence is verified, without a challenge.
        """
        return await self._desk.discovery.candidates()

    @asynccontextmanager
    async def _slot(self, timeout_s: float) -> AsyncIterator[None]:
        """Hold one of the bounded places; waiting for it takes of the invocation's own time."""
        borrower = object()
        with anyio.move_on_after(timeout_s) as waiting:
            await self._slots.acquire_on_behalf_of(borrower)
        if waiting.cancelled_caught:
            raise NoAnswer("slot", timeout_s=timeout_s)
        try:
            yield
        finally:
            self._slots.release_on_behalf_of(borrower)

    async def _choose(self, function: str, runtime: str | None, *, remaining_s: float) -> Chosen:
        named = runtime or self._runtime
        return await self._desk.discovery.find(function, runtime_id=named, timeout_s=remaining_s)

    def _close(self) -> None:
        self._is_closed = True
        self._desk.replies.close()


def _assemble(
    kind: type[Caller], settings: Settings, topics: ReplyTopics, publisher: Publisher
) -> tuple[Caller, Incoming]:
    around, observer = settings.surroundings, settings.observer

    def on_dropped(reason: str) -> None:
        observer(Progress(step=Step.DROPPED, detail=reason))

    announcements = Announcements(settings.namespace)
    challenges = Challenges(namespace=settings.namespace, response_topic=topics.challenges, publisher=publisher)
    replies = Replies(on_dropped=on_dropped)
    discovery = Discovery(
        announcements=announcements,
        challenges=challenges,
        vetting=settings.vetting,
        surroundings=around,
        observer=observer,
    )
    desk = Desk(
        namespace=settings.namespace,
        response_topic=topics.answers,
        publisher=publisher,
        replies=replies,
        announcements=announcements,
        discovery=discovery,
        sessions=Sessions(clock=around.clock, random=around.random, caller_key=settings.key),
        vetting=settings.vetting,
        surroundings=around,
        observer=observer,
    )
    incoming = Incoming(
        topics=topics, replies=replies, challenges=challenges, announcements=announcements, on_dropped=on_dropped
    )
    return kind(desk, runtime=settings.runtime, in_flight=settings.in_flight), incoming


def _show(answer: Answer, *, elapsed: timedelta) -> Result:
    """Return the result of a verified answer, or raise what it says."""
    accepted, sealing, body = answer.accepted, answer.sealing, answer.accepted.body
    passage = Passage(
        function=sealing.request.function,
        invocation_id=sealing.request.invocation_id,
        attestation=sealing.session.trust.verified,
        sealed_bytes=len(sealing.sealed.header) + len(sealing.sealed.ciphertext),
        attempts=answer.attempts,
        round_trip_ms=elapsed / timedelta(milliseconds=1),
    )
    if body.status == "refused":
        raise InvocationRefused(body.code, passage=passage)
    if accepted.receipt is None or accepted.evidence is None or body.receipt is None:
        raise EvidenceError("not_authentic", "receipt", found="nothing", wanted="a receipt for a function that ran")
    result = Result(
        status=body.status,
        code=body.code,
        output=body.output,
        content_type=body.content_type,
        log=body.log,
        acknowledged=body.result_salt is None,
        receipt=accepted.receipt.claims,
        receipt_bytes=body.receipt,
        attestation_bytes=accepted.evidence,
        checks=accepted.checks,
        passage=passage,
    )
    if body.status == "failed":
        raise FunctionFailed(result)
    return result
