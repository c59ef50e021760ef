"""A vendor's service on this machine, under a certificate authority of the tests', that misbehaves as told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.abc
from anyio.streams.tls import TLSListener, TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from enclaved.collateral.https import HttpsClient, TimeLimits

__all__ = ["HttpsWorld", "Server", "answer", "dripping", "hanging", "open_world", "raw"]

Behaviour: TypeAlias = Callable[[TLSStream], Awaitable[None]]
DAY = timedelta(days=1)
SHORT = TimeLimits(connect_s=5.0, head_s=1.0, body_s=1.0)


@dataclass
class Server:
    """A service that listens.

    Attributes:
        port: where.
        paths: how it behaves for each path; a list is gone through, and its last one stays.
        asked: the targets that were asked for, in order.
    """

    port: int
    paths: dict[str, list[Behaviour]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        """Its address, by the name in its certificate."""
        return f"https://localhost:{self.port}"

    async def handle(self, stream: TLSStream) -> None:
        """Answer one question."""
        try:
            async with stream:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += await stream.receive()
                target = head.split(b" ")[1].decode()
                self.asked.append(target)
                behaviours = self.paths.get(target.partition("?")[0], [answer(b"not here", status="404 Not Found")])
                behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
                await behaviour(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError, OSError):
            pass  # the client had enough: that is what most of these tests are about


@dataclass(frozen=True)
class HttpsWorld:
    """A service, and the roots that a client needs for it."""

    server: Server
    cafile: Path

    def client(self, limits: TimeLimits = SHORT) -> HttpsClient:
        """Return a client that trusts the tests' authority and is not patient."""
        return HttpsClient(cafile=self.cafile, limits=limits)


def raw(data: bytes) -> Behaviour:
    """Send these bytes and end."""

    async def behave(stream: TLSStream) -> None:
        await stream.send(data)

    return behave


def answer(body: bytes, *, status: str = "200 OK", headers: dict[str, str] | None = None) -> Behaviour:
    """Send a good response, with some headers turned or added."""
    all_headers = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"} | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return raw(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)


def hanging(data: bytes = b"") -> Behaviour:
    """Send these bytes, then nothing until the client goes."""

    async def behave(stream: TLSStream) -> None:
        if data:
            await stream.send(data)
        await stream.receive()

    return behave


def dripping(head: bytes, *, piece: bytes) -> Behaviour:
    """Send a beginning, then a piece every few milliseconds for ever."""

    async def behave(stream: TLSStream) -> None:
        await stream.send(head)
        while True:
            await stream.send(piece)
            await anyio.sleep(0.01)

    return behave


@asynccontextmanager
async def open_world(
    folder: Path, *, name: str = "localhost", ends: timedelta = DAY, stranger: bool = False, goodbye: bool = True
) -> AsyncIterator[HttpsWorld]:
    """Start a service whose certificate has a name and an end; it ends connections as TLS wants it, or not."""
    cafile, certificate = folder / "ca.pem", folder / "server.pem"
    cafile.write_bytes(_authority("ours")[0].public_bytes(Encoding.PEM))
    certificate.write_bytes(_server_pem(name, ends, "stranger" if stranger else "ours"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server = Server(port=listener.extra_attributes[anyio.abc.SocketAttribute.local_port]())
    async with (
        TLSListener(listener, context, standard_compatible=goodbye) as secure,
        anyio.create_task_group() as group,
    ):
        group.start_soon(secure.serve, server.handle, name="service")
        yield HttpsWorld(server=server, cafile=cafile)
        group.cancel_scope.cancel()


@cache
def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(f"test authority {name}", f"test authority {name}", key, DAY)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def _server_pem(name: str, ends: timedelta, issuer: str) -> bytes:
    authority, authority_key = _authority(issuer)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, f"test authority {issuer}", key, ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = builder.add_extension(identifier, critical=False).sign(authority_key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, ends: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + ends)
    )
