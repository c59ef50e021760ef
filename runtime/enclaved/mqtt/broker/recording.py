"""A recording of every byte that passed the development broker.

A broker is untrusted; what it could have kept is what a recording holds. Each
chunk that a socket gave or took is a record, so nothing that passed is missing.
Chunks of several clients lie between one another and cut messages anywhere, so
each publication's parts are recorded once more in one piece, and a plain search
of the file finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Final

from enclaved.errors import ProtocolError
from enclaved.mqtt.broker.publication import Publication

__all__ = ["RecordKind", "Recorded", "Recorder", "read_recording"]

_HEADER: Final = 9


class RecordKind(Enum):
    """What a record holds."""

    RECEIVED = 1
    """Bytes from a client's socket."""
    SENT = 2
    """Bytes to a client's socket."""
    PUBLISHED = 3
    """The parts of one publication, each ended by a newline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One record.

    Attributes:
        kind: what it holds.
        connection: the number of the connection, from 1; 0 for publications.
        data: the bytes.
    """

    kind: RecordKind
    connection: int
    data: bytes


class Recorder:
    """Writes records: kind (1 byte), connection (4, big-endian), length (4), bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def record(self, kind: RecordKind, data: bytes, *, connection: int) -> None:
        """Write one record."""
        self._file.write(bytes((kind.value,)) + connection.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data)

    def record_publication(self, publication: Publication) -> None:
        """Write a publication's topic, properties and payload, whole."""
        texts = (publication.topic, publication.content_type, publication.response_topic)
        pairs = (part for pair in publication.user_properties for part in pair)
        parts = [text.encode() for text in (*texts, *pairs) if text is not None]
        data = b"\n".join([*parts, publication.correlation_data or b"", publication.payload, b""])
        self.record(RecordKind.PUBLISHED, data, connection=0)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()


def read_recording(file: BinaryIO) -> Iterator[Recorded]:
    """Read a recording.

    Raises:
        ProtocolError: it is cut off or not a recording.
    """
    while header := file.read(_HEADER):
        size = int.from_bytes(header[5:], "big")
        data = file.read(size)
        if len(header) < _HEADER or len(data) < size or header[0] not in {kind.value for kind in RecordKind}:
            raise ProtocolError("recording", "is cut off or not a recording")
        yield Recorded(kind=RecordKind(header[0]), connection=int.from_bytes(header[1:5], "big"), data=data)
