"""What becomes of each message, one thing turned at a time."""

from __future__ import annotations

import pytest
from enclave_world import (
    REPLY_TOPIC,
    CallerSide,
    World,
    caller_key,
    executed,
    flipped,
    function,
    recipient_key,
    reencoded,
)
from enclaved.clock import system_random
from enclaved.enclave.core import Dead, Dropped, Joined, Replied, Run
from enclaved.enclave.sessions import SessionBounds
from enclaved.enclave.window import WINDOW_WIDTH
from enclaved.wire import hpke
from enclaved.wire.codec import encode
from enclaved.wire.header import split_result
from enclaved.wire.limits import MAX_EXPIRY_MS, MAX_SEQUENCE
from enclaved.wire.session import make_offer, session_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def world() -> World:
    """An enclave that runs `echo` and `other`, for anybody."""
    return World()


@pytest.fixture
def caller(world: World) -> CallerSide:
    """An anonymous caller's session."""
    return world.caller()


def test_a_good_invocation_starts_its_function(world: World, caller: CallerSide) -> None:
    """The one good value that every other test here turns one thing of."""
    run = world.start(caller.call(b"hello"))

    assert run.request.body.payload == b"hello"
    assert run.function.manifest.name == "echo"


@pytest.mark.parametrize("suite", hpke.SUITES)
def test_a_session_of_each_suite_is_answered(world: World, suite: str) -> None:
    """The bundle's keys of all suites open sessions."""
    call = world.caller(suite=suite).call()

    assert call.opened(world.answer(call, b"done")).output == b"done"


# --- what cannot be read, and what is for somebody else


@given(data=st.binary(max_size=300))
def test_no_bytes_escape_as_an_exception(data: bytes) -> None:
    """A stranger's bytes are dropped; an exception here would be a stranger's way to stop the enclave."""
    assert isinstance(_QUIET.admit(data), Dropped)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_no_turned_bit_starts_anything(at: int, bit: int) -> None:
    """Every bit of a message is parsed, routed by, or authenticated."""
    world = World()
    message = bytearray(world.caller().call().message)
    message[at % len(message)] ^= 1 << bit

    admission = world.admit(bytes(message))

    assert not isinstance(admission, Run | Replied | Joined)
    assert len(world.epoch.sessions) == 0


_QUIET = World()


def test_another_runtimes_invocation_is_dropped(world: World, caller: CallerSide) -> None:
    """Two runtimes may serve one topic; only the one that is named says anything."""
    assert isinstance(world.admit(caller.call(runtime_id="r2").message), Dropped)


def test_an_unknown_key_is_hinted(world: World, caller: CallerSide) -> None:
    """The caller can fetch the new attestation, verify it, and seal again."""
    hint = world.hinted(caller.call(key_id=bytes(16), sequence=7).message)

    assert (hint.hint, hint.session_id, hint.sequence) == ("key_unknown", caller.keys.session_id, 7)


@pytest.mark.parametrize("turned", [{"key_id": bytes(16)}, {"session_id": bytes(16)}])
def test_an_event_that_nobody_can_be_told_about_is_dead(
    world: World, caller: CallerSide, turned: dict[str, object]
) -> None:
    """It is lost, so the host has to record it."""
    call = caller.call(response_topic=None)
    header = reencoded(caller.header(response_topic=None), **turned)
    message = call.with_header(header) if "key_id" in turned else _without_offer(call, header)

    assert isinstance(world.admit(message), Dead)


def test_a_malformed_event_is_dropped(world: World, caller: CallerSide) -> None:
    """There is no topic to hint on; what never opened anywhere is no loss."""
    call = caller.call(response_topic=None)

    assert isinstance(world.admit(call.with_ciphertext(flipped(call.sealed.ciphertext))), Dropped)


def test_an_unknown_session_without_its_offer_is_hinted(world: World, caller: CallerSide) -> None:
    """The caller sends it once more with the offer."""
    assert world.hint(caller.call().with_offer(None)) == "session_unknown"


# --- what is not authentic


@pytest.mark.parametrize(
    "turned",
    [
        {"sequence": 1},
        {"function": "other"},
        {"response_topic": REPLY_TOPIC + "x"},
        {"expires_at": 1},
        {"evidence": "full"},
        {"sequence": 9, "verified_below": 5},
    ],
    ids=lambda turned: "-".join(turned),
)
def test_a_tampered_header_is_malformed(world: World, caller: CallerSide, turned: dict[str, object]) -> None:
    """Every field that the host can read is authenticated with the ciphertext; a sequence is also its nonce."""
    call = caller.call()

    assert world.hint(call.with_header(reencoded(caller.header(), **turned))) == "malformed"


