"""``python -m enclaved.gateway``: the gateway as a process of its own."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from enclaved.errors import ConfigurationError, Error
from enclaved.gateway.address import parse_link_address
from enclaved.gateway.entry import run_gateway
from enclaved.gateway.events import GatewayEvent, GatewayObserver, ignore, to_json
from enclaved.gateway.options import GatewayOptions, read_password
from enclaved.gateway.parent import die_with_parent
from enclaved.mqtt.transport import DEFAULT_TRANSPORT, Tls, parse_broker_url

__all__ = ["main"]

_FAILED, _USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a gateway until SIGTERM or SIGINT.

    Args:
        arguments: the command line without the program's name; the process's own by default.

    Returns:
        The exit code: 0 after an orderly stop, 1 on failure, 2 on wrong options.
    """
    given = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        options = _options(given)
        if given.die_with_parent is not None and not die_with_parent(given.die_with_parent or None):
            return 0
        anyio.run(_run, options, _write_line if given.json else ignore)
    except ConfigurationError as error:
        sys.stderr.write(f"enclaved gateway: {error}\n")
        return _USAGE
    except Error as error:
        sys.stderr.write(f"enclaved gateway: {error}\n")
        return _FAILED
    return 0


async def _run(options: GatewayOptions, observer: GatewayObserver) -> None:
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_at_signal, stop, group.cancel_scope, name="signals")
        failure = await _outcome(options, stop, observer)
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _outcome(options: GatewayOptions, stop: anyio.Event, observer: GatewayObserver) -> Error | None:
    """Run the gateway; its error is returned, so that it leaves the task group without one round it."""
    try:
        await run_gateway(options, stop=stop, observer=observer)
    except Error as error:
        return error
    return None


async def _stop_at_signal(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    """Stop in good order at the first signal, and at once at the second."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            if stop.is_set():
                scope.cancel()
            stop.set()


def _write_line(event: GatewayEvent) -> None:
    try:
        sys.stdout.write(to_json(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more; delivering goes on, and later lines go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(given: argparse.Namespace) -> GatewayOptions:
    tls = Tls(cafile=given.cafile, cert=given.cert, certkey=given.certkey)
    return GatewayOptions(
        broker=parse_broker_url(given.broker),
        link=parse_link_address(given.link),
        transport=given.transport,
        username=given.username,
        password=None if given.password_file is None else read_password(given.password_file),
        tls=None if tls == Tls() else tls,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m enclaved.gateway", description="Carry messages between a broker and an enclave."
    )
    add = parser.add_argument
    add("--broker", metavar="URL", default="mqtt://127.0.0.1:1883", help="the broker (default: %(default)s)")
    add("--link", metavar="ADDRESS", required=True, help="the enclave: unix:PATH or vsock:CID:PORT")
    add("--transport", metavar="NAME", default=DEFAULT_TRANSPORT, help="how to speak MQTT (default: %(default)s)")
    add("--username", metavar="NAME", help="as whom to connect to the broker")
    add("--password-file", metavar="FILE", type=Path, help="a file that holds the password")
    add("--cafile", metavar="FILE", type=Path, help="roots to trust instead of the system's, PEM")
    add("--cert", metavar="FILE", type=Path, help="our own certificate chain, PEM")
    add("--certkey", metavar="FILE", type=Path, help="its private key, PEM")
    add("--json", action="store_true", help="write events to standard output, one JSON document a line")
    add("--verbose", action="store_true", help="log what is discarded as well")
    add(
        "--die-with-parent",
        metavar="PID",
        type=int,
        nargs="?",
        const=0,
        help="end when the parent process dies; with its id, even when it has died already",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
