"""A broker's interceptor that forges hints by the hundred, holds answers back, and writes down what callers seal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle as endless
from itertools import islice

from enclaved.mqtt.broker.publication import Publication, Routed
from enclaved.wire.header import InvocationHeader, decode_invocation_header, split_invocation
from enclaved.wire.hint import Hint, HintCode, encode_hint
from enclaved.wire.topics import attestation_topic
from pretended_runtime import NAMESPACE

__all__ = ["FLOOD", "Forger", "Plan", "Sealed"]

FLOOD = 1000
"""How many hints are forged at each invocation that is published, unless a plan says otherwise."""
_OVER_S = 2.0  # they come over this time, not all at once: a caller that listens hears each


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to forge.

    Attributes:
        codes: of the hints, one after the other; none for an honest broker.
        flood: how many at each invocation that is published.
        named: do the hints name the invocation, or leave that to MQTT's correlation data.
        answers: what becomes of genuine answers: seconds by which they are late, or None to lose them.
        announcement: what to announce in the runtime's place upon each invocation.
    """

    codes: tuple[HintCode, ...] = ()
    flood: int = FLOOD
    named: bool = True
    answers: float | None = 0.0
    announcement: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One published invocation."""

    header: InvocationHeader
    header_bytes: bytes
    ciphertext: bytes


@dataclass
class Forger:
    """The interceptor; a test changes its plan."""

    plan: Plan = field(default_factory=Plan)
    sealed: list[Sealed] = field(default_factory=list)
    challenges: int = 0
    forged: int = 0

    def begin(self, plan: Plan) -> None:
        """Take another plan, and forget what was seen."""
        self.plan = plan
        self.sealed.clear()
        self.challenges = self.forged = 0

    def __call__(self, publication: Publication) -> Sequence[Routed]:
        """Return what to route in place of a publication."""
        if publication.topic.endswith("/invoke"):
            return self._invocation(publication)
        if publication.topic.endswith("/challenge"):
            self.challenges += 1
        elif publication.topic in {each.header.response_topic for each in self.sealed}:
            delay = self.plan.answers
            return () if delay is None else (Routed(publication=publication, delay_s=delay),)
        return (Routed(publication=publication),)

    def texts(self) -> dict[tuple[bytes, int], set[tuple[bytes, bytes]]]:
        """Return what was sealed under each session and sequence, that is under each key and nonce."""
        texts = defaultdict(set)
        for each in self.sealed:
            texts[each.header.session_id, each.header.sequence].add((each.header_bytes, each.ciphertext))
        return texts

    def _invocation(self, publication: Publication) -> Sequence[Routed]:
        parts = split_invocation(publication.payload)
        header = decode_invocation_header(parts.header)
        self.sealed.append(Sealed(header=header, header_bytes=parts.header, ciphertext=parts.ciphertext))
        return (
            *self._announcement(publication, header),
            *self._hints(publication, header),
            Routed(publication=publication),
        )

    def _hints(self, publication: Publication, header: InvocationHeader) -> Sequence[Routed]:
        if not self.plan.codes or header.response_topic is None:
            return ()
        name = (header.session_id, header.sequence) if self.plan.named else (None, None)
        self.forged += self.plan.flood
        return [
            Routed(
                publication=replace(
                    publication,
                    topic=header.response_topic,
                    payload=encode_hint(Hint(v=1, hint=code, session_id=name[0], sequence=name[1])),
                    response_topic=None,
                ),
                delay_s=_OVER_S * number / self.plan.flood,
            )
            for number, code in enumerate(islice(endless(self.plan.codes), self.plan.flood))
        ]

    def _announcement(self, publication: Publication, header: InvocationHeader) -> Sequence[Routed]:
        if self.plan.announcement is None:
            return ()
        topic = attestation_topic(NAMESPACE, header.runtime_id)
        return (Routed(publication=replace(publication, topic=topic, payload=self.plan.announcement)),)
