"""The TLS context of a connection to a broker; certificates and names are always checked."""

from __future__ import annotations

import ssl

import anyio.to_thread

from enclaved.errors import ConfigurationError
from enclaved.mqtt.transport import Connection, Tls

__all__ = ["tls_context"]


async def tls_context(connection: Connection) -> ssl.SSLContext | None:
    """Return the context for a connection, or None where it is not encrypted.

    Raises:
        ConfigurationError: a file cannot be read or is not what it should be.
    """
    if not connection.address.scheme.encrypted:
        return None
    return await anyio.to_thread.run_sync(_load, connection.tls or Tls())


def _load(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError("cafile", f"cannot be loaded: {error}", remedy="Give a PEM file of roots") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # 1.3 wherever the broker can
    if tls.cert is not None:
        try:
            context.load_cert_chain(tls.cert, tls.certkey)
        except (OSError, ssl.SSLError) as error:
            remedy = "Give a PEM certificate and its unencrypted key"
            raise ConfigurationError("cert", f"cannot be loaded: {error}", remedy=remedy) from error
    return context
