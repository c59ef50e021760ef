"""One client's connection to the development broker: its packets, without its socket.

Bytes go in by `receive` and come out by `take_output`; what the client does
wrong ends this connection with the reason code that MQTT names for it, and
nothing else (section 4.13). Output is bounded: a client that does not read gets
no more than a buffer's worth of deliveries, the rest waits in its session, and
its own requests are not read while their answers pile up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import assert_never

from enclaved.clock import RandomBytes
from enclaved.mqtt.broker.admission import Admission, admit, refusal, will_of
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import LastWill
from enclaved.mqtt.broker.requests import publication_of, publish_packet, subscribe, unsubscribe
from enclaved.mqtt.broker.router import Router
from enclaved.mqtt.broker.session import Session
from enclaved.mqtt.packet_fields import PacketError, ReasonCode
from enclaved.mqtt.packets import (
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PacketReader,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    SubscribePacket,
    UnsubscribePacket,
    encode_packet,
)

__all__ = ["ClientConnection"]

_DELIVERIES_BUFFERED = 256 * 1024  # bytes; more than a socket takes at once gains nothing
_ANSWERS_BUFFERED = 64 * 1024  # bytes; PUBACKs and the like that the client has not read
_CONNECT = 1  # section 2.1.2
_GRACE = 1.5  # section 3.1.2.10: one and a half times the keep alive

_log = logging.getLogger("enclaved.mqtt.loopback")


class ClientConnection:
    """The protocol of one connection; it is also what its session is attached to.

    Attributes:
        closing: nothing more is read; what `take_output` still returns is sent, then it is closed.
    """

    def __init__(
        self,
        router: Router,
        *,
        limits: BrokerLimits,
        monotonic: Callable[[], float],
        random: RandomBytes,
        wake: Callable[[], None],
    ) -> None:
        self.closing = False
        self._router = router
        self._limits = limits
        self._monotonic = monotonic
        self._random = random
        self._wake = wake
        self._reader = PacketReader(max_packet_size=limits.packet_bytes)
        self._output = bytearray()
        self._answers = 0
        self._session: Session | None = None
        self._admission: Admission | None = None
        self._will: LastWill | None = None
        self._connecting = False
        self._deadline: float | None = monotonic() + limits.connect_s

    @property
    def congested(self) -> bool:
        """Whether reading should wait until the client has read its answers."""
        return self._answers > _ANSWERS_BUFFERED

    def overdue(self, now: float) -> bool:
        """Tell whether the client has been silent for too long."""
        return not self.closing and self._deadline is not None and now >= self._deadline

    def receive(self, data: bytes) -> None:
        """Take in what the client sent, and act on every whole packet in it."""
        if self.closing:
            return
        if self._admission is not None and self._admission.keep_alive_s:
            self._deadline = self._monotonic() + self._admission.keep_alive_s * _GRACE
        if self._admission is None and data:
            self._connecting = self._connecting or data[0] >> 4 == _CONNECT
        try:
            self._reader.receive(data)
            while (packet := self._next_packet()) is not None:
                self._handle(packet)
        except PacketError as error:
            _log.info("development broker: client broke the protocol", extra={"reason": str(error)})
            self.close(error.reason_code)

    def take_output(self) -> bytes:
        """Return what is to be sent now, deliveries last, and forget it."""
        while not self.closing and len(self._output) < _DELIVERIES_BUFFERED and self._deliver_one():
            pass
        output = bytes(self._output)
        self._output.clear()
        self._answers = 0
        return output

    def close(self, reason_code: ReasonCode) -> None:
        """End the connection for a reason, which a client that sent a CONNECT is told."""
        if self.closing:
            return
        if self._session is not None:
            self._send(DisconnectPacket(reason_code=_disconnect_reason(reason_code)))
        elif self._connecting:
            self._send(refusal(reason_code))
        self.closing = True
        self._detach()
        self.wake()

    def lost(self) -> None:
        """Learn that the socket is gone."""
        self.closing = True
        self._detach()

    def wake(self) -> None:
        """Have `take_output` called: the session has something to send."""
        self._wake()

    def displace(self) -> None:
        """Give the session up to a newer connection of the same client (section 3.1.4)."""
        self.close(ReasonCode.SESSION_TAKEN_OVER)

    def _next_packet(self) -> Packet | None:
        return None if self.closing else self._reader.next_packet()

    def _handle(self, packet: Packet) -> None:
        session = self._session
        if session is None:
            if not isinstance(packet, ConnectPacket):
                raise PacketError("first packet", "is not CONNECT", reason_code=ReasonCode.PROTOCOL_ERROR)
            self._connect(packet)
            return
        match packet:
            case PublishPacket():
                self._publish(session, packet)
            case PubAckPacket():
                if session.acknowledge(packet.packet_id):
                    self.wake()
            case SubscribePacket():
                self._send(subscribe(self._router, session, packet))
            case UnsubscribePacket():
                self._send(unsubscribe(self._router, session, packet))
            case PingReqPacket():
                self._send(PingRespPacket())
            case DisconnectPacket():
                self._disconnect(session, packet)
            case _:
                raise PacketError("packet", "is not for a broker", reason_code=ReasonCode.PROTOCOL_ERROR)

    def _connect(self, packet: ConnectPacket) -> None:
        outcome = admit(packet, sessions=self._router.sessions, random=self._random)
        match outcome:
            case ReasonCode():
                self._send(refusal(outcome))
                self.closing = True
                self.wake()
            case Admission():
                self._attach(outcome, packet)
            case _:
                assert_never(outcome)

    def _attach(self, admission: Admission, packet: ConnectPacket) -> None:
        """Begin or resume a session; an older connection of the same client ends first."""
        self._router.tick()
        old = self._router.sessions.find(admission.client_id)
        if old is not None and old.holder is not None:
            old.holder.displace()
            old = self._router.sessions.find(admission.client_id)
        if old is not None and packet.clean_start:
            self._router.end_session(old)
            old = None
        session = old or self._router.sessions.create(admission.client_id)
        session.will, session.will_at = None, None  # section 3.1.3.2.2: resumed in time
        session.expiry_s = packet.session_expiry_interval
        session.attach(self)
        self._session, self._admission = session, admission
        self._will = will_of(packet, admission.client_id)
        self._deadline = self._monotonic() + admission.keep_alive_s * _GRACE if admission.keep_alive_s else None
        self._send(admission.accept(session_present=old is not None, limits=self._limits))

    def _publish(self, session: Session, packet: PublishPacket) -> None:
        publication = publication_of(packet, publisher=session.client_id, now=self._monotonic())
        code = self._router.publish(publication)
        if packet.packet_id is not None:
            self._send(PubAckPacket(packet.packet_id, reason_code=PubAckReasonCode(code)))

    def _disconnect(self, session: Session, packet: DisconnectPacket) -> None:
        """The client leaves: without its will, if it says so, and perhaps with another expiry."""
        if packet.session_expiry_interval is not None:
            if not session.expiry_s and packet.session_expiry_interval:  # section 3.14.2.2.2
                raise PacketError("session expiry", "was 0 at CONNECT", reason_code=ReasonCode.PROTOCOL_ERROR)
            session.expiry_s = packet.session_expiry_interval
        if packet.reason_code == DisconnectReasonCode.NORMAL_DISCONNECTION:
            self._will = None
        self.closing = True
        self._detach()
        self.wake()

    def _detach(self) -> None:
        """Let go of the session; its will is published now, later, or never (section 3.1.2.5)."""
        session, self._session = self._session, None
        if session is None or self._admission is None:
            return
        now = self._monotonic()
        session.detach(now=now)
        if self._will is not None:
            session.will = self._will
            session.will_at = now + min(self._will.delay_s, session.expiry_s)
        self._router.tick()

    def _deliver_one(self) -> bool:
        """Move one message from the session to the output; tell whether there was one."""
        session, admission = self._session, self._admission
        if session is None or admission is None:
            return False
        outgoing = session.next_outgoing(receive_maximum=admission.receive_maximum, now=self._monotonic())
        if outgoing is None:
            return False
        try:
            data = encode_packet(publish_packet(outgoing, now=self._monotonic()))
        except PacketError:
            data = b""  # only an interceptor makes what no packet can carry
        if not data or (admission.packet_bytes is not None and len(data) > admission.packet_bytes):
            # MQTT-3.1.2-24 and -25: it is dropped as if it had been delivered.
            _log.warning("development broker: message dropped, the client takes no such packet")
            if outgoing.packet_id is not None:
                session.acknowledge(outgoing.packet_id)
            return True
        self._output += data
        return True

    def _send(self, packet: Packet) -> None:
        data = encode_packet(packet)
        self._output += data
        self._answers += len(data)
        self.wake()


def _disconnect_reason(reason_code: ReasonCode) -> DisconnectReasonCode:
    """Say it in DISCONNECT; what only CONNACK can say becomes a protocol error."""
    try:
        return DisconnectReasonCode(reason_code)
    except ValueError:
        return DisconnectReasonCode.PROTOCOL_ERROR
