"""Discovery: which runtimes there are, and which of them the policy lets us seal to.

What is announced is verified first; then, where the policy demands it, the runtime
chosen has to answer a nonce of our own with fresh evidence for the same bundle. Both
are done once for each bundle, and looked at again for validity and age each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import anyio

from enclaved.caller.announcements import Announcements
from enclaved.caller.challenges import ChallengeAnswer, Challenges
from enclaved.caller.outcome import NoAnswer
from enclaved.caller.progress import Progress, ProgressObserver, Step
from enclaved.caller.reactions import resend_delay
from enclaved.caller.surroundings import Surroundings
from enclaved.caller.trust import Trust, Vetting
from enclaved.errors import AppraisalError, EvidenceError
from enclaved.verifier.attestation import VerifiedAttestation, check_current, check_function
from enclaved.wire.attestation import NONCE_SIZE
from enclaved.wire.bundle import FunctionEntry

__all__ = ["Candidate", "Chosen", "Discovery"]

_SETTLE_S = 0.1  # retained announcements follow the subscription at once; a random choice waits for all of them
_REFUSE_S = 0.5  # how long a better announcement is waited for before a refusal is final
_SHARE_S = 2.0  # for a challenge while other candidates are left; a slow TPM signs within one
_MAX_TRUSTS = 128

Refusal = EvidenceError | AppraisalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A runtime that is announced, and what the policy says to it.

    Attributes:
        runtime_id: the runtime's name.
        attestation: what it announces, as it came.
        verified: the same, verified, with its verdict; None where it was refused.
        refusal: why it was refused, or None.
    """

    runtime_id: str
    attestation: bytes
    verified: VerifiedAttestation | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A runtime that may be sealed to.

    Attributes:
        trust: its verified bundle.
        entry: the function there, as the policy accepts it.
    """

    trust: Trust
    entry: FunctionEntry


class Discovery:
    """The runtimes of one namespace, as one caller's policy sees them."""

    def __init__(
        self,
        *,
        announcements: Announcements,
        challenges: Challenges,
        vetting: Vetting,
        surroundings: Surroundings,
        observer: ProgressObserver,
    ) -> None:
        self._announcements = announcements
        self._challenges = challenges
        self._vetting = vetting
        self._clock = surroundings.clock
        self._random = surroundings.random
        self._observer = observer
        self._started = anyio.current_time()
        self._candidates: dict[str, Candidate] = {}
        self._trusts: dict[bytes, Trust] = {}
        self._locks: dict[str, anyio.Lock] = {}  # of runtimes that were accepted: nobody else fills it

    async def find(self, function: str, *, runtime_id: str | None, timeout_s: float) -> Chosen:
        """Choose a runtime for a function: the one named, or one at random of those that may run it.

        Args:
            function: the function's name.
            runtime_id: the runtime's name, or None for any.
            timeout_s: how long to wait for one, in seconds.

        Returns:
            The choice.

        Raises:
            EvidenceError: there are runtimes, and the evidence of none is authentic.
            AppraisalError: there are, and the policy accepts none, or not this function there.
            NoAnswer: none was announced, or none answered the challenge, in time.
            TransportError: the broker refused the challenge.
        """
        deadline = anyio.current_time() + timeout_s
        self._observer(Progress(step=Step.DISCOVERING, runtime_id=runtime_id or ""))
        while True:
            usable, refusals = await self._usable(function, runtime_id)
            now = anyio.current_time()
            if usable and (runtime_id is not None or now >= self._started + _SETTLE_S):
                try:
                    return await self._choose(usable, function, timeout_s=timeout_s, deadline=deadline)
                except _SupersededError:
                    continue  # it was started anew meanwhile: its new bundle is looked at from the start
            wake = self._started + (_SETTLE_S if usable else _REFUSE_S)
            if refusals and now >= min(wake, deadline):
                raise refusals[0]
            if now >= deadline:
                raise NoAnswer("runtime", timeout_s=timeout_s)
            await self._announcements.changed.wait(until=min(wake, deadline) if usable or refusals else deadline)

    async def present(self, runtime_id: str, *, timeout_s: float) -> Trust | None:
        """Return trust in what a runtime announces at present, or None where that is not to be trusted.

        A bundle that is trusted already is not challenged again: a forged hint must not make
        the hardware sign.

        Raises:
            EvidenceError: what it announces is not authentic.
            AppraisalError: the policy refuses it.
            NoAnswer: it did not answer the challenge in time.
            TransportError: the broker refused the challenge.
        """
        deadline = anyio.current_time() + timeout_s
        while True:
            candidate = await self._vet(runtime_id)
            if candidate is None:
                return None
            if candidate.verified is None:
                raise _fresh(candidate)
            try:
                return await self._trust(candidate.verified, timeout_s=deadline - anyio.current_time())
            except _SupersededError:
                continue

    async def candidates(self) -> tuple[Candidate, ...]:
        """Return all runtimes that are announced, with the policy's word on each."""
        await anyio.sleep(max(0.0, self._started + _REFUSE_S - anyio.current_time()))
        vetted = [await self._vet(runtime_id) for runtime_id in self._announcements.runtimes]
        return tuple(candidate for candidate in vetted if candidate is not None)

    async def _usable(self, function: str, runtime_id: str | None) -> tuple[list[VerifiedAttestation], list[Refusal]]:
        usable: list[VerifiedAttestation] = []
        refusals: list[Refusal] = []
        for name in self._announcements.runtimes if runtime_id is None else (runtime_id,):
            candidate = await self._vet(name)
            if candidate is None:
                continue
            if candidate.verified is None:
                refusals.append(_fresh(candidate))
                continue
            try:
                check_function(candidate.verified, self._vetting.policy, function)
                usable.append(candidate.verified)
            except AppraisalError as error:
                refusals.append(error)
        return usable, refusals

    async def _vet(self, runtime_id: str) -> Candidate | None:
        """Verify what a runtime announces, once for the same bytes; validity and age each time."""
        encoded = self._announcements.latest(runtime_id)
        if encoded is None:
            self._candidates.pop(runtime_id, None)
            return None
        candidate = self._candidates.get(runtime_id)
        if candidate is None or candidate.attestation != encoded:
            candidate = await anyio.to_thread.run_sync(partial(self._verify, runtime_id, encoded))
            self._candidates[runtime_id] = candidate
        if candidate.verified is not None:
            try:
                check_current(candidate.verified, self._vetting.policy, at=self._clock.now())
            except (EvidenceError, AppraisalError) as error:
                return Candidate(runtime_id=runtime_id, attestation=encoded, verified=None, refusal=error)
        return candidate

    def _verify(self, runtime_id: str, encoded: bytes) -> Candidate:
        try:
            verified = self._vetting.announced(encoded, runtime_id=runtime_id, at=self._clock.now())
        except (EvidenceError, AppraisalError) as error:
            return Candidate(runtime_id=runtime_id, attestation=encoded, verified=None, refusal=error)
        return Candidate(runtime_id=runtime_id, attestation=encoded, verified=verified, refusal=None)

    async def _choose(
        self, usable: list[VerifiedAttestation], function: str, *, timeout_s: float, deadline: float
    ) -> Chosen:
        """Take candidates in random order until one proves fresh."""
        failure: Refusal | NoAnswer = NoAnswer("challenge", timeout_s=timeout_s)
        left = list(usable)
        while left:
            verified = left.pop(int.from_bytes(self._random(8), "big") % len(left))
            remaining_s = deadline - anyio.current_time()
            share_s = remaining_s if not left else _SHARE_S
            try:
                trust = await self._trust(verified, timeout_s=min(share_s, remaining_s))
            except (EvidenceError, AppraisalError, NoAnswer) as error:
                failure = error
                continue
            return Chosen(trust=trust, entry=check_function(trust.verified, self._vetting.policy, function))
        raise failure

    async def _trust(self, announced: VerifiedAttestation, *, timeout_s: float) -> Trust:
        deadline = anyio.current_time() + timeout_s
        lock = self._locks.setdefault(announced.bundle.runtime_id, anyio.Lock())
        with anyio.CancelScope(deadline=deadline) as waiting:
            await lock.acquire()  # invocations that start together challenge a runtime once
        if waiting.cancelled_caught:
            raise NoAnswer("challenge", timeout_s=timeout_s)
        try:
            trust = self._trusts.get(announced.bundle_digest)
            if trust is None:
                trust = await self._make_trust(announced, timeout_s=timeout_s, deadline=deadline)
                self._keep(trust)
        finally:
            lock.release()
        trust.learn(announced.encoded)
        return trust

    async def _make_trust(self, announced: VerifiedAttestation, *, timeout_s: float, deadline: float) -> Trust:
        if self._vetting.policy.freshness.challenge:
            trust = await self._challenge(announced, timeout_s=timeout_s, deadline=deadline)
        else:
            trust = self._vetting.trusted(announced, announced=announced)
        self._observer(Progress(step=Step.VERIFIED, runtime_id=trust.runtime_id))
        return trust

    async def _challenge(self, announced: VerifiedAttestation, *, timeout_s: float, deadline: float) -> Trust:
        runtime_id, nonce, sent = announced.bundle.runtime_id, self._random(NONCE_SIZE), 0
        failure: Refusal | None = None
        with self._challenges.expect(nonce) as answer:
            while anyio.current_time() < deadline:
                if self._announcements.latest(runtime_id) not in (None, announced.encoded):
                    raise _SupersededError  # what was announced first may be of an enclave that is gone
                again = min(anyio.current_time() + resend_delay(sent), deadline)
                sent += 1
                with anyio.CancelScope(deadline=again):
                    await self._challenges.send(runtime_id, nonce)
                self._observer(Progress(step=Step.CHALLENGED, runtime_id=runtime_id))
                try:
                    trust = await self._answered(answer, announced, nonce=nonce, until=again)
                except (EvidenceError, AppraisalError) as error:
                    failure = error  # possibly a forgery: the runtime's own answer may still come
                    continue
                if trust is not None:
                    return trust
        raise failure or NoAnswer("challenge", timeout_s=timeout_s)

    async def _answered(
        self, answer: ChallengeAnswer, announced: VerifiedAttestation, *, nonce: bytes, until: float
    ) -> Trust | None:
        failure: Refusal | None = None
        while (encoded := await answer.take(until=until)) is not None:
            verify = partial(self._vetting.challenged, encoded, announced=announced, nonce=nonce, at=self._clock.now())
            try:
                return await anyio.to_thread.run_sync(verify)
            except (EvidenceError, AppraisalError) as error:
                failure = error
        if failure is not None:
            raise failure
        return None

    def _keep(self, trust: Trust) -> None:
        self._trusts[trust.bundle_digest] = trust
        if len(self._trusts) > _MAX_TRUSTS:
            del self._trusts[next(iter(self._trusts))]


class _SupersededError(Exception):
    """The runtime announced something else while it was challenged."""


def _fresh(candidate: Candidate) -> Refusal:
    """Return a candidate's refusal as an exception of its own: one that was raised before has that traceback."""
    refusal = candidate.refusal
    match refusal:
        case EvidenceError():
            return EvidenceError(refusal.code, refusal.step, found=refusal.found, wanted=refusal.wanted)
        case AppraisalError():
            return AppraisalError(refusal.claim, found=refusal.found, wanted=refusal.wanted)
        case None:
            raise ValueError("a candidate is verified or refused")
