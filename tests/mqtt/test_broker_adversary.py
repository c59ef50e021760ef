"""Each power of the hostile broker does what its name says, as often as its script says, and the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anyio
import enclaved
import pytest
from enclaved.errors import ConfigurationError
from enclaved.mqtt.broker.adversary import Adversary
from enclaved.mqtt.broker.publication import Publication, Routed
from enclaved.mqtt.broker.script import Power, Script, each_and_pairs, parse_script
from enclaved.mqtt.loopback import LoopbackBroker
from raw_client import RawClient

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(enclaved.__file__).parent.parent)}


def message(number: int, *, topic: str = "site/a/in") -> Publication:
    """Return one of a row of publications."""
    payload = b"payload of message %06d" % number
    return Publication(publisher="p", topic=topic, payload=payload, correlation_data=b"c%d" % number)


def announcement(number: int, *, topic: str = "site/a/state") -> Publication:
    """Return a retained publication."""
    return replace(message(number, topic=topic), retain=True)


def adversary(script: str, *, seed: int = 1) -> Adversary:
    """Return an adversary with that script."""
    return Adversary(parse_script(script), seed=seed)


def fates(hostile: Adversary, count: int = 200) -> list[list[Routed]]:
    """Return what becomes of a row of messages on two topics."""
    return [list(hostile(message(number, topic=f"site/{'ab'[number % 2]}/in"))) for number in range(count)]


def test_without_a_rate_nothing_is_touched() -> None:
    """The script's default is an honest broker."""
    assert all(
        fate == [Routed(publication=message(number, topic=f"site/{'ab'[number % 2]}/in"))]
        for number, fate in enumerate(fates(Adversary(Script(), seed=1)))
    )


def test_the_same_script_and_seed_do_the_same() -> None:
    """So a failing test can be repeated."""
    script = ",".join(f"{power.value}=0.3" for power in Power)

    assert fates(adversary(script)) == fates(adversary(script))
    assert fates(adversary(script)) != fates(adversary(script, seed=2))


def test_a_power_strikes_as_often_as_its_rate_says() -> None:
    """A fifth of five thousand, give or take."""
    hostile = adversary("drop=0.2")
    fates(hostile, 5000)

    assert 850 < hostile.counts[Power.DROP] < 1150


def test_one_powers_rate_does_not_move_anothers_draws() -> None:
    """What is dropped with and without delays is the same."""
    alone, both = fates(adversary("drop=0.3")), fates(adversary("drop=0.3,delay=0.5"))

    assert [not fate for fate in alone] == [not fate for fate in both]


def test_drop_leaves_nothing() -> None:
    """Not even later."""
    hostile = adversary("drop=1")

    assert all(fate == [] for fate in fates(hostile))
    assert hostile.counts[Power.DROP] == 200


def test_delay_holds_back_within_its_bound() -> None:
    """The message itself is untouched."""
    for number, (routed,) in enumerate(fates(adversary("delay=1,delay_s=0.3"))):
        assert 0 <= routed.delay_s <= 0.3
        assert routed.publication.payload == message(number).payload


def test_duplicate_routes_twice() -> None:
    """The very same bytes."""
    assert all(len(fate) == 2 and fate[0] == fate[1] for fate in fates(adversary("duplicate=1")))


def test_reorder_changes_places_with_the_next() -> None:
    """Nothing is lost: whatever is held comes after the one that follows."""
    hostile = adversary("reorder=0.5", seed=4)
    order = [routed.publication.payload for fate in fates(hostile) for routed in fate]
    sent = [message(number).payload for number in range(200)]

    assert order != sent
    assert set(sent) - set(order) <= {sent[-1]}
    assert all(abs(order.index(payload) - number) <= 200 for number, payload in enumerate(sent) if payload in order)


def test_replay_brings_back_an_earlier_one() -> None:
    """Beside the true one, which arrives first."""
    for number, fate in enumerate(fates(adversary("replay=1"))[1:], 1):
        true, old = (routed.publication for routed in fate)

        assert true.payload == message(number).payload
        assert old.payload in {message(earlier).payload for earlier in range(number)}


def test_redirect_moves_a_message_to_a_topic_that_was_seen() -> None:
    """Another caller's or another function's; its bytes stay."""
    for number, (routed,) in list(enumerate(fates(adversary("redirect=1"))))[2:]:
        assert routed.publication.topic == f"site/{'ba'[number % 2]}/in"
        assert routed.publication.payload == message(number).payload


