"""What is refused, sealed, and why."""

from __future__ import annotations

from enclave_world import (
    CallerSide,
    World,
    caller_key,
    function,
    reencoded,
)
from enclaved.enclave.core import Run
from enclaved.wire import hpke
from enclaved.wire.codec import encode
from enclaved.wire.limits import MAX_EXPIRY_MS
from enclaved.wire.session import session_id


def test_an_unknown_function_is_refused(world: World, caller: CallerSide) -> None:
    """Sealed: the host learns that it was refused, and not why."""
    call = caller.call(function="nothing")

    assert world.code(call) == "function_unknown"


def test_a_refusal_is_repeated_as_it_was(world: World, caller: CallerSide) -> None:
    """A repeat gets the very same bytes, as after an answer."""
    call = caller.call(function="nothing")

    assert world.admit(call.message) == world.admit(call.message)


def test_a_refusal_says_nothing_of_a_run(world: World, caller: CallerSide) -> None:
    """There is no receipt for what did not run."""
    call = caller.call(function="nothing", invocation_id=bytes(range(16)))

    body = call.opened(world.admit(call.message))

    assert (body.status, body.receipt, body.output, body.log) == ("refused", None, b"", b"")
    assert body.invocation_id == bytes(range(16))


def test_a_stranger_may_not_call_a_listed_function() -> None:
    """A list of callers is a list: nobody else, proven or not."""
    _, listed = caller_key()
    stranger, _ = caller_key()
    world = World([function("echo", callers=f'["{listed}"]')])

    assert world.code(world.caller().call()) == "caller_refused"
    assert world.code(world.caller(key=stranger).call()) == "caller_refused"


def test_a_listed_caller_may_call() -> None:
    """The key was proven with the offer; the session carries it."""
    key, listed = caller_key()
    world = World([function("echo", callers=f'["{listed}"]')])
    caller = world.caller(key=key)

    assert isinstance(world.admit(caller.call().message), Run)
    assert isinstance(world.admit(caller.call(sequence=1).with_offer(None)), Run)


def test_a_caller_of_one_function_is_not_one_of_another() -> None:
    """Who is authorised is asked for each invocation, by the authenticated header's function."""
    key, listed = caller_key()
    _, other = caller_key()
    world = World([function("echo", callers=f'["{listed}"]'), function("other", callers=f'["{other}"]')])
    caller = world.caller(key=key)

    assert isinstance(world.admit(caller.call().message), Run)
    assert world.code(caller.call(sequence=1, function="other")) == "caller_refused"


def test_a_proof_lifted_from_another_session_opens_nothing() -> None:
    """It is a signature over the secret that was opened: whoever saw one cannot use it for his own."""
    key, listed = caller_key()
    world = World([function("echo", callers=f'["{listed}"]')])
    public = next(each.public_key for each in world.epoch.keys.bundle.keys if each.suite == "x25519")
    signature = key.sign(b"something else")
    secret = {
        "secret": bytes(32),
        "caller_proof": {"public_key": key.public_key().public_bytes_raw(), "signature": signature},
    }
    info = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"enclaved/1 session", b"x25519", world.epoch.bundle_digest)
    )
    offer = encode(
        {"suite": "x25519", "sealed": hpke.seal(encode(secret), suite="x25519", public_key=public, info=info)}
    )
    thief = world.caller()
    header = reencoded(thief.header(), session_id=session_id(offer))

    assert world.hint(encode((header, offer, thief.call().sealed.ciphertext))) == "malformed"


def test_an_input_over_the_functions_limit_is_refused() -> None:
    """The manifest's own limit, below the protocol's."""
    world = World([function("echo", more="[limits]\ninput_bytes = 10\n")])
    caller = world.caller()

    assert isinstance(world.admit(caller.call(b"x" * 10).message), Run)
    assert world.code(caller.call(b"x" * 11, sequence=1)) == "input_too_large"


def test_what_has_expired_is_not_started(world: World, caller: CallerSide) -> None:
    """Its caller waits no more."""
    call = caller.call()
    world.clock.pass_s(60)

    assert world.code(call) == "expired"


def test_a_far_expiry_is_cut(world: World, caller: CallerSide) -> None:
    """Nothing waits longer than an hour for its start, whatever it says."""
    run = world.start(caller.call(expires_at=world.clock.ms() + 10 * MAX_EXPIRY_MS))

    assert run.start_within_s <= MAX_EXPIRY_MS / 1000


def test_more_than_can_wait_is_refused_early(world: World, caller: CallerSide) -> None:
    """Two run, two wait; the fifth is told so while its caller can still do something."""
    for sequence in range(4):
        world.start(caller.call(sequence=sequence))

    assert world.code(caller.call(sequence=4)) == "overloaded"


def test_a_busy_function_holds_up_only_itself(world: World, caller: CallerSide) -> None:
    """Loads are counted by function."""
    for sequence in range(4):
        world.start(caller.call(sequence=sequence))

    assert isinstance(world.admit(caller.call(sequence=4, function="other").message), Run)
