"""Every limit of the protocol, in one table (README.md, section "Limits").

A receiver checks these before it looks at contents, so that what a stranger
sends costs no more than its size. Sizes are bytes unless the name says more.
"""

from __future__ import annotations

__all__ = [
    "MAX_ATTESTATION",
    "MAX_BUNDLE",
    "MAX_CHALLENGE",
    "MAX_CONTENT_TYPE",
    "MAX_DEPTH",
    "MAX_ENDORSEMENT",
    "MAX_ENDORSEMENTS",
    "MAX_EXPIRY_MS",
    "MAX_FRAME",
    "MAX_FUNCTIONS",
    "MAX_HEADER",
    "MAX_HINT",
    "MAX_INVOCATION",
    "MAX_LOG",
    "MAX_NAME",
    "MAX_OFFER",
    "MAX_PATH",
    "MAX_PAYLOAD",
    "MAX_RECEIPT",
    "MAX_RECIPIENTS",
    "MAX_REPORT",
    "MAX_RESULT",
    "MAX_SEALED_OUTPUT",
    "MAX_SEQUENCE",
    "MAX_TEXT",
    "MAX_TIME_MS",
    "MAX_TOPIC",
    "MAX_TOPIC_LEVELS",
    "MAX_VALUES",
]

MAX_PAYLOAD = 1 << 20  # a function's input or output
MAX_HEADER = 4 << 10
MAX_OFFER = 4 << 10  # X-Wing seals to 1120 + secret + tag; a caller's proof is 96 bytes
MAX_BUNDLE = 64 << 10
MAX_NAME = 64
MAX_CONTENT_TYPE = 128
MAX_TEXT = 64  # characters of a short text for people, such as a version
MAX_TOPIC = 256
MAX_TOPIC_LEVELS = 32  # brokers drop the connection that publishes to more (mosquitto: 201)
MAX_LOG = 16 << 10
MAX_FUNCTIONS = 256
MAX_DEPTH = 8  # no message of version 1 nests deeper than six
MAX_VALUES = 8 << 10  # in one message: a stranger's megabyte of nils would take a second to walk
MAX_PATH = 32  # a Merkle path over 2**32 challenges
MAX_REPORT = 64 << 10  # the largest quote with its certificates is below 16 KiB; event logs need more
MAX_ENDORSEMENT = 256 << 10
MAX_ENDORSEMENTS = 32
MAX_ATTESTATION = 1 << 20
MAX_CHALLENGE = 1 << 10
MAX_HINT = 1 << 10
MAX_RECEIPT = 4 << 10  # without an attestation
MAX_RECIPIENTS = 16
MAX_SEQUENCE = (1 << 63) - 1  # one session never gets there; a signed 64-bit integer holds it
MAX_TIME_MS = 253_402_300_799_999  # the last millisecond of the year 9999: every library can hold it
MAX_EXPIRY_MS = 60 * 60 * 1000  # how far ahead `expires_at` may lie

_OVERHEAD = 4 << 10  # field names, ids, salts and tags round a payload
_PADDED = MAX_PAYLOAD + MAX_PAYLOAD // 16  # Padmé adds at most 1/8 of one octave's low end, 6.25 % here
MAX_INVOCATION = _PADDED + MAX_HEADER + MAX_OFFER + 2 * _OVERHEAD
MAX_RESULT = _PADDED + MAX_ATTESTATION + MAX_LOG + MAX_RECEIPT + MAX_HEADER + 4 * _OVERHEAD
MAX_SEALED_OUTPUT = MAX_RESULT + MAX_RECIPIENTS * MAX_OFFER
MAX_FRAME = MAX_SEALED_OUTPUT + MAX_RESULT + _OVERHEAD  # an answer and the outputs that go with it
