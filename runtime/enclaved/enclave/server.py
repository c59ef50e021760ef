"""The thin shell round the core: links, function runs, evidence, and the change of epochs.

Everything that decides is in `core`; this moves bytes and keeps time. Epochs are
made here because that needs the attestation device, which blocks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from enclaved.attester.device import Device
from enclaved.clock import Clock, RandomBytes
from enclaved.enclave.answering import Answered
from enclaved.enclave.core import Core, Dead, Dropped, Hinted, Joined, Replied, Run
from enclaved.enclave.dispatcher import Dispatcher
from enclaved.enclave.epoch import Epoch, Identity, Lifetime, make_keys
from enclaved.enclave.listener import Link
from enclaved.enclave.registry import Registry, load_registry
from enclaved.enclave.sessions import SessionBounds
from enclaved.errors import ConfigurationError, DeviceError, SandboxError
from enclaved.sandbox.engine import OverloadedError
from enclaved.wire.frames import LINK_VERSION, Announce, Answer, Attest, Attested, Frame, Hello, Invoke, Lane, Outcome

__all__ = ["EnclaveServer", "ServerOptions"]

_LOG = logging.getLogger(__name__)
_MAX_UNDER_WAY = 8192  # handed in and unanswered, repeats included, over all functions; more is told to wait
_MAX_BYTES_UNDER_WAY = 512 << 20  # the inputs of those; more is told to wait
_MAX_LINKS = 16  # a gateway has one; each, even one that was lost unnoticed, may hold a frame
_MAX_CHALLENGES = 16  # waiting for the device; more is told to wait
_TICK_S = 0.5
_EARLY_EPOCH_S = 10.0  # a full session table makes a new epoch, at most this often


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What an enclave serves and within which bounds.

    Attributes:
        functions: the folder of functions.
        lifetime: of its bundles.
        bounds: of each bundle's sessions.
    """

    functions: Path
    lifetime: Lifetime = field(default_factory=Lifetime)
    bounds: SessionBounds = field(default_factory=SessionBounds)


