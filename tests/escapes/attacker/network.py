"""Ways out over a socket."""

import ctypes
import os
import socket
import struct

from attempt import HeldError, call


def tcp(targets):
    with socket.create_connection(("127.0.0.1", targets["tcp"]), timeout=2):
        return "connected"


def udp(targets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.settimeout(1)
        out.sendto(b"out", ("127.0.0.1", targets["udp"]))
        return out.recv(9)


def unix_path(targets):
    with socket.socket(socket.AF_UNIX) as out:
        out.connect(targets["unix"])
    return "connected"


def unix_abstract(targets):
    with socket.socket(socket.AF_UNIX) as out:
        out.connect("\0" + targets["abstract"])
    return "connected"


def unix_datagram_of_a_pair(targets):
    """A socketpair's end needs no `socket`, and can still be sent to any path."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"out", targets["datagram"])
    return "sent"


def vsock(targets):
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "opened"


def netlink(targets):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return "opened"


def packet(targets):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return "opened"


def io_uring(targets):
    """Its rings make calls that no filter sees."""
    call(425, 4, ctypes.create_string_buffer(256))
    return "set up"


def descriptor_of_the_enclave(targets):
    """The channel's peer is the enclave; a pidfd of it would be a hold on it (SO_PEERPIDFD)."""
    size = ctypes.c_uint(4)
    pidfd = ctypes.c_int(-1)
    call(55, 3, 1, 77, ctypes.byref(pidfd), ctypes.byref(size))
    if pidfd.value < 0:
        raise HeldError("no pidfd")
    return "pidfd"


def pass_a_descriptor(targets):
    """Hand the enclave a descriptor of ours with the answer."""
    with socket.socket(fileno=os.dup(3)) as channel:
        socket.send_fds(channel, [struct.pack(">BI", 0, 6) + b"passed"], [0])
    os._exit(0)
