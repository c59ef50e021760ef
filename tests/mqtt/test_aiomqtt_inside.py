"""What the aiomqtt transport reaches into, held to the minor version that it was written for."""

from __future__ import annotations

import asyncio
import importlib.metadata

import aiomqtt
from paho.mqtt.client import Client as PahoClient


def test_the_minor_version_is_the_one_that_was_read() -> None:
    """Another one has to be read first: manual acknowledgement has no public way."""
    assert importlib.metadata.version("aiomqtt").startswith("2.5.")


async def test_the_attributes_are_there() -> None:
    """The client inside, and the two futures that its callbacks settle."""
    client = aiomqtt.Client("localhost")

    assert isinstance(client._client, PahoClient)
    assert isinstance(client._connected, asyncio.Future)
    assert isinstance(client._disconnected, asyncio.Future)
    assert callable(client._client._sock_close)
