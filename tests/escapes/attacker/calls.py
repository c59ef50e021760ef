"""The kernel's doors: namespaces, mounts, programs, tracing, other call tables."""

import ctypes
import mmap
import os
import resource
import sys
from pathlib import Path

from attempt import LIBC, HeldError, call

USER, MOUNT, NETWORK = 0x1000_0000, 0x2_0000, 0x4000_0000


def execute(targets):
    if os.fork() == 0:
        os.execv("/bin/true", ["true"])
    return "forked"


def execute_in_place(targets):
    """Another program answers in our place, and so with our rights."""
    program = "import os, struct; os.write(3, struct.pack('>BI', 0, 8) + b'executed')"
    os.set_inheritable(3, True)  # noqa: FBT003 - it takes no names
    os.execv(sys.executable, [sys.executable, "-c", program])


def fork(targets):
    if os.fork() == 0:
        os._exit(0)
    return "forked"


def vfork(targets):
    os.posix_spawn("/bin/true", ["true"], {})
    return "spawned"


def clone3(targets):
    arguments = (ctypes.c_ulong * 11)(*[0] * 4, 17)
    if call(435, arguments, 88) == 0:
        os._exit(0)
    return "forked"


def user_namespace(targets):
    call(272, USER)
    return "made"


def mount_namespace(targets):
    call(272, MOUNT)
    return "made"


def network_namespace(targets):
    call(272, NETWORK)
    return "made"


def enter_namespace(targets):
    call(308, call(434, os.getppid(), 0), NETWORK)
    return "entered"


def mount(targets):
    call(165, b"none", os.path.dirname(__file__).encode(), b"tmpfs", 0, 0)
    return "mounted"


def new_mount(targets):
    call(430, b"tmpfs", 0)
    return "opened"


def chroot(targets):
    call(161, b"/")
    return "changed"


def pivot(targets):
    call(155, b"/", b"/")
    return "changed"


def bpf(targets):
    attributes = ctypes.create_string_buffer(128)
    ctypes.c_uint.from_buffer(attributes, 0).value = 2  # an array of one
    for offset, value in ((4, 4), (8, 4), (12, 1)):
        ctypes.c_uint.from_buffer(attributes, offset).value = value
    call(321, 0, attributes, 128)
    return "made"


def perf(targets):
    attributes = ctypes.create_string_buffer(128)
    ctypes.c_uint.from_buffer(attributes, 0).value = 1  # PERF_TYPE_SOFTWARE
    ctypes.c_uint.from_buffer(attributes, 4).value = 128
    ctypes.c_ulong.from_buffer(attributes, 40).value = 1 << 5 | 1 << 6  # of user code alone
    call(298, attributes, 0, -1, -1, 0)
    return "opened"


def watch_files(targets):
    call(300, 0, 0)  # fanotify_init
    return "opened"


def become_root(targets):
    os.setresuid(0, 0, 0)
    if os.getuid() != 0 or targets["is_root"]:
        raise HeldError("it was that before")
    return "root"


def take_capabilities(targets):
    header = (ctypes.c_uint * 2)(0x20080522, 0)
    call(126, header, (ctypes.c_uint * 6)(0xFFFFFFFF, 0xFFFFFFFF, 0, 0x1FF, 0x1FF, 0))
    return "taken"


def raise_its_limits(targets):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    return "raised"


def host_name(targets):
    call(170, b"escaped", 7)
    return "changed"


def personality(targets):
    call(135, 0x0400000)  # READ_IMPLIES_EXEC
    return "changed"


def other_call_table(targets):
    call(0x4000_0000 | 39)  # getpid, as x32 numbers it
    return "called"


def other_architecture(targets):
    """The 32-bit table has other numbers: code of our folder calls it, as memory cannot be made executable."""
    LIBC.mmap.restype = ctypes.c_void_p
    with open(Path(__file__).with_name("int80.bin"), "rb") as file:
        address = LIBC.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file.fileno(), 0)
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
