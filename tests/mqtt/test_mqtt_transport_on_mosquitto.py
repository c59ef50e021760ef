"""What needs a broker with passwords, access control or certificates."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from brokers import MosquittoServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from enclaved.errors import ConfigurationError, TransportError
from enclaved.mqtt.transport import Connection, FirstConnection, Message, Tls, Transport, parse_broker_url

pytestmark = [
    pytest.mark.mosquitto,
    # paho leaves a socket whose handshake failed to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

MUST = FirstConnection.MUST_SUCCEED
NOT_AUTHORIZED = 0x87


def certify(folder: Path, host: str) -> None:
    """Write a certificate for an address, its own root, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test broker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


async def test_a_refused_publish_raises_its_reason_code(transport: Transport, tmp_path: Path) -> None:
    """A PUBACK can say no, and the message is then not on its way."""
    async with MosquittoServer(tmp_path, acl="topic write allowed/#\n") as server:
        connection = Connection(address=server.address, client_id="p")
        async with transport.publish(connection, first=MUST) as publisher:
            await publisher.publish(Message(topic="allowed/a", payload=b"x"))
            with pytest.raises(TransportError) as refused:
                await publisher.publish(Message(topic="denied/a", payload=b"x"))

    assert refused.value.reason_code == NOT_AUTHORIZED


async def test_a_wrong_password_is_told_with_its_reason_code(transport: Transport, tmp_path: Path) -> None:
    """CONNACK refuses; neither the error nor the connection's text holds the password."""
    async with MosquittoServer(tmp_path, password="right") as server:
        connection = Connection(address=server.address, client_id="p", username="user", password="wrong-secret")
        with pytest.raises(TransportError) as refused:
            async with transport.publish(connection, first=MUST):
                pytest.fail("entered")

    assert refused.value.reason_code == NOT_AUTHORIZED
    assert "wrong-secret" not in str(refused.value) + repr(connection)


async def test_a_right_password_lets_in(transport: Transport, tmp_path: Path) -> None:
    """The user name and password reach the broker."""
    async with MosquittoServer(tmp_path, password="right") as server:
        connection = Connection(address=server.address, client_id="p", username="user", password="right")
        async with transport.publish(connection, first=MUST) as publisher:
            await publisher.publish(Message(topic="a", payload=b"x"))


async def test_a_message_that_the_broker_finds_too_large_is_refused(transport: Transport, tmp_path: Path) -> None:
    """Sent, it would end the connection again and again."""
    async with MosquittoServer(tmp_path, extra="max_packet_size 2000") as server:
        connection = Connection(address=server.address, client_id="p")
        async with transport.publish(connection, first=MUST) as publisher:
            await publisher.publish(Message(topic="a", payload=b"x" * 1900))
            with pytest.raises(TransportError) as refused:
                await publisher.publish(Message(topic="a", payload=b"x" * 2000))
            await publisher.publish(Message(topic="a", payload=b"x"))

    assert refused.value.reason_code == 0x95


async def test_tls_is_checked_against_the_named_root(transport: Transport, tmp_path: Path) -> None:
    """With the root it connects; without it the broker is not believed."""
    certify(tmp_path, "127.0.0.1")
    extra = f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    async with MosquittoServer(tmp_path, extra=extra) as server:
        address = parse_broker_url(f"mqtts://127.0.0.1:{server.port}")
        trusting = Connection(address=address, client_id="p", tls=Tls(cafile=tmp_path / "cert.pem"))
        async with transport.publish(trusting, first=MUST) as publisher:
            await publisher.publish(Message(topic="a", payload=b"x"))
        with pytest.raises(TransportError):
            async with transport.publish(Connection(address=address, client_id="q"), first=MUST):
                pytest.fail("entered")


async def test_a_certificate_for_another_name_is_refused(transport: Transport, tmp_path: Path) -> None:
    """The name is checked, not only the chain."""
    certify(tmp_path, "127.0.0.2")
    extra = f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    async with MosquittoServer(tmp_path, extra=extra) as server:
        address = parse_broker_url(f"mqtts://127.0.0.1:{server.port}")
        connection = Connection(address=address, client_id="p", tls=Tls(cafile=tmp_path / "cert.pem"))
        with pytest.raises(TransportError):
            async with transport.publish(connection, first=MUST):
                pytest.fail("entered")


async def test_a_client_certificate_is_shown(transport: Transport, tmp_path: Path) -> None:
    """A broker that wants one lets in who has it, and nobody else."""
    certify(tmp_path, "127.0.0.1")
    extra = (
        f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem\n"
        f"cafile {tmp_path}/cert.pem\nrequire_certificate true"
    )
    async with MosquittoServer(tmp_path, extra=extra) as server:
        address = parse_broker_url(f"mqtts://127.0.0.1:{server.port}")
        root = tmp_path / "cert.pem"
        shown = Connection(
            address=address, client_id="p", tls=Tls(cafile=root, cert=root, certkey=tmp_path / "key.pem")
        )
        async with (
            transport.consume(replace(shown, client_id="c"), topics=["a"], slots=1, first=MUST) as consumer,
            transport.publish(shown, first=MUST) as publisher,
        ):
            await publisher.publish(Message(topic="a", payload=b"x" * 100_000))
            with anyio.fail_after(10):
                delivery = await anext(aiter(consumer))
        with pytest.raises(TransportError):
            async with transport.publish(Connection(address=address, client_id="q", tls=Tls(cafile=root)), first=MUST):
                pytest.fail("entered")

    assert delivery.message.payload == b"x" * 100_000


async def test_a_root_that_cannot_be_read_is_a_configuration_error(transport: Transport, tmp_path: Path) -> None:
    """It is the person's file, not the broker."""
    connection = Connection(
        address=parse_broker_url("mqtts://127.0.0.1:1"), client_id="p", tls=Tls(cafile=tmp_path / "none.pem")
    )
    with pytest.raises(ConfigurationError) as wrong:
        async with transport.publish(connection, first=MUST):
            pytest.fail("entered")

    assert wrong.value.where == "cafile"


async def test_a_killed_broker_that_comes_back_is_found_again(transport: Transport, tmp_path: Path) -> None:
    """A crash closes sockets without a word; publishing goes on afterwards."""
    async with MosquittoServer(tmp_path) as server:
        connection = Connection(address=server.address, client_id="p")
        async with transport.publish(connection, first=MUST) as publisher:
            await server.kill()
            await server.start()
            with anyio.fail_after(15):
                await publisher.publish(Message(topic="a", payload=b"x"))