def test_forge_changes_payload_or_properties() -> None:
    """In every way that it knows: flipped, grafted, invented, misaddressed."""
    hostile = adversary("forge=1")
    kinds: Counter[str] = Counter()
    for number, (routed,) in enumerate(fates(hostile, 400)):
        forged, true = routed.publication, message(number)
        if forged.payload == true.payload:
            kinds["misaddressed" if forged.correlation_data != true.correlation_data else "same"] += 1
        else:
            kinds["flipped" if len(forged.payload) == len(true.payload) else "other"] += 1

    assert kinds["misaddressed"] > 50
    assert kinds["flipped"] > 50
    assert kinds["other"] > 100
    assert kinds["same"] == 400 - hostile.counts[Power.FORGE]


def test_truncate_ends_a_payload_early() -> None:
    """Anywhere, at its very beginning too."""
    lengths = set()
    for number, (routed,) in enumerate(fates(adversary("truncate=1"))):
        assert message(number).payload.startswith(routed.publication.payload)
        lengths.add(len(routed.publication.payload))

    assert lengths == set(range(len(message(0).payload)))


def test_withhold_keeps_an_announcement_back() -> None:
    """For as long as the script says; messages pass."""
    hostile = adversary("withhold=1,withhold_s=3")

    assert hostile(announcement(1)) == [Routed(publication=announcement(1), delay_s=3)]
    assert hostile(message(2)) == [Routed(publication=message(2))]


def test_swap_shows_an_earlier_announcement_in_place_of_the_true_one() -> None:
    """An old epoch's, or another runtime's; the true one comes later."""
    hostile = adversary("swap=1,withhold_s=3")
    hostile(announcement(1))
    false, true = hostile(announcement(2, topic="site/b/state"))

    assert (false.publication.topic, false.publication.payload) == ("site/b/state", announcement(1).payload)
    assert false.publication.retain
    assert true == Routed(publication=announcement(2, topic="site/b/state"), delay_s=3)


def test_announcements_are_not_dropped_or_changed_otherwise() -> None:
    """Dropped for ever would only mean that nobody is served: that is known."""
    hostile = adversary("drop=1,forge=1,truncate=1,redirect=1")

    assert hostile(announcement(1)) == [Routed(publication=announcement(1))]


def test_only_the_named_topics_are_touched() -> None:
    """Others pass, whatever the rates."""
    hostile = adversary("drop=1,topics=site/b/#")

    assert hostile(message(1)) == (Routed(publication=message(1)),)
    assert hostile(message(2, topic="site/b/in")) == []


def test_a_script_is_read_as_it_is_written() -> None:
    """What a failing test prints is what repeats it."""
    text = "drop=0.02,replay=0.5,delay_s=0.25,withhold_s=4,topics=site/#"

    assert str(parse_script(text)) == text
    assert str(adversary(text, seed=9)) == f"--adversary '{text}' --seed 9"


@pytest.mark.parametrize(
    "text", ["", "drop", "drop=", "drop=2", "drop=nan", "steal=1", "drop=0.1,drop=0.2", "delay_s=-1", "topics=a/#/b"]
)
def test_what_is_no_script_is_refused(text: str) -> None:
    """A test that attacks nothing would prove nothing."""
    with pytest.raises(ConfigurationError):
        parse_script(text)


def test_the_matrix_is_each_power_and_each_pair() -> None:
    """Ten, and forty-five."""
    scripts = list(each_and_pairs(0.1))

    assert [len(script.rates) for script in scripts] == [1] * 10 + [2] * 45
    assert len({frozenset(script.rates) for script in scripts}) == 55


async def test_it_stands_in_the_brokers_way() -> None:
    """Between real clients on real sockets."""
    hostile = adversary("duplicate=1")
    async with LoopbackBroker(interceptor=hostile) as broker, RawClient(broker.port) as client:
        await client.connect("a")
        await client.subscribe("t")
        await client.publish("t", b"x")
        with anyio.fail_after(5):
            received = [(await client.take()).payload for _ in range(2)]

    assert received == [b"x", b"x"]


def test_a_hostile_process_says_what_it_did_and_how_to_repeat_it() -> None:
    """Its last line is what a failing test shows."""
    command = [sys.executable, "-m", "enclaved.mqtt.loopback", "--port=0", "--adversary=drop=1", "--seed=7"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.terminate()
        last, errors = process.communicate(timeout=20)

    assert json.loads(last) == {
        "event": "adversary",
        "repeat": "--adversary 'drop=1,delay_s=0.5,withhold_s=2,topics=#' --seed 7",
        "counts": dict.fromkeys(map(str, Power), 0),
    }
    assert "hostile on demand" in errors


def test_a_wrong_script_is_named_and_exits_2() -> None:
    """A broker that was to be hostile must not start as an honest one."""
    command = [sys.executable, "-m", "enclaved.mqtt.loopback", "--port=0", "--adversary=steal=1"]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=20, check=False)

    assert ended.returncode == 2
    assert "steal" in ended.stderr
