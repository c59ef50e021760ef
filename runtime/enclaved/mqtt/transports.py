"""The table of transports."""

from __future__ import annotations

from collections.abc import Callable

from enclaved.errors import ConfigurationError
from enclaved.mqtt.aiomqtt_transport import aiomqtt_transport
from enclaved.mqtt.auto_transport import AutoTransport
from enclaved.mqtt.direct_transport import direct_transport
from enclaved.mqtt.transport import Transport

__all__ = ["TRANSPORTS", "open_transport"]

TRANSPORTS: dict[str, Callable[[], Transport]] = {
    "aiomqtt": aiomqtt_transport,
    "auto": AutoTransport,
    "direct": direct_transport,
}
"""By the name that configuration uses."""


def open_transport(name: str) -> Transport:
    """Return a transport by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in TRANSPORTS:
        known = ", ".join(sorted(TRANSPORTS))
        raise ConfigurationError("transport", "is not known", remedy=f"Choose one of: {known}")
    return TRANSPORTS[name]()
