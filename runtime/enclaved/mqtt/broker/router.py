"""Who gets a publication: the rules of the development broker, without input or output.

A publication is queued for every client that it is for, or refused for all of
them: when one client's queue is full its publisher is told 0x97 (quota
exceeded) and nothing was queued, so that nothing is lost in silence.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import Interceptor, Publication
from enclaved.mqtt.broker.retained import RetainedMessages
from enclaved.mqtt.broker.session import Session, Waiting
from enclaved.mqtt.broker.sessions import Sessions
from enclaved.mqtt.broker.subscriptions import Share, Subscription, SubscriptionTree
from enclaved.mqtt.packet_fields import ReasonCode

__all__ = ["RetainedOnSubscribe", "Router"]

_log = logging.getLogger("enclaved.mqtt.loopback")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedOnSubscribe:
    """Whether a new subscriber is sent what is retained (section 3.8.3.1).

    Attributes:
        if_new: when it was not subscribed before.
        if_known: when it was.
    """

    if_new: bool
    if_known: bool


class Router:
    """Sessions, subscriptions and retained messages, and the way between them.

    Attributes:
        sessions: one per client id.
        retained: the last retained message of each topic.
    """

    def __init__(
        self,
        *,
        limits: BrokerLimits,
        monotonic: Callable[[], float],
        interceptor: Interceptor,
        witness: Callable[[Publication], None],
        on_delayed: Callable[[], None],
    ) -> None:
        self.sessions = Sessions(limits=limits)
        self.retained = RetainedMessages(limit=limits.retained_bytes)
        self._limits = limits
        self._monotonic = monotonic
        self._interceptor = interceptor
        self._witness = witness
        self._on_delayed = on_delayed
        self._tree = SubscriptionTree()
        self._turns: dict[Share, int] = {}
        self._delayed: list[tuple[float, int, Publication]] = []
        self._order = itertools.count()

    def publish(self, publication: Publication) -> ReasonCode:
        """Take in what a client published, and route what the interceptor makes of it."""
        self._witness(publication)
        codes = [ReasonCode.SUCCESS]
        for routed in self._interceptor(publication):
            if routed.delay_s > 0:
                due = self._monotonic() + routed.delay_s
                heapq.heappush(self._delayed, (due, next(self._order), routed.publication))
                self._on_delayed()
            else:
                codes.append(self.route(routed.publication))
        return max(codes)

    def route(self, publication: Publication) -> ReasonCode:
        """Queue a publication for everyone that it is for, past the interceptor.

        Returns:
            Success, no matching subscribers, or quota exceeded; then nobody was given it.
        """
        if publication.retain and not self.retained.has_room(publication):
            return self._refuse(publication, "retained messages are full")
        offers = self._offers(publication)
        if offers is None:
            return self._refuse(publication, "a queue is full")
        if publication.retain:
            self.retained.keep(publication)
        for session, waiting in offers:
            session.offer(waiting)
        return ReasonCode.SUCCESS if offers else ReasonCode.NO_MATCHING_SUBSCRIBERS

    def subscribe(self, session: Session, text: str, new: Subscription, on_retained: RetainedOnSubscribe) -> ReasonCode:
        """Add a subscription and queue what is retained for it.

        Returns:
            The granted QoS as a reason code's number would say it, or quota exceeded.
        """
        known = text in session.subscriptions
        if not known and len(session.subscriptions) >= self._limits.subscriptions:
            return ReasonCode.QUOTA_EXCEEDED
        wanted = new.share is None and (on_retained.if_known if known else on_retained.if_new)
        retained = [self._as_retained(new, publication) for publication in self._retained_for(new)] if wanted else []
        if not self._fits(session, retained):
            return ReasonCode.QUOTA_EXCEEDED
        session.subscriptions[text] = new
        self._tree.add(new)
        for waiting in retained:
            session.offer(waiting)
        return ReasonCode.SUCCESS

    def unsubscribe(self, session: Session, text: str) -> bool:
        """Remove a subscription; tell whether there was one."""
        old = session.subscriptions.pop(text, None)
        if old is None:
            return False
        self._tree.remove(old)
        return True

    def end_session(self, session: Session) -> None:
        """Forget a session: its will is due, and what it held of shared work goes to the others."""
        self.sessions.remove(session)
        for text in list(session.subscriptions):
            self.unsubscribe(session, text)
        for waiting in session.drain():
            if waiting.share is not None:
                self._pass_on(waiting, waiting.share)
        self._publish_will(session)

    def tick(self) -> None:
        """Do what has become due: delayed messages, wills, expired sessions and retained messages."""
        now = self._monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self.route(heapq.heappop(self._delayed)[2])
        for session in self.sessions.with_due_will(now):
            self._publish_will(session)
        for session in self.sessions.ended(now):
            self.end_session(session)
        self.retained.expire(now)

    def next_delayed(self) -> float | None:
        """Return when the next delayed message is due."""
        return self._delayed[0][0] if self._delayed else None

    def _publish_will(self, session: Session) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is not None:
            self.publish(will.published(self._monotonic()))

    def _offers(self, publication: Publication) -> list[tuple[Session, Waiting]] | None:
        """Work out who gets it and how, or None where a queue that must take it is full."""
        direct: dict[str, list[Subscription]] = {}
        shares: dict[Share, list[Subscription]] = {}
        for subscription in self._tree.covering(publication.topic):
            if subscription.share is not None:
                shares.setdefault(subscription.share, []).append(subscription)
            elif not (subscription.no_local and subscription.client_id == publication.publisher):
                direct.setdefault(subscription.client_id, []).append(subscription)
        offers = [(self.sessions.get(client), _merged(publication, found)) for client, found in direct.items()]
        for share, members in shares.items():
            offers.append(self._turn(publication, share, members))
        needed = [offer for offer in offers if offer[1].qos]
        if not self._all_fit(needed):
            return None
        fleeting = [
            (session, waiting)
            for session, waiting in offers
            if not waiting.qos and session.holder is not None and self._fits(session, [waiting])
        ]
        return needed + fleeting

    def _turn(self, publication: Publication, share: Share, members: list[Subscription]) -> tuple[Session, Waiting]:
        """Choose the member whose turn it is: a connected one with room, else any with room."""
        turn = self._turns[share] = self._turns.get(share, -1) + 1
        start = turn % len(members)
        order = [*members[start:], *members[:start]]
        candidates = [(self.sessions.get(member.client_id), member) for member in order]
        cost = publication.cost

        def preference(candidate: tuple[Session, Subscription]) -> tuple[bool, bool]:
            return not candidate[0].has_room(cost), candidate[0].holder is None

        session, member = min(candidates, key=preference)
        return session, replace(_merged(publication, [member]), share=share)

    def _pass_on(self, waiting: Waiting, share: Share) -> None:
        """Give a departed member's message to another member of its group."""
        members = list(self._tree.group(share))
        if not members or waiting.publication.expired(self._monotonic()):
            return
        session, offered = self._turn(waiting.publication, share, members)
        if self._fits(session, [offered]):
            session.offer(offered)
        else:
            _log.warning("development broker: shared message lost, its group is full")

    def _retained_for(self, subscription: Subscription) -> Iterable[Publication]:
        for publication in self.retained.matching(subscription.filter.levels, now=self._monotonic()):
            if not (subscription.no_local and publication.publisher == subscription.client_id):
                yield publication

    def _as_retained(self, subscription: Subscription, publication: Publication) -> Waiting:
        return replace(_merged(publication, [subscription]), retain=True)

    def _all_fit(self, offers: list[tuple[Session, Waiting]]) -> bool:
        wanted: dict[str, list[Waiting]] = {}
        for session, waiting in offers:
            wanted.setdefault(session.client_id, []).append(waiting)
        if sum(waiting.publication.cost for _, waiting in offers) > self.sessions.budget.left:
            return False
        return all(self._fits(self.sessions.get(client), waiting) for client, waiting in wanted.items())

    def _fits(self, session: Session, waiting: list[Waiting]) -> bool:
        cost = sum(each.publication.cost for each in waiting)
        return session.has_room(cost) and cost <= self.sessions.budget.left

    def _refuse(self, publication: Publication, why: str) -> ReasonCode:
        _log.warning("development broker: publish refused, %s", why, extra={"publisher": publication.publisher})
        return ReasonCode.QUOTA_EXCEEDED


def _merged(publication: Publication, matches: list[Subscription]) -> Waiting:
    """Deliver once per client, at the best of its overlapping subscriptions (section 3.3.4)."""
    return Waiting(
        publication=publication,
        qos=min(publication.qos, max(match.qos for match in matches)),
        retain=publication.retain and any(match.retain_as_published for match in matches),
        identifiers=tuple(match.identifier for match in matches if match.identifier is not None),
    )
