"""The simulated device's report, as bytes become a typed value.

``[payload, signature]`` in deterministic CBOR; the payload is the CBOR map ``{version: 1,
bound_data: 64 bytes, measurement: 48 bytes, debug: bool, host_time: Unix
milliseconds}``, and the signature is ECDSA on P-384 with SHA-384 over the
payload's bytes, each part of the input with its length before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from enclaved.errors import ProtocolError
from enclaved.verifier.checks import Checks
from enclaved.wire.cbor import CborValue, decode_cbor
from enclaved.wire.limits import MAX_REPORT, MAX_TIME_MS
from enclaved.wire.lp import length_prefixed

__all__ = ["SimulatedReport", "read_report"]

_WHAT = "simulated report"
_LABEL = b"enclaved/1 simulated report"
_VERSION = 1
_BOUND_DATA_SIZE = 64
_MEASUREMENT_SIZE = 48
_KEYS = {"version", "bound_data", "measurement", "debug", "host_time"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReport:
    """A simulated device's report, not yet verified.

    Attributes:
        signed: the bytes that are signed.
        signature: the signature, DER-encoded.
        bound_data: 64 bytes of the attester's own.
        measurement: 48 bytes in place of a launch measurement.
        debug: whether the device says that it is debuggable.
        host_time: when it was made, by the host's clock.
        host_time_ms: the same in Unix milliseconds, as it was signed.
    """

    signed: bytes
    signature: bytes
    bound_data: bytes
    measurement: bytes
    debug: bool
    host_time: datetime
    host_time_ms: int


def read_report(data: bytes, checks: Checks) -> SimulatedReport:
    """Return the report that the bytes encode.

    Args:
        data: the file's bytes, their size already checked.
        checks: the record.

    Returns:
        The report; nothing in it is verified.

    Raises:
        EvidenceError: they encode none (``"unreadable"``), or one of another version (``"unsupported"``).
    """
    try:
        payload, signature = _pair(decode_cbor(data, what=_WHAT, max_size=MAX_REPORT))
        fields = _map(decode_cbor(payload, what=_WHAT, max_size=MAX_REPORT))
    except ProtocolError as error:
        raise checks.unreadable("report", found=error.reason, wanted="a simulated report in CBOR") from error
    if fields.get("version") != _VERSION:
        raise checks.unsupported("version", found=fields.get("version"), wanted=_VERSION)
    match fields:
        case {
            "bound_data": bytes() as bound_data,
            "measurement": bytes() as measurement,
            "debug": bool() as debug,
            "host_time": int() as host_time,
        } if fields.keys() == _KEYS and _sizes_fit(bound_data, measurement, host_time):
            return SimulatedReport(
                signed=length_prefixed(_LABEL, payload),
                signature=signature,
                bound_data=bound_data,
                measurement=measurement,
                debug=debug,
                host_time=_EPOCH + timedelta(milliseconds=host_time),
                host_time_ms=host_time,
            )
        case _:
            raise checks.unreadable("report", found="other fields", wanted=", ".join(sorted(_KEYS)))


def _pair(value: CborValue) -> tuple[bytes, bytes]:
    match value:
        case [bytes() as payload, bytes() as signature]:
            return payload, signature
        case _:
            raise ProtocolError(_WHAT, "not a pair of payload and signature")


def _map(value: CborValue) -> dict[int | str, CborValue]:
    if not isinstance(value, dict):
        raise ProtocolError(_WHAT, "a payload that is no map")
    return value


def _sizes_fit(bound_data: bytes, measurement: bytes, host_time: int) -> bool:
    return (
        len(bound_data) == _BOUND_DATA_SIZE
        and len(measurement) == _MEASUREMENT_SIZE
        and not isinstance(host_time, bool)
        and 0 <= host_time <= MAX_TIME_MS
    )