def test_a_header_encoded_otherwise_is_malformed(world: World, caller: CallerSide) -> None:
    """The very bytes are authenticated, not what they mean."""
    header = caller.call().sealed.header
    longer = b"\xde\x00" + bytes([header[0] & 0x0F]) + header[1:]  # map 16 in place of fixmap: the same map

    assert world.hint(caller.call().with_header(longer)) == "malformed"


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_tampered_ciphertext_is_malformed(world: World, caller: CallerSide, at: int) -> None:
    """Its first byte, its middle, its tag."""
    call = caller.call()

    assert world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext, at))) == "malformed"


@pytest.mark.parametrize("ciphertext", [b"", b"x", bytes(16)])
def test_a_ciphertext_too_short_to_be_one_is_malformed(world: World, caller: CallerSide, ciphertext: bytes) -> None:
    """The library's complaint is mapped like any other."""
    assert world.hint(caller.call().with_ciphertext(ciphertext)) == "malformed"


def test_an_offer_of_another_session_is_malformed(world: World, caller: CallerSide) -> None:
    """The id is recomputed from the offer: a header cannot borrow it."""
    assert world.hint(caller.call().with_offer(world.caller().offer)) == "malformed"


def test_an_offer_of_another_session_is_malformed_in_an_open_session_too(world: World, caller: CallerSide) -> None:
    """The check does not depend on whether the offer is needed."""
    world.answer(caller.call())

    assert world.hint(caller.call(sequence=1).with_offer(world.caller().offer)) == "malformed"


def test_an_offer_sealed_to_another_bundle_is_malformed(world: World) -> None:
    """The bundle's digest is in HPKE's info: under another bundle the offer does not open."""
    foreign = world.caller(epoch=World().epoch)

    assert world.hint(foreign.call(key_id=world.epoch.key_id).message) == "malformed"


def test_an_offer_of_a_bundle_with_the_same_keys_is_malformed(world: World) -> None:
    """Even with the very same public key, the offer belongs to the bundle that was verified."""
    public = next(each.public_key for each in world.epoch.keys.bundle.keys if each.suite == "x25519")
    offer, keys = make_offer(suite="x25519", public_key=public, bundle_digest=bytes(32), random=system_random)
    foreign = CallerSide(key_id=world.epoch.key_id, clock=world.clock, offer=offer, keys=keys)

    assert world.hint(foreign.call().message) == "malformed"


@pytest.mark.parametrize("suite", ["x25519", "none"])
def test_an_offer_that_is_none_is_malformed(world: World, caller: CallerSide, suite: str) -> None:
    """Sealed noise and an unknown suite look the same from outside."""
    offer = encode({"suite": suite, "sealed": bytes(112)})
    call = caller.call()
    header = reencoded(caller.header(), session_id=session_id(offer))
    message = encode((header, offer, call.sealed.ciphertext))

    assert world.hint(message) == "malformed"


# --- which epoch


def test_an_epoch_whose_bundle_ended_by_the_wall_clock_opens_nothing(world: World, caller: CallerSide) -> None:
    """A bundle is good until its end, and no message later."""
    world.clock.at = world.clock.at.replace(hour=13)

    assert world.hint(caller.call().message) == "key_unknown"


def test_an_epoch_whose_bundle_ended_by_the_monotonic_clock_opens_nothing(world: World, caller: CallerSide) -> None:
    """A host that sets its clock back does not make keys live longer."""
    world.clock.seconds += 3600
    world.clock.at = world.clock.at.replace(hour=11)

    assert world.hint(caller.call().message) == "key_unknown"


def test_the_old_epoch_answers_until_its_end(world: World, caller: CallerSide) -> None:
    """What was sealed to it before the new one came is not lost."""
    world.clock.pass_s(3000)
    world.begin_epoch()

    assert isinstance(world.admit(caller.call().message), Run)
    world.clock.pass_s(601)
    world.core.end_epochs()
    assert len(world.core.epochs) == 1
    assert world.hint(caller.call(sequence=1).message) == "key_unknown"


def test_a_session_belongs_to_one_epoch(world: World, caller: CallerSide) -> None:
    """The new epoch's keys do not open what was sealed to the old one's."""
    world.answer(caller.call())
    new = world.begin_epoch()

    assert world.hint(caller.call(sequence=1, key_id=new.key_id).message) == "malformed"
    assert world.hint(caller.call(sequence=1, key_id=new.key_id).with_offer(None)) == "session_unknown"


