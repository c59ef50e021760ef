"""Memory that others see, that outlives the invocation, or that runs."""

import ctypes
import mmap
import os

from attempt import call

PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def file_in_memory(targets):
    os.close(os.memfd_create("left"))
    return "made"


def secret_memory(targets):
    call(447, 0)
    return "made"


def shared_segment(targets):
    call(31, call(29, 0x0E5CA9E, 4096, 0o1600), 0, 0)  # and removed again
    return "made"


def message_queue(targets):
    attributes = (ctypes.c_long * 8)(0, 1, 16, 0)
    call(240, b"left", os.O_CREAT | os.O_RDWR, 0o600, attributes)
    call(241, b"left")
    return "made"


def semaphores(targets):
    call(66, call(64, 0x0E5CA9E, 1, 0o1600), 0, 0)  # and removed again
    return "made"


def shared_anonymous(targets):
    mmap.mmap(-1, 4096).close()
    return "mapped"


def keyring(targets):
    call(248, b"user", b"left", b"secret", 6, ctypes.c_long(-1))
    return "kept"


def keyctl(targets):
    call(250, 0, ctypes.c_long(-1), 1)
    return "found"


def writable_and_executable(targets):
    mmap.mmap(-1, 4096, flags=PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "mapped"


def written_then_executable(targets):
    pages = mmap.mmap(-1, 4096, flags=PRIVATE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    call(10, address, 4096, mmap.PROT_READ | mmap.PROT_EXEC)
    return "executable"


def user_faults(targets):
    call(323, 1)
    return "opened"


def lock_memory(targets):
    call(149, ctypes.addressof(ctypes.create_string_buffer(4096)), 4096)
    return "locked"
