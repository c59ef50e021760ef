"""Echo: what goes in comes out, byte for byte.

The shortest function there is. Use it to see that a runtime answers, and to
measure what sealing, transport and the sandbox cost without any work inside.
"""


def handle(payload: bytes) -> bytes:
    """Return the payload unchanged."""
    return payload
