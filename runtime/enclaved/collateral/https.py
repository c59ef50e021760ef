"""One question to one service over HTTPS.

The service's certificate and name are always checked, against the system's roots
or against the one file that a private service is given with. Each phase has a
time limit of its own, so a service that drips its answer costs no more than their
sum. What is got this way is signed by the vendor and verified later: TLS here keeps
others from learning which platform is asked about, and from withholding answers.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import anyio
from anyio.streams.tls import TLSStream

from enclaved.clock import Clock, SystemClock
from enclaved.collateral.error import CollateralError
from enclaved.collateral.response import Response, ResponseReader
from enclaved.collateral.status import check_status
from enclaved.errors import ConfigurationError

__all__ = ["Client", "HttpsClient", "TimeLimits"]

_PIECE = 16 << 10
_UNREACHABLE = "Check the network and the service's address, or work offline from a cache."
_REQUEST = (
    "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: enclaved\r\n"
    "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
)


class Client(Protocol):
    """Whatever asks a service."""

    async def get(self, url: str, *, most: int) -> Response:
        """Return a service's answer, whose status is 200.

        Args:
            url: what to ask.
            most: how many bytes the body may have.

        Raises:
            CollateralError: there is no such answer.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long each phase of a request may take, in seconds.

    Attributes:
        connect_s: finding the host, connecting, and TLS.
        head_s: sending the request, and its whole head coming back.
        body_s: its whole body coming.
    """

    connect_s: float = 10.0
    head_s: float = 20.0
    body_s: float = 20.0


class HttpsClient:
    """Asks services over HTTPS, one connection for each question.

    Args:
        cafile: roots to trust in place of the system's, PEM; for a private service.
        limits: how long each phase may take.
        clock: tells the time.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """

    def __init__(
        self, *, cafile: Path | None = None, limits: TimeLimits | None = None, clock: Clock | None = None
    ) -> None:
        self._tls = _tls(cafile)
        self._limits = limits or TimeLimits()
        self._clock = clock or SystemClock()

    async def get(self, url: str, *, most: int) -> Response:
        """Return a service's answer, whose status is 200.

        Args:
            url: what to ask: ``https://``, made by us.
            most: how many bytes the body may have.

        Raises:
            CollateralError: the service cannot be reached, is not who it should be, is too slow, or
                its answer is another, too large, or none.
        """
        stream = await self._connect(url)
        try:
            return await self._ask(url, stream, most)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _unreachable(url, "the connection was lost") from error
        finally:
            # Without the goodbye of TLS: the answer is complete or refused, and a service may not answer that.
            await anyio.aclose_forcefully(stream)

    async def _connect(self, url: str) -> TLSStream:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        try:
            with anyio.fail_after(self._limits.connect_s):
                return await anyio.connect_tcp(host, port, ssl_context=self._tls, tls_hostname=host)
        except TimeoutError as error:
            raise _unreachable(url, f"no connection within {self._limits.connect_s:g} seconds") from error
        except ssl.SSLCertVerificationError as error:
            raise CollateralError(
                url,
                f"the service's certificate is not good: {error.verify_message}",
                remedy="Name the service as its certificate does; for a private service, name its roots.",
            ) from error
        except (OSError, UnicodeError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise _unreachable(url, f"cannot be reached ({_words(error)})") from error

    async def _ask(self, url: str, stream: TLSStream, most: int) -> Response:
        reader = ResponseReader(url, most=most)
        try:
            with anyio.fail_after(self._limits.head_s):
                await stream.send(_request(url))
                while reader.head is None:
                    await _receive(stream, reader)
        except TimeoutError as error:
            raise _unreachable(url, f"no answer within {self._limits.head_s:g} seconds") from error
        check_status(url, reader.head, now=self._clock.now())
        try:
            with anyio.fail_after(self._limits.body_s):
                while reader.response is None:
                    await _receive(stream, reader)
        except TimeoutError as error:
            raise _unreachable(url, f"no whole answer within {self._limits.body_s:g} seconds") from error
        return reader.response


async def _receive(stream: TLSStream, reader: ResponseReader) -> None:
    try:
        data = await stream.receive(_PIECE)
    except anyio.EndOfStream:
        reader.end()
    else:
        reader.receive(data)


def _request(url: str) -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return _REQUEST.format(target=target, host=parts.netloc).encode("ascii")


def _tls(cafile: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if cafile is None else str(cafile))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            str(cafile), f"cannot be used ({_words(error)})", remedy="Name a file of certificates in PEM."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unreachable(url: str, problem: str) -> CollateralError:
    return CollateralError(url, problem, remedy=_UNREACHABLE, passing=True)


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)
