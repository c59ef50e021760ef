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
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from enclaved.attester.device import DeviceKind, DeviceOptions, check_binding
from enclaved.errors import DeviceError, ProtocolError
from enclaved.wire.attestation import Evidence
from enclaved.wire.cbor import decode_cbor, encode_cbor

__all__ = ["NITRO", "NSM_DEVICE", "Ioctl", "NitroDevice", "exchange_with", "open_nitro"]

NSM_DEVICE = Path("/dev/nsm")

_NAME: Final = "nitro"
_LARGEST_REQUEST = 0x1000  # NSM_REQUEST_MAX_SIZE
_LARGEST_RESPONSE = 0x3000  # NSM_RESPONSE_MAX_SIZE
_MESSAGE = struct.Struct("=QQQQ")  # struct nsm_msg: address and length of the request, and of the room for the response
_IOCTL = 3 << 30 | _MESSAGE.size << 16 | 0x0A << 8  # _IOWR(0x0A, 0, struct nsm_msg)


class Ioctl(Protocol):
    """The system call, which changes the message in place; raises `OSError`."""

    def __call__(self, descriptor: int, request: int, message: bytearray, /) -> int:
        """Make the call."""
        ...


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


def exchange_with(descriptor: int, ioctl: Ioctl) -> Callable[[bytes], bytes]:
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
        addresses = ctypes.addressof(sent), ctypes.addressof(received)
        message = bytearray(_MESSAGE.pack(addresses[0], len(request), addresses[1], _LARGEST_RESPONSE))
        ioctl(descriptor, _IOCTL, message)
        length: int = _MESSAGE.unpack(message)[3]
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
