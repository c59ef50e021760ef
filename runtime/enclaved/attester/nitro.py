"""The security module of an AWS Nitro enclave as an attestation device: ``/dev/nsm``.

One ioctl carries a request and room for the response, both in CBOR, as
``aws-nitro-enclaves-nsm-api`` has them: ``{"Attestation": {"user_data": …, "nonce":
null, "public_key": null}}`` and ``{"Attestation": {"document": …}}``, or ``{"Error":
…}``. The binding goes into ``user_data``.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from enclaved.attester.device import DeviceKind, DeviceOptions, check_binding
from enclaved.errors import DeviceError, ProtocolError
from enclaved.wire.attestation import Evidence
from enclaved.wire.cbor import decode_cbor, encode_cbor

__all__ = ["NITRO", "NSM_DEVICE", "NitroDevice", "exchange_with", "open_nitro"]

NSM_DEVICE = Path("/dev/nsm")

_NAME: Final = "nitro"
_LARGEST_REQUEST = 0x1000  # NSM_REQUEST_MAX_SIZE
_LARGEST_RESPONSE = 0x3000  # NSM_RESPONSE_MAX_SIZE
_READ_WRITE, _MAGIC, _NUMBER = 3, 0x0A, 0


class _Buffer(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]  # noqa: RUF012 - as ctypes declares it


class _Message(ctypes.Structure):
    """struct nsm_msg."""

    _fields_ = [("request", _Buffer), ("response", _Buffer)]  # noqa: RUF012 - as ctypes declares it


_IOCTL = _READ_WRITE << 30 | ctypes.sizeof(_Message) << 16 | _MAGIC << 8 | _NUMBER  # _IOWR(0x0A, 0, struct nsm_msg)


class NitroDevice:
    """A Nitro security module.

    Args:
        exchange: sends one request and returns the response; raises `OSError`.
    """

    name: Final = _NAME
    format: Final = "nitro"

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange = exchange

    def attest(self, binding: bytes) -> Evidence:
        """Return an attestation document with the binding as ``user_data``; its certificates are inside.

        Args:
            binding: 64 bytes.

        Raises:
            DeviceError: the binding has another size, or the module is gone, refuses or answers nonsense.
        """
        check_binding(binding)
        request = {"Attestation": {"user_data": binding, "nonce": None, "public_key": None}}
        try:
            response = decode_cbor(
                self._exchange(encode_cbor(request)),  # type: ignore[arg-type]
                what="the security module's response",
                max_size=_LARGEST_RESPONSE,
            )
        except OSError as error:
            raise DeviceError(f"{NSM_DEVICE}: it does not answer: {error.strerror or error}") from error
        except ProtocolError as error:
            raise DeviceError(f"{NSM_DEVICE}: {error}") from error
        match response:
            case {"Attestation": {"document": bytes() as document, **further}, **others} if not further and not others:
                return Evidence(format=self.format, report=document, endorsements={})
            case {"Error": str() as word}:
                raise DeviceError(f"{NSM_DEVICE}: the security module refused: {word[:64]!r}")
            case _:
                raise DeviceError(f"{NSM_DEVICE}: the security module answered something else than a document")


def exchange_with(descriptor: int, ioctl: Callable[[int, int, ctypes.Structure], int]) -> Callable[[bytes], bytes]:
    """Return what sends requests through the module's ioctl.

    Args:
        descriptor: the open device.
        ioctl: the system call.
    """

    def exchange(request: bytes) -> bytes:
        if len(request) > _LARGEST_REQUEST:
            raise OSError("a request of more than the module takes")
        sent = ctypes.create_string_buffer(request, len(request))
        received = ctypes.create_string_buffer(_LARGEST_RESPONSE)
        message = _Message(
            _Buffer(ctypes.addressof(sent), len(request)), _Buffer(ctypes.addressof(received), _LARGEST_RESPONSE)
        )
        ioctl(descriptor, _IOCTL, message)
        length = message.response.length
        if length > _LARGEST_RESPONSE:
            raise OSError("a response of more than there was room for")
        return received.raw[:length]

    return exchange


def open_nitro(_: DeviceOptions) -> NitroDevice:
    """Open the security module.

    Raises:
        DeviceError: it is not there, or may not be opened.
    """
    try:
        descriptor = os.open(NSM_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(f"{NSM_DEVICE}: it cannot be opened: {error.strerror}") from error
    return NitroDevice(exchange_with(descriptor, fcntl.ioctl))


NITRO = DeviceKind(name=_NAME, hardware=True, looked_for=str(NSM_DEVICE), is_present=NSM_DEVICE.exists, open=open_nitro)