def test_the_number_of_epochs_is_bounded(world: World) -> None:
    """Strangers can make new epochs come early; each holds sessions and answers until it ends."""
    first = world.caller()
    for _ in range(50):
        world.begin_epoch()

    assert len(world.core.epochs) <= 4
    assert world.hint(first.call().message) == "key_unknown"


def test_an_invocation_outlives_its_epoch(world: World, caller: CallerSide) -> None:
    """It started in time; its caller gets the answer although the epoch and its functions are gone."""
    call = caller.call()
    run = world.start(call)
    world.begin_epoch()
    world.clock.pass_s(4000)
    world.core.end_epochs()
    world.loads.clear()

    answered, waiters = world.core.finish(run, executed(b"late"))

    assert call.opened(answered.reply).output == b"late"
    assert waiters == ["waiter"]


def test_an_invocation_that_could_not_start_before_its_epoch_ended_is_refused(world: World, caller: CallerSide) -> None:
    """The refusal is sealed like any other."""
    call = caller.call()
    run = world.start(call)
    world.loads.clear()

    answered, _ = world.core.refuse_unstarted(run, "isolation_unavailable")

    assert call.opened(answered.reply).code == "isolation_unavailable"


# --- refusals


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


# --- repeats


def test_a_repeat_of_a_running_invocation_joins_it(world: World, caller: CallerSide) -> None:
    """It does not run twice, and both deliveries get the answer."""
    call = caller.call()
    run = world.start(call, waiter="first")

    assert isinstance(world.admit(call.message, waiter="second"), Joined)
    _, waiters = world.core.finish(run, executed())
    assert waiters == ["first", "second"]


def test_a_repeat_of_an_answered_invocation_gets_the_same_bytes(world: World, caller: CallerSide) -> None:
    """A second run could have a second effect, and a second answer could differ."""
    call = caller.call()
    reply = world.answer(call)

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_repeat_without_the_offer_gets_the_same_bytes(world: World, caller: CallerSide) -> None:
    """Only header and ciphertext name a request; the offer may come and go."""
    call = caller.call()
    reply = world.answer(call)

    assert world.admit(call.with_offer(None)) == Replied(reply=reply, outputs=(), refused=False)


def test_a_repeat_of_an_event_gets_its_outputs_again() -> None:
    """The host may have died before it published them; recipients drop repeats by the invocation id."""
    _, recipient = recipient_key()
    world = World([function("echo", more=f'[output]\ntopic = "alarms"\nrecipients = ["{recipient}"]\n')])
    call = world.caller().call()
    answered, _ = world.core.finish(world.start(call), executed())

    repeated = world.admit(call.message)

    assert isinstance(repeated, Replied)
    assert (repeated.reply, repeated.outputs) == (answered.reply, answered.outputs)
    assert [output.topic for output in repeated.outputs] == ["alarms"]


def test_a_repeat_of_what_the_caller_has_verified_is_told_that_it_is_gone(world: World, caller: CallerSide) -> None:
    """The caller said that it needs it no more; to send it again is the network's doing."""
    call = caller.call()
    world.answer(call)
    world.answer(caller.call(sequence=1, verified_below=1))

    assert world.code(call) == "answer_gone"


def test_a_repeat_of_an_answer_that_the_full_cache_dropped_is_told_so() -> None:
    """Nothing is refused because the cache is full; the caller seals anew under the same invocation id."""
    world = World(bounds=SessionBounds(session_answer_bytes=3000))
    caller = world.caller()
    first = caller.call()
    for call in [first, *(caller.call(sequence=number) for number in range(1, 5))]:
        world.answer(call, b"x" * 600)

    assert world.code(first) == "answer_gone"


def test_a_sequence_outside_the_window_is_replayed(world: World, caller: CallerSide) -> None:
    """It is too old to tell new from seen, and so is not run."""
    old = caller.call()
    world.answer(caller.call(sequence=WINDOW_WIDTH))

    assert world.code(old) == "replayed"


def test_the_last_sequence_inside_the_window_is_new(world: World, caller: CallerSide) -> None:
    """The window's edge, from within."""
    old = caller.call(sequence=1)
    world.answer(caller.call(sequence=WINDOW_WIDTH))

    assert isinstance(world.admit(old.message), Run)