class EnclaveServer:
    """One enclave, from its first epoch to its end."""

    def __init__(
        self,
        options: ServerOptions,
        *,
        identity: Identity,
        device: Device,
        dispatcher: Dispatcher,
        clock: Clock,
        random: RandomBytes,
    ) -> None:
        self._options = options
        self._identity = identity
        self._device = device
        self._dispatcher = dispatcher
        self._clock = clock
        self._random = random
        self._core = Core(runtime_id=identity.runtime_id, clock=clock, random=random)
        self._connections: set[Link] = set()
        self._links: set[Link] = set()  # those that have said hello
        self._tasks: TaskGroup | None = None
        self._under_way = 0
        self._bytes_under_way = 0
        self._challenges = 0
        self._device_lock = anyio.Lock()
        self._epoch_lock = anyio.Lock()
        self._epochs_made = 0
        self._last_epoch_at = 0.0

    @property
    def epoch(self) -> Epoch:
        """The epoch that is announced."""
        return self._core.epoch

    def served(self) -> list[dict[str, str]]:
        """Return the functions of the epoch that is announced: name, digest and isolation."""
        return [
            {"name": each.name, "digest": each.digest, "isolation": each.isolation}
            for each in self._core.epoch.keys.bundle.functions
        ]

    def make_link(self) -> Link:
        """Return the protocol for a gateway that connects."""
        return Link(made=self._connected, receive=self._receive, lost=self._disconnected)

    async def start_epoch(self) -> None:
        """Load the functions and begin an epoch that runs them.

        The one before goes on answering what was sealed to it.

        Raises:
            ConfigurationError: a function is wrong; whatever ran before goes on.
            SandboxError: a sandbox cannot be built.
            DeviceError: there is no evidence to be had.
        """
        async with self._epoch_lock:
            registry = load_registry(self._options.functions)
            await self._start_epoch(registry)

    async def reload(self) -> bool:
        """Begin an epoch with the functions as they are now, where they differ from those that run.

        Returns:
            Whether there is a new epoch.

        Raises:
            ConfigurationError: a function is wrong; whatever ran before goes on.
            SandboxError: a sandbox cannot be built; the same.
            DeviceError: there is no evidence to be had; the same.
        """
        async with self._epoch_lock:
            registry = await anyio.to_thread.run_sync(load_registry, self._options.functions)
            if registry.digests == self._core.epoch.registry.digests:
                return False
            await self._start_epoch(registry, must_load=True)
        return True

    async def serve(self, tasks: TaskGroup) -> None:
        """Keep epochs fresh and functions running; to be cancelled by its parent.

        Args:
            tasks: parent of the invocations' tasks.
        """
        self._tasks = tasks
        while True:
            await anyio.sleep(_TICK_S)
            await self._turn()

    def close_links(self) -> None:
        """Close every gateway's connection."""
        for link in list(self._connections):
            link.close()

    async def _turn(self) -> None:
        """Do what is due: a new epoch before the present one ends, and the end of old ones."""
        early = self._core.wants_new_epoch and self._clock.monotonic() - self._last_epoch_at > _EARLY_EPOCH_S
        if self._core.epoch.renewal_due_in_s() <= 0 or early:
            try:
                async with self._epoch_lock:
                    await self._start_epoch(self._core.epoch.registry)
            except (DeviceError, SandboxError, ConfigurationError) as error:
                _LOG.warning("epoch not renewed: reason=%s", type(error).__name__)
        if any(epoch.is_over() for epoch in self._core.epochs[:-1]):
            self._core.end_epochs()
        if self._dispatcher.surplus(epoch.registry for epoch in self._core.epochs):
            async with self._epoch_lock:  # not while the functions of an epoch to come are being started
                await self._dispatcher.keep_only([epoch.registry for epoch in self._core.epochs])

    async def _start_epoch(self, registry: Registry, *, must_load: bool = False) -> None:
        entries = await self._dispatcher.start(registry, must_load=must_load)
        keys = make_keys(
            self._identity,
            epoch=self._epochs_made + 1,
            functions=entries,
            lifetime=self._options.lifetime,
            host_time=self._clock.now(),
            random=self._random,
        )
        async with self._device_lock:
            evidence = await anyio.to_thread.run_sync(self._device.attest, keys.binding())
        epoch = Epoch(
            keys,
            evidence=evidence,
            registry=registry,
            bounds=self._options.bounds,
            lifetime=self._options.lifetime,
            clock=self._clock,
        )
        self._core.install(epoch, loads=self._dispatcher.loads)
        self._epochs_made += 1
        self._last_epoch_at = self._clock.monotonic()
        _LOG.info("epoch began: epoch=%d functions=%d", self._epochs_made, len(entries))
        announce = self._announce()
        for link in self._links:
            link.send(announce)

    def _announce(self) -> Announce:
        epoch = self._core.epoch
        return Announce(
            namespace=self._identity.namespace,
            runtime_id=self._identity.runtime_id,
            attestation=epoch.attestation,
            expires_in_ms=max(1, int(epoch.remaining_s() * 1000)),
            lanes=tuple(
                Lane(function=name, triggers=function.manifest.triggers, slots=self._dispatcher.slots)
                for name, function in epoch.registry.functions.items()
            ),
        )

    def _connected(self, link: Link) -> None:
        self._connections.add(link)
        if len(self._connections) > _MAX_LINKS:
            link.close()

    def _disconnected(self, link: Link) -> None:
        self._connections.discard(link)
        self._links.discard(link)

    def _receive(self, link: Link, frame: Frame) -> None:
        match frame:
            case Hello(v=version) if version == LINK_VERSION:
                link.keep()
                self._links.add(link)
                link.send(self._announce())
            case Invoke() if link in self._links:
                self._invoke(link, frame)
            case Attest() if link in self._links:
                self._challenge(link, frame)
            case _:
                link.close()

    def _invoke(self, link: Link, frame: Invoke) -> None:
        is_full = self._under_way >= _MAX_UNDER_WAY or self._bytes_under_way >= _MAX_BYTES_UNDER_WAY
        if is_full or self._tasks is None:
            link.send(Answer(id=frame.id, outcome="busy", reply=None, outputs=()))
            return
        admission = self._core.admit(frame.message, waiter=(link, frame.id))
        match admission:
            case Run():
                self._under_way += 1
                self._bytes_under_way += len(admission.request.body.payload)
                self._tasks.start_soon(self._run, admission, name=f"invocation {frame.id}")
            case Replied(reply=reply, outputs=outputs, refused=refused):
                outcome: Outcome = "refused" if refused else "answered"
                link.send(Answer(id=frame.id, outcome=outcome, reply=reply, outputs=outputs))
            case Hinted(reply=reply):
                link.send(Answer(id=frame.id, outcome="hinted", reply=reply, outputs=()))
            case Dead():
                link.send(Answer(id=frame.id, outcome="dead", reply=None, outputs=()))
            case Dropped():
                link.send(Answer(id=frame.id, outcome="dropped", reply=None, outputs=()))
            case Joined():
                self._under_way += 1

    async def _run(self, run: Run) -> None:
        try:
            payload = run.request.body.payload
            execution = await self._dispatcher.run(run.function, payload, timeout_s=run.start_within_s)
            answered, waiters = self._core.finish(run, execution)
        except OverloadedError:
            answered, waiters = self._core.refuse_unstarted(run, "overloaded")
        except SandboxError:
            answered, waiters = self._core.refuse_unstarted(run, "isolation_unavailable")
        self._under_way -= len(waiters)
        self._bytes_under_way -= len(run.request.body.payload)
        _send_answers(answered, waiters)

    def _challenge(self, link: Link, frame: Attest) -> None:
        if self._challenges >= _MAX_CHALLENGES or self._tasks is None:
            link.send(Attested(id=frame.id, attestation=None))
            return
        self._challenges += 1
        self._tasks.start_soon(self._attest, link, frame, name=f"challenge {frame.id}")

    async def _attest(self, link: Link, frame: Attest) -> None:
        keys = self._core.epoch.keys
        try:
            async with self._device_lock:
                evidence = await anyio.to_thread.run_sync(self._device.attest, keys.binding(frame.nonce))
            link.send(Attested(id=frame.id, attestation=keys.attestation(evidence, nonce=frame.nonce)))
        except DeviceError as error:
            _LOG.warning("challenge not answered: reason=%s", type(error).__name__)
            link.send(Attested(id=frame.id, attestation=None))
        finally:
            self._challenges -= 1


def _send_answers(answered: Answered, waiters: list[object]) -> None:
    outcome: Outcome = "refused" if answered.refused else "answered"
    for waiter in waiters:
        match waiter:
            case (Link() as link, int() as number):
                link.send(Answer(id=number, outcome=outcome, reply=answered.reply, outputs=answered.outputs))
            case _:
                raise TypeError("a waiter is a link and a number")
