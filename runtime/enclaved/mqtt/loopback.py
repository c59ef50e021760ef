"""The development broker: MQTT 5 in this process, on the loopback interface only.

It is what `demo` and `up` use when nobody names a broker, and what tests use as
an untrusted one. It keeps nothing on disk, asks no one for a password, and
therefore listens nowhere but on loopback addresses and private Unix sockets.
It is not for production: run mosquitto, EMQX, HiveMQ or another broker there.

It speaks QoS 0 and 1, retained messages, persistent sessions, shared
subscriptions, wills, and MQTT 5 flow control. Rules lie in `enclaved.mqtt.broker`;
here are only sockets, time and the command line:

    python -m enclaved.mqtt.loopback --port 1883 [--host ADDRESS] [--unix PATH] [--record FILE]
                                     [--adversary SCRIPT --seed N]
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import anyio
import anyio.abc

from enclaved.clock import Clock, RandomBytes, SystemClock, system_random
from enclaved.errors import ConfigurationError
from enclaved.mqtt.broker.adversary import Adversary
from enclaved.mqtt.broker.client_socket import ClientSocket
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import Interceptor, Publication, route_unchanged
from enclaved.mqtt.broker.recording import Recorder
from enclaved.mqtt.broker.router import Router
from enclaved.mqtt.broker.script import parse_script
from enclaved.mqtt.packet_fields import ReasonCode

__all__ = ["LoopbackBroker", "main"]

_TICK_S = 0.5  # how late a keep-alive, an expiry or a will may be noticed
_CLOSING_S = 0.5  # what clients have to take their DISCONNECT when the broker stops
_ACCEPT_PAUSE_S = 0.05
_BACKLOG = 256

_log = logging.getLogger("enclaved.mqtt.loopback")


class LoopbackBroker:
    """A development broker; it listens while it is entered.

    Attributes:
        port: the TCP port, chosen by the system where 0 was asked for; 0 without TCP.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        unix: Path | None = None,
        record: BinaryIO | None = None,
        interceptor: Interceptor = route_unchanged,
        limits: BrokerLimits | None = None,
        clock: Clock | None = None,
        random: RandomBytes = system_random,
    ) -> None:
        """Say where to listen.

        Args:
            host: a loopback address.
            port: the TCP port, 0 for a free one, or None for none.
            unix: the path of a Unix socket to listen on as well.
            record: where to write every byte that passes.
            interceptor: what diverts publications; the default is honest.
            limits: what to hold at most.
            clock: the time.
            random: makes up client ids.

        Raises:
            ConfigurationError: the host is not a loopback address, or there is nowhere to listen.
        """
        _check_loopback(host)
        if port is None and unix is None:
            raise ConfigurationError("broker", "has nowhere to listen", remedy="Give a port or a Unix socket")
        self.port = 0
        self._host, self._wanted_port, self._unix = host, port, unix
        self._limits = limits or BrokerLimits()
        self._clock = clock or SystemClock()
        self._random = random
        self._recorder = None if record is None else Recorder(record)
        self._router = Router(
            limits=self._limits,
            monotonic=self._clock.monotonic,
            interceptor=interceptor,
            witness=self._recorder.record_publication if self._recorder else _forget,
            on_delayed=self._hurry,
        )
        self._sockets: set[ClientSocket] = set()
        self._accepted = 0
        self._sooner = anyio.Event()
        self._one_left = anyio.Event()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exit_stack:
            listeners = await self._listen()
            tasks = await exit_stack.enter_async_context(anyio.create_task_group())
            exit_stack.push_async_callback(self._stop, tasks)
            for listener in listeners:
                tasks.start_soon(self._accept, listener, tasks, name="broker listener")
                exit_stack.push_async_callback(listener.aclose)
            tasks.start_soon(self._keep_time, name="broker clock")
            self._exit = exit_stack.pop_all()
        _log.info("development broker: listening", extra={"host": self._host, "port": self.port})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()  # what the body raised goes on as it is, without an ExceptionGroup round it

    def inject(self, publication: Publication) -> ReasonCode:
        """Route a message that no client sent, past the interceptor: the broker's own forgery."""
        return self._router.route(publication)

    def disconnect(self, client_id: str, reason_code: ReasonCode = ReasonCode.SERVER_BUSY) -> bool:
        """Throw a client out; tell whether it was connected."""
        session = self._router.sessions.find(client_id)
        for client in self._sockets:
            if session is not None and session.holder is client.connection:
                client.connection.close(reason_code)
                return True
        return False

    def sweep(self) -> None:
        """Do now what is due by the clock: expiries, wills, delayed messages, silent clients."""
        now = self._clock.monotonic()
        self._router.tick()
        for client in list(self._sockets):
            if client.connection.overdue(now):
                client.connection.close(ReasonCode.KEEP_ALIVE_TIMEOUT)

    async def _listen(self) -> list[anyio.abc.SocketListener]:
        """Open the listeners.

        Raises:
            ConfigurationError: an address is taken or cannot be used.
        """
        listeners: list[anyio.abc.SocketListener] = []
        if self._wanted_port is not None:
            try:
                tcp = await anyio.create_tcp_listener(
                    local_host=self._host, local_port=self._wanted_port, backlog=_BACKLOG
                )
            except OSError as error:
                raise _cannot_listen(f"{self._host}:{self._wanted_port}") from error
            self.port = int(tcp.extra_attributes[anyio.abc.SocketAttribute.local_port]())
            listeners.extend(each for each in tcp.listeners if isinstance(each, anyio.abc.SocketListener))
        if self._unix is not None:
            try:
                # Mode 600: what stands in for a password is that only this user can connect.
                listeners.append(await anyio.create_unix_listener(self._unix, mode=0o600, backlog=_BACKLOG))
            except OSError as error:
                for listener in listeners:
                    await listener.aclose()
                raise _cannot_listen(str(self._unix)) from error
        return listeners

    async def _accept(self, listener: anyio.abc.SocketListener, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:  # the broker stops
                return
            except OSError as error:  # out of descriptors, or the client has gone: the next one may fare better
                _log.warning("development broker: cannot accept", extra={"reason": str(error)})
                await anyio.sleep(_ACCEPT_PAUSE_S)
                continue
            if len(self._sockets) >= self._limits.connections:
                _log.warning("development broker: connection refused, there are too many")
                await stream.aclose()
                continue
            self._accepted += 1
            client = self._client(stream)
            self._sockets.add(client)
            tasks.start_soon(self._serve, client, name=f"broker client {self._accepted}")

    def _client(self, stream: anyio.abc.SocketStream) -> ClientSocket:
        return ClientSocket(
            stream,
            number=self._accepted,
            router=self._router,
            limits=self._limits,
            monotonic=self._clock.monotonic,
            random=self._random,
            recorder=self._recorder,
        )

    async def _serve(self, client: ClientSocket) -> None:
        """Serve one client; whatever goes wrong ends its own connection only."""
        try:
            await client.serve()
        except Exception:  # noqa: BLE001 - a fault of ours in one connection must not end the others
            _log.exception("development broker: connection failed")
        finally:
            self._sockets.discard(client)
            self._one_left.set()

    def _hurry(self) -> None:
        self._sooner.set()

    async def _keep_time(self) -> None:
        """Sweep at every tick, and earlier when a delayed message is due."""
        while True:
            self.sweep()
            due = self._router.next_delayed()
            pause = _TICK_S if due is None else min(_TICK_S, max(0.0, due - self._clock.monotonic()))
            self._sooner = anyio.Event()
            with anyio.move_on_after(pause):
                await self._sooner.wait()

    async def _stop(self, tasks: anyio.abc.TaskGroup) -> None:
        """Tell every client, give them a moment to take it, then end all tasks."""
        for client in list(self._sockets):
            client.connection.close(ReasonCode.SERVER_SHUTTING_DOWN)
        with anyio.move_on_after(_CLOSING_S, shield=True):
            while self._sockets:
                self._one_left = anyio.Event()
                await self._one_left.wait()
        tasks.cancel_scope.cancel()
        if self._recorder is not None:
            self._recorder.flush()
        if self._unix is not None:
            self._unix.unlink(missing_ok=True)


def _forget(publication: Publication) -> None:
    """Record nothing."""


def _cannot_listen(where: str) -> ConfigurationError:
    return ConfigurationError("broker", f"cannot listen on {where}", remedy="Name another port or path")


def _check_loopback(host: str) -> None:
    """Refuse every address that another machine could reach.

    Raises:
        ConfigurationError: it is not a loopback address.
    """
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        remedy = "Give 127.0.0.1 or ::1, or run a production broker"
        raise ConfigurationError(
            "broker", f"{host} is not a loopback address: this is a development broker", remedy=remedy
        )


async def _run(options: argparse.Namespace, record: BinaryIO | None, adversary: Adversary | None) -> None:
    """Serve until a signal arrives."""
    broker = LoopbackBroker(
        host=options.host,
        port=options.port,
        unix=options.unix,
        record=record,
        interceptor=adversary or route_unchanged,
    )
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with broker:
            _tell({"event": "ready", "port": broker.port})
            async for _ in signals:
                break
    if adversary is not None:
        _tell({"event": "adversary", "repeat": str(adversary), "counts": adversary.counts})


def _adversary(options: argparse.Namespace) -> Adversary | None:
    """Return what the options call for, and say how to repeat it.

    Raises:
        ConfigurationError: the script is none.
    """
    if options.adversary is None:
        return None
    adversary = Adversary(parse_script(options.adversary), seed=options.seed)
    _log.warning("development broker: hostile on demand, %s", adversary)
    return adversary


def _tell(event: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _log.debug("development broker: nobody reads its events")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the development broker as a process, until SIGTERM or SIGINT.

    Prints one line when it listens: `{"event": "ready", "port": N}`. A hostile one prints what
    it did when it stops, and with which options it would do so again.
    """
    parser = argparse.ArgumentParser(prog="enclaved.mqtt.loopback", description="MQTT 5 development broker.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=1883, help="TCP port; 0 takes a free one")
    parser.add_argument("--unix", type=Path, help="listen on this Unix socket as well")
    parser.add_argument("--record", type=Path, help="write every byte that passes to this file")
    parser.add_argument("--adversary", metavar="SCRIPT", help="be hostile, such as drop=0.02,forge=0.01,delay=0.1")
    parser.add_argument("--seed", type=int, default=0, help="of the adversary's chances")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    with ExitStack() as exit_stack:
        try:
            record = exit_stack.enter_context(options.record.open("wb")) if options.record else None
            anyio.run(_run, options, record, _adversary(options))
        except (ConfigurationError, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