def test_the_greatest_sequence_is_taken(world: World, caller: CallerSide) -> None:
    """The window's arithmetic holds where the numbers end."""
    assert isinstance(world.admit(caller.call(sequence=MAX_SEQUENCE).message), Run)
    assert world.code(caller.call(sequence=MAX_SEQUENCE - WINDOW_WIDTH)) == "replayed"


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "running"])
def test_another_text_under_a_used_sequence_is_replayed(world: World, caller: CallerSide, *, answered: bool) -> None:
    """One sequence is sealed once; whoever seals it twice gets neither answer."""
    first = caller.call(b"one text")
    if answered:
        world.answer(first)
    else:
        world.start(first)

    assert world.code(caller.call(b"another")) == "replayed"


def test_another_text_does_not_join_the_one_that_runs(world: World, caller: CallerSide) -> None:
    """The one that runs is answered as if nothing had come between."""
    first = caller.call(b"one text")
    run = world.start(first)
    world.admit(caller.call(b"another").message, waiter="other")

    answered, waiters = world.core.finish(run, executed(b"done"))

    assert waiters == ["waiter"]
    assert first.opened(answered.reply).output == b"done"


def test_one_session_never_gets_anothers_answer(world: World) -> None:
    """Sequence and invocation id may be the same: the session is not, and its request runs itself."""
    first, second = world.caller(), world.caller()
    world.answer(first.call(b"secret"), b"of the first")

    admission = world.admit(second.call(b"secret").message)

    assert isinstance(admission, Run)


def test_a_request_under_another_sessions_id_is_malformed(world: World) -> None:
    """A caller cannot reach into another's session, even when it knows its id and offer."""
    victim, thief = world.caller(), world.caller()
    world.answer(victim.call())
    header = reencoded(thief.header(), session_id=victim.keys.session_id, sequence=1)
    call = thief.call(sequence=1)

    assert world.hint(call.with_header(header)) == "malformed"
    assert world.hint(encode((header, victim.offer, call.sealed.ciphertext))) == "malformed"


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["deliver", "finish", "refuse"]), st.integers(0, 11)), min_size=5, max_size=60
    )
)
def test_whatever_the_network_repeats_nothing_runs_twice(steps: list[tuple[str, int]]) -> None:
    """Twelve sealed calls of two sessions, delivered in any order and number: one run and one answer each."""
    world = World(parallel=100, waiting=100)
    callers = [world.caller(), world.caller()]
    calls = [caller.call(sequence=number) for number in range(6) for caller in callers]
    runs: dict[int, Run] = {}
    waiting: dict[int, int] = {}
    replies: dict[int, bytes] = {}
    for step, which in steps:
        if step == "deliver":
            match world.admit(calls[which].message, waiter=which):
                case Run() as run:
                    assert which not in waiting
                    runs[which], waiting[which] = run, 1
                case Joined():
                    assert which in runs
                    waiting[which] += 1
                case Replied(reply=reply):
                    assert reply == replies[which]
                case other:
                    pytest.fail(f"{other}")
        elif which in runs:
            run = runs.pop(which)
            answered, waiters = (
                world.core.finish(run, executed())
                if step == "finish"
                else world.core.refuse_unstarted(run, "overloaded")
            )
            assert waiters == [which] * waiting[which]
            replies[which] = answered.reply
    for which, reply in replies.items():
        assert calls[which].opened(reply).code in ("ok", "overloaded")


# --- forged messages change nothing


def test_a_forged_message_does_not_move_the_window(world: World, caller: CallerSide) -> None:
    """Or anybody could shut a session's sequences out."""
    call = caller.call()
    world.answer(call)
    header = reencoded(caller.header(), sequence=100 * WINDOW_WIDTH)
    assert world.hint(call.with_header(header)) == "malformed"

    assert isinstance(world.admit(caller.call(sequence=1).message), Run)


def test_a_forged_message_does_not_drop_answers(world: World, caller: CallerSide) -> None:
    """`verified_below` is the caller's word, once it is authentic."""
    call = caller.call()
    reply = world.answer(call)
    world.hint(call.with_header(reencoded(caller.header(), sequence=9, verified_below=9)))

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_forged_message_uses_up_no_sequence(world: World, caller: CallerSide) -> None:
    """The genuine message under that number still runs."""
    call = caller.call()
    world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext)))

    assert isinstance(world.admit(call.message), Run)


