"""Starting a gateway from its options: the transport is opened and the link dialled here."""

from __future__ import annotations

import anyio

from enclaved.gateway.events import GatewayObserver, ignore
from enclaved.gateway.gateway import Gateway
from enclaved.gateway.options import GatewayOptions
from enclaved.gateway.stream import LinkStream, connect
from enclaved.mqtt.transports import open_transport

__all__ = ["run_gateway"]


async def run_gateway(options: GatewayOptions, *, stop: anyio.Event, observer: GatewayObserver = ignore) -> None:
    """Run a gateway until told to stop.

    Args:
        options: what it is started with.
        stop: set by whoever wants it to stop; it then leaves in good order within `options.stop_s`.
        observer: told of its events.

    Raises:
        ConfigurationError: the options do not fit, or the link belongs to another enclave now.
    """

    async def dial() -> LinkStream:
        return await connect(options.link)

    gateway = Gateway(options, transport=open_transport(options.transport), dial=dial, observer=observer)
    await gateway.run(stop)
