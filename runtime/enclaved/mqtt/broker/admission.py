"""Whether a client may connect, and on which terms (MQTT 5.0, sections 3.1 and 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.clock import RandomBytes
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import LastWill, Publication
from enclaved.mqtt.broker.sessions import Sessions
from enclaved.mqtt.packet_fields import ReasonCode
from enclaved.mqtt.packets import ConnAckPacket, ConnAckReasonCode, ConnectPacket, QoS

__all__ = ["Admission", "admit", "refusal", "will_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The terms of one accepted connection.

    Attributes:
        client_id: as whom.
        assigned: the broker chose that id.
        keep_alive_s: the longest silence that the client promised; 0 is none.
        receive_maximum: how much it wants unacknowledged at once.
        packet_bytes: the largest packet that it takes, or None.
    """

    client_id: str
    assigned: bool
    keep_alive_s: int
    receive_maximum: int
    packet_bytes: int | None

    def accept(self, *, session_present: bool, limits: BrokerLimits) -> ConnAckPacket:
        """Return the CONNACK that accepts, with what this broker can do."""
        return ConnAckPacket(
            session_present=session_present,
            assigned_client_id=self.client_id if self.assigned else None,
            receive_max=limits.receive_maximum,
            max_qos=QoS.AT_LEAST_ONCE,
            max_packet_size=limits.packet_bytes,
        )


def admit(packet: ConnectPacket, *, sessions: Sessions, random: RandomBytes) -> Admission | ReasonCode:
    """Return the terms of a connection, or why there will be none.

    User name and password are ignored: on the loopback interface there is nobody else.
    """
    if packet.authentication_method is not None:
        return ReasonCode.BAD_AUTHENTICATION_METHOD
    if packet.will is not None and packet.will.qos == QoS.EXACTLY_ONCE:
        return ReasonCode.QOS_NOT_SUPPORTED
    if packet.client_id not in sessions and sessions.full:
        return ReasonCode.QUOTA_EXCEEDED
    return Admission(
        client_id=packet.client_id or f"assigned-{random(12).hex()}",
        assigned=not packet.client_id,
        keep_alive_s=packet.keep_alive,
        receive_maximum=packet.receive_max,
        packet_bytes=packet.max_packet_size,
    )


def refusal(reason_code: ReasonCode) -> ConnAckPacket:
    """Return the CONNACK that refuses; a reason that CONNACK cannot say becomes an unspecified one."""
    try:
        return ConnAckPacket(reason_code=ConnAckReasonCode(reason_code))
    except ValueError:
        return ConnAckPacket(reason_code=ConnAckReasonCode.UNSPECIFIED_ERROR)


def will_of(packet: ConnectPacket, client_id: str) -> LastWill | None:
    """Return what is to be published when this client is lost."""
    will = packet.will
    if will is None:
        return None
    publication = Publication(
        publisher=client_id,
        topic=will.topic,
        payload=will.payload or b"",
        qos=int(will.qos),
        retain=will.retain,
        payload_format_indicator=will.payload_format_indicator,
        content_type=will.content_type,
        response_topic=will.response_topic,
        correlation_data=will.correlation_data,
        user_properties=tuple(will.user_properties),
    )
    return LastWill(publication=publication, delay_s=will.will_delay_interval, lifetime_s=will.message_expiry_interval)
