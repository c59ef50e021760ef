"""An epoch lives from its making to its end, by whichever clock says so first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from enclave_world import World, function
from enclaved.clock import system_random, unix_ms
from enclaved.enclave.epoch import Lifetime, make_keys
from enclaved.enclave.registry import Registry
from enclaved.errors import ConfigurationError
from enclaved.wire import hpke
from enclaved.wire.attestation import decode_attestation, evidence_digest
from enclaved.wire.bundle import bundle_digest, decode_bundle
from enclaved.wire.codec import encode


@pytest.fixture
def world() -> World:
    """An epoch of an hour, ten minutes of them beside the next."""
    return World()


def test_it_is_over_when_the_wall_clock_says_so(world: World) -> None:
    """The bundle's own end, to the millisecond."""
    world.clock.at += timedelta(seconds=3599.999)
    assert not world.epoch.is_over()
    world.clock.at += timedelta(milliseconds=1)

    assert world.epoch.is_over()


def test_it_is_over_when_the_monotonic_clock_says_so(world: World) -> None:
    """A wall clock that was set back does not keep keys alive."""
    world.clock.at -= timedelta(days=1)
    world.clock.seconds += 3599.9
    assert not world.epoch.is_over()
    world.clock.seconds += 0.1

    assert world.epoch.is_over()


def test_the_earlier_clock_counts(world: World) -> None:
    """For the end, and for when the next is due."""
    world.clock.at += timedelta(seconds=1000)
    world.clock.seconds += 2000

    assert world.epoch.remaining_s() == 1600
    assert world.epoch.renewal_due_in_s() == 1000


def test_the_next_is_due_an_overlap_before_the_end(world: World) -> None:
    """Callers learn of it while the old one still answers."""
    world.clock.pass_s(2999)
    assert world.epoch.renewal_due_in_s() > 0
    world.clock.pass_s(1)

    assert world.epoch.renewal_due_in_s() <= 0


def test_the_bundle_says_what_it_is(world: World) -> None:
    """Its bytes are the ones that are hashed and attested."""
    bundle = decode_bundle(world.epoch.keys.bundle_bytes)

    assert bundle == world.epoch.keys.bundle
    assert (bundle.namespace, bundle.runtime_id, bundle.epoch) == ("demo", "r1", 1)
    assert [key.suite for key in bundle.keys] == list(hpke.SUITES)
    assert bundle.not_before == unix_ms(world.clock.at)
    assert bundle.not_after - bundle.not_before == 3_600_000
    assert [entry.name for entry in bundle.functions] == ["echo", "other"]


def test_its_names_follow_from_its_bundle_and_its_evidence(world: World) -> None:
    """Key id, bundle digest, and the digest by which receipts name the attestation."""
    epoch = world.epoch

    assert epoch.bundle_digest == bundle_digest(epoch.keys.bundle_bytes)
    assert epoch.key_id == epoch.bundle_digest[:16]
    assert epoch.evidence_digest == evidence_digest(epoch.attestation)
    assert decode_attestation(epoch.attestation).bundle == epoch.keys.bundle_bytes


def test_two_epochs_share_no_key(world: World) -> None:
    """One key, one purpose, one bundle; only the boot is the same."""
    first, second = world.epoch.keys.bundle, world.make_epoch(2).keys.bundle

    assert {key.public_key for key in first.keys}.isdisjoint(key.public_key for key in second.keys)
    assert first.receipt_public_key != second.receipt_public_key
    assert first.boot_id == second.boot_id


def test_an_answered_challenge_is_bound_to_its_nonce(world: World) -> None:
    """And to the same bundle; without one it is bound to the bundle alone."""
    keys = world.epoch.keys

    assert len({keys.binding(), keys.binding(bytes(32)), keys.binding(bytes(31) + b"\1")}) == 3


def test_its_keys_do_not_show_themselves(world: World) -> None:
    """A representation ends up in logs, and logs are the host's to read."""
    assert "PrivateKey" not in repr(world.epoch.keys)
    assert repr(world.epoch.keys).startswith("<")


def test_a_bundle_that_callers_could_not_read_is_not_attested(world: World) -> None:
    """Many functions with long names pass the number of functions and not the size of a bundle."""
    functions = [function("n" * 61 + f"{number:03}") for number in range(256)]
    with pytest.raises(ConfigurationError) as refused:
        make_keys(
            world.identity,
            epoch=1,
            functions=tuple(each.entry(isolation="restricted") for each in functions),
            lifetime=Lifetime(),
            host_time=world.clock.now(),
            random=system_random,
        )

    assert refused.value.remedy


def test_a_bundles_listed_callers_are_its_sessions(world: World) -> None:
    """The epoch's registry decides who is listed."""
    assert world.epoch.registry == Registry.of(world.functions)
    assert len(encode(world.epoch.keys.bundle)) == len(world.epoch.keys.bundle_bytes)
