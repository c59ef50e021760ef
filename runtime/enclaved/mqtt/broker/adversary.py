"""A hostile broker: what stands between publishers and subscribers, by a script and a seed.

It is an `Interceptor` of the development broker. It knows topics and bytes, and
nothing of what they mean: whatever protocol runs over it has to bear it. Each
publication's fate is drawn from the seed and its number alone, so a run can be
repeated as far as its publishers come in the same order, and one power's rate
does not move another's draws.
"""

from __future__ import annotations

import random  # noqa: TID251 - reproducible from a seed on purpose: nothing here is a secret
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from enclaved.mqtt.broker.publication import Publication, Routed
from enclaved.mqtt.broker.script import ANNOUNCEMENT_POWERS, Power, Script

__all__ = ["Adversary"]

_REMEMBERED = 64  # publications
_LARGEST_REMEMBERED = 256 * 1024  # bytes of payload; so memory is bounded, by 16 MiB twice
_TOPICS_REMEMBERED = 256
_LARGEST_INVENTION = 512
_SAME_SHAPE = 0.75


class Adversary:
    """An interceptor that follows a script.

    Attributes:
        counts: how often each power struck.
    """

    def __init__(self, script: Script, *, seed: int) -> None:
        self.counts = dict.fromkeys(Power, 0)
        self._script = script
        self._seed = seed
        self._number = 0
        self._messages: deque[Publication] = deque(maxlen=_REMEMBERED)
        self._announcements: deque[Publication] = deque(maxlen=_REMEMBERED)
        self._topics: dict[str, None] = {}
        self._held: list[Publication] = []
        self._changes: Mapping[Power, Callable[[Publication, random.Random], Publication]] = {
            Power.REDIRECT: self._redirect,
            Power.FORGE: self._forge,
            Power.TRUNCATE: self._truncate,
        }

    def __str__(self) -> str:
        """What repeats it, as options of the development broker."""
        return f"--adversary '{self._script}' --seed {self._seed}"

    def __call__(self, publication: Publication) -> Sequence[Routed]:
        """Return what to route in place of a publication."""
        self._number += 1
        if not self._script.touches(publication.topic):
            return (Routed(publication=publication),)
        chance = random.Random(f"{self._seed}/{self._number}")  # noqa: S311 - not for a secret
        draws = {power: chance.random() for power in Power}
        struck = {power for power in Power if draws[power] < self._script.rates.get(power, 0.0)}
        if publication.retain:
            routed = self._announce(publication, struck & ANNOUNCEMENT_POWERS, chance)
        else:
            routed = self._pass_on(publication, struck - ANNOUNCEMENT_POWERS, chance)
        self._remember(publication)
        return routed

    def _pass_on(self, publication: Publication, struck: set[Power], chance: random.Random) -> list[Routed]:
        """Treat what is not retained."""
        released, self._held = [Routed(publication=each) for each in self._held], []
        if Power.DROP in struck:
            self.counts[Power.DROP] += 1
            return released
        changed = publication
        for power, change in self._changes.items():
            if power in struck:
                changed = self._counted(power, changed, change(changed, chance))
        routed = [Routed(publication=changed)]
        if Power.DUPLICATE in struck:
            self.counts[Power.DUPLICATE] += 1
            routed *= 2
        if Power.REPLAY in struck and self._messages:
            self.counts[Power.REPLAY] += 1
            routed.append(Routed(publication=chance.choice(self._messages)))
        if Power.REORDER in struck:
            self.counts[Power.REORDER] += 1
            self._held = [each.publication for each in routed]
            return released
        if Power.DELAY in struck:
            self.counts[Power.DELAY] += 1
            routed = [replace(each, delay_s=chance.uniform(0, self._script.delay_s)) for each in routed]
        return routed + released

    def _announce(self, publication: Publication, struck: set[Power], chance: random.Random) -> list[Routed]:
        """Treat what is retained: the true one always comes in the end."""
        later = Routed(publication=publication, delay_s=self._script.withhold_s)
        others = [each for each in self._announcements if each.payload != publication.payload]
        if Power.SWAP in struck and others:
            self.counts[Power.SWAP] += 1
            false = replace(publication, payload=chance.choice(others).payload)
            return [Routed(publication=false), later]
        if Power.WITHHOLD in struck:
            self.counts[Power.WITHHOLD] += 1
            return [later]
        return [Routed(publication=publication)]

    def _redirect(self, publication: Publication, chance: random.Random) -> Publication:
        others = [topic for topic in self._topics if topic != publication.topic]
        alike = [topic for topic in others if _same_shape(topic, publication.topic)]
        if alike and chance.random() < _SAME_SHAPE:
            others = alike
        return replace(publication, topic=chance.choice(others)) if others else publication

    def _forge(self, publication: Publication, chance: random.Random) -> Publication:
        forgeries = (self._flip, self._graft, self._invent, self._misaddress)
        return chance.choice(forgeries)(publication, chance)

    def _flip(self, publication: Publication, chance: random.Random) -> Publication:
        """Turn one bit."""
        payload = bytearray(publication.payload or b"\0")
        payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
        return replace(publication, payload=bytes(payload))

    def _graft(self, publication: Publication, chance: random.Random) -> Publication:
        """Put another message's end on this one's beginning."""
        if not self._messages:
            return self._flip(publication, chance)
        other, own = chance.choice(self._messages).payload, publication.payload
        return replace(publication, payload=own[: _cut(own, chance)] + other[_cut(other, chance) :])

    def _invent(self, publication: Publication, chance: random.Random) -> Publication:
        """Make up a payload."""
        return replace(publication, payload=chance.randbytes(chance.randint(1, _LARGEST_INVENTION)))

    def _misaddress(self, publication: Publication, chance: random.Random) -> Publication:
        """Change what an answer would be sent by; the payload stays."""
        topics = list(self._topics) or [publication.topic]
        return replace(publication, response_topic=chance.choice(topics), correlation_data=chance.randbytes(16))

    def _truncate(self, publication: Publication, chance: random.Random) -> Publication:
        return replace(publication, payload=publication.payload[: _cut(publication.payload, chance)])

    def _counted(self, power: Power, before: Publication, after: Publication) -> Publication:
        if after != before:
            self.counts[power] += 1
        return after

    def _remember(self, publication: Publication) -> None:
        """Keep what may be used against somebody later."""
        if len(publication.payload) <= _LARGEST_REMEMBERED:
            (self._announcements if publication.retain else self._messages).append(publication)
        if len(self._topics) < _TOPICS_REMEMBERED:
            self._topics[publication.topic] = None


def _same_shape(one: str, other: str) -> bool:
    """Tell whether two topics differ in a single level: another caller's, another function's."""
    levels = list(zip(one.split("/"), other.split("/"), strict=False))
    return one.count("/") == other.count("/") and sum(left != right for left, right in levels) == 1


def _cut(data: bytes, chance: random.Random) -> int:
    """Return a place inside some bytes, before their end where there are any."""
    return chance.randrange(len(data)) if data else 0
