"""An enclave core with real keys, and callers that really seal: for tests to turn one thing of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.clock import Clock, system_random, unix_ms
from enclaved.enclave.core import Admission, Core, Hinted, Replied, Run
from enclaved.enclave.epoch import Epoch, Identity, Lifetime, make_keys
from enclaved.enclave.folder_digest import FolderSnapshot, digest_files
from enclaved.enclave.load import FunctionLoad
from enclaved.enclave.manifest import parse_manifest
from enclaved.enclave.registry import RegisteredFunction, Registry
from enclaved.enclave.sessions import SessionBounds
from enclaved.sandbox.outcome import Execution, Outcome
from enclaved.wire import hpke
from enclaved.wire.bundle import bundle_digest, decode_bundle
from enclaved.wire.codec import encode
from enclaved.wire.header import InvocationHeader, InvocationParts, join_invocation, split_result
from enclaved.wire.hint import Hint, decode_hint
from enclaved.wire.invocation import InvocationBody, SealedInvocation, seal_invocation
from enclaved.wire.key_text import caller_key_text, recipient_key_text
from enclaved.wire.result import ResultBody, open_result
from enclaved.wire.sealed_output import RecipientKey
from enclaved.wire.session import SessionKeys, make_offer
from simulation import NOON, make_device

__all__ = [
    "REPLY_TOPIC",
    "RUNTIME",
    "Call",
    "CallerSide",
    "FakeClock",
    "World",
    "caller_key",
    "executed",
    "flipped",
    "function",
    "manifest_text",
    "recipient_key",
    "reencoded",
]

RUNTIME = "r1"
REPLY_TOPIC = "enclaved/v1/demo/reply/c1"
ISOLATION = "restricted"


@dataclass
class FakeClock:
    """Two clocks that tests set."""

    at: datetime = NOON
    seconds: float = 1000.0

    def now(self) -> datetime:
        """Return the wall-clock time that was set."""
        return self.at

    def monotonic(self) -> float:
        """Return the seconds that were set."""
        return self.seconds

    def pass_s(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds

    def ms(self) -> int:
        """Return the wall-clock time as the wire carries it."""
        return unix_ms(self.at)


def manifest_text(name: str, *, callers: str = '"any"', more: str = "") -> str:
    """Return the text of a good manifest; what is said in `more` follows its top-level keys."""
    return (
        f'name = "{name}"\nversion = "1"\nengine = "python"\nentrypoint = "handler:handle"\ncallers = {callers}\n{more}'
    )


def function(name: str, *, callers: str = '"any"', more: str = "") -> RegisteredFunction:
    """Return a function as a registry holds it."""
    text = manifest_text(name, callers=callers, more=more).encode()
    files = {"function.toml": text, "handler.py": b"def handle(payload):\n    return payload\n"}
    return RegisteredFunction(
        manifest=parse_manifest(text, where="function.toml"),
        snapshot=FolderSnapshot(files=files, digest=digest_files(files)),
    )


def executed(output: bytes = b"output", *, outcome: Outcome = Outcome.OK, log: bytes = b"") -> Execution:
    """Return what a function left."""
    return Execution(outcome=outcome, output=output, log=log, duration_ms=1.5)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One sealed invocation, and what its caller keeps to open the answer."""

    message: bytes
    sealed: SealedInvocation
    keys: SessionKeys
    offer: bytes

    def with_offer(self, offer: bytes | None) -> bytes:
        """Return the same sealing with another offer beside it, or none."""
        return join_invocation(
            InvocationParts(header=self.sealed.header, offer=offer, ciphertext=self.sealed.ciphertext)
        )

    def with_header(self, header: bytes) -> bytes:
        """Return the same ciphertext under another header."""
        return join_invocation(InvocationParts(header=header, offer=self.offer, ciphertext=self.sealed.ciphertext))

    def with_ciphertext(self, ciphertext: bytes) -> bytes:
        """Return the same header over another ciphertext."""
        return join_invocation(InvocationParts(header=self.sealed.header, offer=self.offer, ciphertext=ciphertext))

    def opened(self, admission: Admission | bytes) -> ResultBody:
        """Open the sealed answer as its caller would."""
        reply = admission if isinstance(admission, bytes) else _reply(admission)
        return open_result(split_result(reply), keys=self.keys, request_digest=self.sealed.digest)