def test_a_forged_message_joins_nothing(world: World, caller: CallerSide) -> None:
    """The answer goes to those who handed in the genuine request."""
    call = caller.call()
    run = world.start(call, waiter="genuine")
    world.core.admit(call.with_ciphertext(flipped(call.sealed.ciphertext)), waiter="forger")

    assert world.core.finish(run, executed())[1] == ["genuine"]


def test_a_copied_offer_with_a_forged_text_opens_no_session(world: World, caller: CallerSide) -> None:
    """Offers are public: a place in the table is for who can also seal."""
    call = caller.call()
    world.hint(call.with_ciphertext(flipped(call.sealed.ciphertext)))

    assert len(world.epoch.sessions) == 0


def test_a_forged_message_does_not_keep_a_session_alive() -> None:
    """Who is evicted is decided by authentic messages alone."""
    world = World(bounds=SessionBounds(sessions=4))
    first, second, third = world.caller(), world.caller(), world.caller()
    world.answer(first.call())
    world.answer(second.call())
    forged = first.call(sequence=1)
    world.hint(forged.with_ciphertext(flipped(forged.sealed.ciphertext)))
    world.answer(third.call())

    assert world.hint(first.call(sequence=2).with_offer(None)) == "session_unknown"
    assert isinstance(world.admit(second.call(sequence=1).with_offer(None)), Run)


def test_an_authentic_message_keeps_a_session_alive() -> None:
    """The one unused longest goes first."""
    world = World(bounds=SessionBounds(sessions=4))
    first, second, third = world.caller(), world.caller(), world.caller()
    world.answer(first.call())
    world.answer(second.call())
    world.answer(first.call(sequence=1))
    world.answer(third.call())

    assert world.hint(second.call(sequence=1).with_offer(None)) == "session_unknown"


# --- sessions that are gone


def test_the_offer_of_an_evicted_session_never_opens_again() -> None:
    """It would have a new window, and the network's old copies would run again."""
    world = World(bounds=SessionBounds(sessions=2))
    evicted = world.caller()
    call = evicted.call()
    world.answer(call)
    world.answer(world.caller().call())

    assert world.hint(call.message) == "session_unknown"


def test_a_known_offer_starts_no_new_window(world: World, caller: CallerSide) -> None:
    """It may ride along with every message; it was opened once."""
    call = caller.call()
    reply = world.answer(call)
    world.answer(caller.call(sequence=1))

    assert world.admit(call.message) == Replied(reply=reply, outputs=(), refused=False)


def test_a_full_table_asks_for_a_new_epoch() -> None:
    """When no more evictions can be remembered, new offers wait for the next bundle."""
    world = World(bounds=SessionBounds(sessions=2, evicted=0))
    world.answer(world.caller().call())

    assert world.hint(world.caller().call().message) == "key_unknown"
    assert world.core.wants_new_epoch
    world.begin_epoch()
    assert not world.core.wants_new_epoch


def test_strangers_leave_the_listed_callers_half_open() -> None:
    """However many offers strangers send, a listed caller still gets a session under the same bundle."""
    key, listed = caller_key()
    world = World(
        [function("echo"), function("other", callers=f'["{listed}"]')], bounds=SessionBounds(sessions=4, evicted=3)
    )
    for _ in range(8):
        world.admit(world.caller().call(function="nothing").message)

    assert isinstance(world.admit(world.caller(key=key).call(function="other").message), Run)


# --- the attestation rides along


def test_the_attestation_comes_with_the_first_answer(world: World, caller: CallerSide) -> None:
    """That is when the caller needs it; the offer says so."""
    assert split_result(world.answer(caller.call())).attestation == world.epoch.attestation


def test_later_answers_leave_it_out(world: World, caller: CallerSide) -> None:
    """It is kilobytes, and the caller has it."""
    world.answer(caller.call())
    later = caller.call(sequence=1)
    run = world.admit(later.with_offer(None))
    assert isinstance(run, Run)

    assert split_result(world.core.finish(run, executed())[0].reply).attestation is None


def test_it_comes_whenever_it_is_asked_for(world: World, caller: CallerSide) -> None:
    """`evidence: full` in the authenticated header."""
    world.answer(caller.call())
    run = world.admit(caller.call(sequence=1, evidence="full").with_offer(None))
    assert isinstance(run, Run)

    assert split_result(world.core.finish(run, executed())[0].reply).attestation == world.epoch.attestation


def _without_offer(call: object, header: bytes) -> bytes:
    return encode((header, None, call.sealed.ciphertext))  # type: ignore[attr-defined]
