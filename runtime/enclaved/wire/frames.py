"""Frames on the link between gateway and enclave: a 4-byte big-endian length, then MessagePack.

Neither end trusts the other: the enclave treats the gateway as the host that it
is, and the gateway bounds what a broken enclave could make it hold.
"""

from __future__ import annotations

from typing import Any, Literal, assert_never

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.attestation import NONCE_SIZE
from enclaved.wire.codec import decode, encode
from enclaved.wire.limits import MAX_FRAME, MAX_FUNCTIONS, MAX_SEQUENCE
from enclaved.wire.topics import check_name, check_topic

__all__ = [
    "LINK_VERSION",
    "Announce",
    "Answer",
    "Attest",
    "Attested",
    "Frame",
    "FrameReader",
    "Hello",
    "Invoke",
    "Lane",
    "Outcome",
    "Output",
    "encode_frame",
]

LINK_VERSION = 1
_LENGTH = 4

Outcome = Literal["answered", "refused", "hinted", "dropped", "dead", "busy"]
"""What became of an invocation, as far as a host may know."""


class Lane(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One queue of its own for one function.

    Attributes:
        function: the function's name.
        triggers: the topic filters of its own, besides its invoke topic.
        slots: how many invocations may be under way at once.
    """

    function: str
    triggers: tuple[str, ...]
    slots: int


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="hello", tag_field="kind"):
    """Gateway to enclave, first of all: the link's version."""

    v: int


class Announce(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="announce", tag_field="kind"):
    """Enclave to gateway, upon hello and for each new epoch: what to announce and to serve.

    Attributes:
        namespace: where the runtime serves.
        runtime_id: its name.
        attestation: to be published retained.
        expires_in_ms: for how long.
        lanes: the functions to serve.
    """

    namespace: str
    runtime_id: str
    attestation: bytes
    expires_in_ms: int
    lanes: tuple[Lane, ...]


class Invoke(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="invoke", tag_field="kind"):
    """Gateway to enclave: an invocation, as it came.

    Attributes:
        id: the gateway's number for it.
        message: the invocation message.
    """

    id: int
    message: bytes


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sealed output, and the topic that the function's manifest names for it."""

    topic: str
    payload: bytes


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="answer", tag_field="kind"):
    """Enclave to gateway: what to publish before the invocation may be acknowledged.

    Attributes:
        id: the gateway's number.
        outcome: ``"answered"`` or ``"refused"`` (sealed; which is told for metrics),
            ``"hinted"`` (in clear), ``"dropped"`` (nothing to say to anybody), ``"dead"``
            (nobody can be told, and it is lost: dead-letter it), or ``"busy"`` (hand it in
            again later).
        reply: result or hint for the header's response topic, or None.
        outputs: what to publish before the reply: who has a reply stops sending the event.
    """

    id: int
    outcome: Outcome
    reply: bytes | None
    outputs: tuple[Output, ...]


class Attest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="attest", tag_field="kind"):
    """Gateway to enclave: a challenge.

    Attributes:
        id: the gateway's number for it.
        nonce: 32 bytes.
    """

    id: int
    nonce: bytes


class Attested(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="attested", tag_field="kind"):
    """Enclave to gateway: fresh evidence over the present bundle, or None when the device is overrun."""

    id: int
    attestation: bytes | None


Frame = Hello | Announce | Invoke | Answer | Attest | Attested


def encode_frame(frame: Frame) -> bytes:
    """Return a frame with its length before it.

    Raises:
        ProtocolError: it is longer than the other end would take, which would cost the whole link.
    """
    body = encode(frame)
    if len(body) > MAX_FRAME:
        raise ProtocolError("link frame", f"{len(body)} bytes, at most {MAX_FRAME} are allowed")
    return len(body).to_bytes(_LENGTH, "big") + body


class FrameReader:
    """Cuts a byte stream into frames, without I/O."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the frames that they complete.

        Args:
            data: what was read from the stream, cut anywhere.

        Returns:
            The frames, in order.

        Raises:
            ProtocolError: a frame is too long or does not parse; the stream is then lost.
        """
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= _LENGTH:
            length = int.from_bytes(self._buffer[:_LENGTH], "big")
            if length > MAX_FRAME:
                raise ProtocolError("link frame", f"{length} bytes, at most {MAX_FRAME} are allowed")
            end = _LENGTH + length
            if len(self._buffer) < end:
                break
            # Removed only once it is read: after a bad frame nobody can say where the next begins.
            frames.append(_decode_frame(bytes(self._buffer[_LENGTH:end])))
            del self._buffer[:end]
        return frames


def _decode_frame(body: bytes) -> Frame:
    union: Any = Frame  # the decoder takes a union of tagged structs, for which typing has no word before TypeForm
    frame: Frame = decode(body, union, what="link frame", max_size=MAX_FRAME)
    _check_frame(frame)
    return frame


def _check_frame(frame: Frame) -> None:
    match frame:
        case Hello():
            pass  # another version is the other end's to refuse, by name
        case Announce():
            _check_announcement(frame)
        case Answer():
            _check_number("id", frame.id)
            for output in frame.outputs:
                check_topic(output.topic, what="link frame: output topic")
        case Attest():
            _check_number("id", frame.id)
            if len(frame.nonce) != NONCE_SIZE:
                raise ProtocolError("link frame", f"a nonce has {NONCE_SIZE} bytes")
        case Invoke() | Attested():
            _check_number("id", frame.id)
        case _:
            assert_never(frame)


def _check_announcement(frame: Announce) -> None:
    check_name(frame.namespace, what="link frame: namespace")
    check_name(frame.runtime_id, what="link frame: runtime_id")
    _check_number("expires_in_ms", frame.expires_in_ms)
    if len(frame.lanes) > MAX_FUNCTIONS:
        raise ProtocolError("link frame", f"more than {MAX_FUNCTIONS} lanes")
    for lane in frame.lanes:
        check_name(lane.function, what="link frame: lane")
        _check_number("slots", lane.slots)


def _check_number(name: str, number: int) -> None:
    if not 0 <= number <= MAX_SEQUENCE:
        raise ProtocolError("link frame", f"{name} lies outside 0 to 2**63 - 1")
