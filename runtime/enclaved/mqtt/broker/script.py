"""What an adversary is to do, as one line of text that a person can repeat.

    drop=0.02,delay=0.1,delay_s=0.5,topics=site/#

Each power has a rate: how often it strikes the publications that it applies to.
A script and a seed say everything: the n-th publication meets the same fate in
every run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.mqtt.topic_filters import filter_matches, parse_topic_filter

__all__ = ["ANNOUNCEMENT_POWERS", "Power", "Script", "each_and_pairs", "parse_script"]

_LONGEST_S = 3600.0
_REMEDY = "Write for example drop=0.02,delay=0.1,delay_s=0.5,topics=site/#"


class Power(StrEnum):
    """What a broker can do to a message."""

    DROP = "drop"
    """It vanishes; its publisher is told success."""
    DELAY = "delay"
    """It arrives later, after what was published meanwhile."""
    DUPLICATE = "duplicate"
    """It arrives twice."""
    REORDER = "reorder"
    """It changes places with the next one."""
    REPLAY = "replay"
    """An earlier one arrives again beside it."""
    REDIRECT = "redirect"
    """It arrives on another topic that the broker has seen, most often one of the same shape."""
    FORGE = "forge"
    """Payload or properties are changed: bits, parts of others, or made up."""
    TRUNCATE = "truncate"
    """Its payload ends early."""
    WITHHOLD = "withhold"
    """A retained message is kept back for a while: nobody finds what it announces."""
    SWAP = "swap"
    """A retained message carries an earlier one's payload, of any topic; the true one comes later."""


ANNOUNCEMENT_POWERS = frozenset({Power.WITHHOLD, Power.SWAP})
"""They strike retained messages, and the others do not: an announcement that is dropped is one that is withheld."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What to do, how often, and to what.

    Attributes:
        rates: by power, from 0 to 1.
        delay_s: the longest delay.
        withhold_s: for how long retained messages are withheld, or replaced by others.
        topics: which topics are touched at all.
    """

    rates: Mapping[Power, float] = field(default_factory=lambda: MappingProxyType({}))
    delay_s: float = 0.5
    withhold_s: float = 2.0
    topics: str = "#"

    def __post_init__(self) -> None:
        for power, rate in self.rates.items():
            if not 0 <= rate <= 1:  # a NaN is not either
                raise ConfigurationError("adversary", f"the rate of {power.value} is not from 0 to 1", remedy=_REMEDY)
        for seconds in (self.delay_s, self.withhold_s):
            if not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_S:
                raise ConfigurationError("adversary", "a time is not from 0 to 3600 seconds", remedy=_REMEDY)
        try:
            parse_topic_filter(self.topics)
        except ProtocolError as error:
            raise ConfigurationError("adversary", f"topics: {error}", remedy=_REMEDY) from error

    def touches(self, topic: str) -> bool:
        """Tell whether a topic's messages are touched."""
        return filter_matches(parse_topic_filter(self.topics).levels, topic)

    def __str__(self) -> str:
        rates = [f"{power.value}={rate:g}" for power, rate in self.rates.items()]
        times = [f"delay_s={self.delay_s:g}", f"withhold_s={self.withhold_s:g}", f"topics={self.topics}"]
        return ",".join(rates + times)


def parse_script(text: str) -> Script:
    """Read a script.

    Args:
        text: rates by power, `delay_s`, `withhold_s` and `topics`, separated by commas; each at most once.

    Raises:
        ConfigurationError: it is not one.
    """
    values: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in values:
            raise ConfigurationError("adversary", f"{part.strip()!a} is no setting of its own", remedy=_REMEDY)
        values[name] = value
    topics = values.pop("topics", "#")
    try:
        delay_s, withhold_s = float(values.pop("delay_s", 0.5)), float(values.pop("withhold_s", 2.0))
        rates = {Power(name): float(rate) for name, rate in values.items()}
    except ValueError as error:
        raise ConfigurationError("adversary", str(error), remedy=_REMEDY) from error
    return Script(rates=MappingProxyType(rates), delay_s=delay_s, withhold_s=withhold_s, topics=topics)


def each_and_pairs(rate: float, *, topics: str = "#") -> Iterator[Script]:
    """Yield a script for each power alone, then for each two together."""
    alone = [(power,) for power in Power]
    for powers in itertools.chain(alone, itertools.combinations(Power, 2)):
        yield Script(rates=MappingProxyType(dict.fromkeys(powers, rate)), topics=topics)