@dataclass(kw_only=True)
class CallerSide:
    """One session as its caller has it."""

    key_id: bytes
    clock: Clock
    offer: bytes
    keys: SessionKeys

    @classmethod
    def of(
        cls, bundle: bytes, *, clock: Clock, key: Ed25519PrivateKey | None = None, suite: str = "x25519"
    ) -> CallerSide:
        """Open a session with a bundle."""
        public = next(each.public_key for each in decode_bundle(bundle).keys if each.suite == suite)
        digest = bundle_digest(bundle)
        offer, keys = make_offer(
            suite=suite, public_key=public, bundle_digest=digest, random=system_random, caller_key=key
        )
        return cls(key_id=digest[:16], clock=clock, offer=offer, keys=keys)

    def header(self, **turned: object) -> InvocationHeader:
        """Return a good header, with fields turned."""
        good = InvocationHeader(
            v=1,
            runtime_id=RUNTIME,
            key_id=self.key_id,
            session_id=self.keys.session_id,
            sequence=0,
            verified_below=0,
            function="echo",
            response_topic=REPLY_TOPIC,
            expires_at=unix_ms(self.clock.now()) + 60_000,
            evidence="digest",
        )
        return msgspec.structs.replace(good, **turned)

    def call(self, payload: bytes = b"payload", *, invocation_id: bytes = bytes(16), **turned: object) -> Call:
        """Seal an invocation, header fields turned before it is sealed."""
        body = InvocationBody(invocation_id=invocation_id, content_type="text/plain", payload=payload)
        header = self.header(**turned)
        sealed = seal_invocation(header, body, keys=self.keys)
        message = join_invocation(InvocationParts(header=sealed.header, offer=self.offer, ciphertext=sealed.ciphertext))
        return Call(message=message, sealed=sealed, keys=self.keys, offer=self.offer)


@dataclass
class World:
    """A core with one epoch, and the callers' side of it."""

    functions: list[RegisteredFunction] = field(default_factory=lambda: [function("echo"), function("other")])
    bounds: SessionBounds = field(default_factory=SessionBounds)
    lifetime: Lifetime = field(default_factory=Lifetime)
    parallel: int = 2
    waiting: int = 2
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.core = Core(runtime_id=RUNTIME, clock=self.clock, random=system_random)
        self.identity = Identity.of_this_boot(
            namespace="demo", runtime_id=RUNTIME, runtime_digest="h1:none", random=system_random
        )
        self.loads: dict[tuple[str, str], FunctionLoad] = {
            (each.manifest.name, each.digest): FunctionLoad(parallel=self.parallel, waiting=self.waiting)
            for each in self.functions
        }
        self.epoch = self.begin_epoch()

    def begin_epoch(self) -> Epoch:
        """Make an epoch and install it."""
        epoch = self.make_epoch(len(self.core.epochs) + 1)
        self.core.install(epoch, loads=self.loads)
        return epoch

    def make_epoch(self, number: int = 1) -> Epoch:
        """Make an epoch with keys of its own."""
        registry = Registry.of(self.functions)
        keys = make_keys(
            self.identity,
            epoch=number,
            functions=tuple(each.entry(isolation=ISOLATION) for each in self.functions),
            lifetime=self.lifetime,
            host_time=self.clock.now(),
            random=system_random,
        )
        return Epoch(
            keys,
            evidence=make_device().attest(keys.binding()),
            registry=registry,
            bounds=self.bounds,
            lifetime=self.lifetime,
            clock=self.clock,
        )

    def caller(
        self, *, key: Ed25519PrivateKey | None = None, suite: str = "x25519", epoch: Epoch | None = None
    ) -> CallerSide:
        """Return a new session of a caller."""
        return CallerSide.of((epoch or self.epoch).keys.bundle_bytes, clock=self.clock, key=key, suite=suite)

    def admit(self, message: bytes, *, waiter: object = "waiter") -> Admission:
        """Hand a message in."""
        return self.core.admit(message, waiter=waiter)

    def start(self, call: Call, *, waiter: object = "waiter") -> Run:
        """Hand a message in that has to start."""
        admission = self.admit(call.message, waiter=waiter)
        assert isinstance(admission, Run), admission
        return admission

    def answer(self, call: Call, output: bytes = b"output") -> bytes:
        """Hand a message in and let its function return; return the reply."""
        answered, _ = self.core.finish(self.start(call), executed(output))
        return answered.reply

    def code(self, call: Call, message: bytes | None = None) -> str:
        """Hand a message in that has to be answered sealed; return the answer's code."""
        admission = self.admit(call.message if message is None else message)
        assert isinstance(admission, Replied), admission
        return call.opened(admission).code

    def hint(self, message: bytes) -> str:
        """Hand a message in that has to be hinted at; return the hint's word."""
        return self.hinted(message).hint

    def hinted(self, message: bytes) -> Hint:
        """Hand a message in that has to be hinted at; return the hint."""
        admission = self.admit(message)
        assert isinstance(admission, Hinted), admission
        return decode_hint(admission.reply)


def caller_key() -> tuple[Ed25519PrivateKey, str]:
    """Return a caller's key, and its public half as manifests write it."""
    key = Ed25519PrivateKey.generate()
    return key, caller_key_text(key.public_key().public_bytes_raw())


def recipient_key() -> tuple[hpke.PrivateKey, str]:
    """Return a recipient's key, and its public half as manifests write it."""
    key = hpke.generate("x25519", random=system_random)
    return key, recipient_key_text(RecipientKey(suite="x25519", public_key=key.public_key))


def reencoded(header: InvocationHeader, **turned: object) -> bytes:
    """Return a header's bytes with fields turned."""
    return encode(msgspec.structs.replace(header, **turned))


def flipped(data: bytes, at: int = -1) -> bytes:
    """Return bytes with one bit turned."""
    turned = bytearray(data)
    turned[at] ^= 1
    return bytes(turned)


def _reply(admission: Admission) -> bytes:
    assert isinstance(admission, Replied), admission
    return admission.reply
