"""Reaching into other processes: the enclave, its launcher and zygotes, siblings, bystanders."""

import ctypes
import fcntl
import os
import resource
import signal
import time

from attempt import HeldError, call, first_that_works, other_processes


def _read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read(64)


def environ(targets):
    return first_that_works(lambda pid: _read(f"/proc/{pid}/environ"), other_processes(targets))


def maps(targets):
    return first_that_works(lambda pid: _read(f"/proc/{pid}/maps"), other_processes(targets))


def mem(targets):
    return first_that_works(lambda pid: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)), other_processes(targets))


def descriptors(targets):
    return first_that_works(lambda pid: os.listdir(f"/proc/{pid}/fd"), other_processes(targets))


def names(targets):
    return first_that_works(lambda pid: _read(f"/proc/{pid}/cmdline"), other_processes(targets))


def vm_read(targets):
    buffer = ctypes.create_string_buffer(32)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 32)
    remote = (ctypes.c_ulong * 2)(targets["address"], 32)

    def read(pid):
        return call(310, pid, local, 1, remote, 1, 0) and buffer.raw[:8]

    return first_that_works(read, other_processes(targets))


def ptrace(targets):
    return first_that_works(lambda pid: call(101, 0x4206, pid, 0, 0), other_processes(targets))


def take_descriptor(targets):
    def take(pid):
        pidfd = call(434, pid, 0)
        return call(438, pidfd, 0, 0)

    return first_that_works(take, other_processes(targets))


def compare(targets):
    return first_that_works(lambda pid: call(312, pid, pid, 0, 0, 0), other_processes(targets))


def kill(targets):
    return first_that_works(lambda pid: os.kill(pid, 0), other_processes(targets))


def kill_a_thread(targets):
    return first_that_works(lambda pid: call(234, pid, pid, 0), other_processes(targets))


def queue_a_signal(targets):
    information = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(information, 8).value = -1  # SI_QUEUE
    return first_that_works(lambda pid: call(129, pid, signal.SIGCONT, information), other_processes(targets))


def have_the_kernel_signal(targets):
    """F_SETOWN: whoever owns a descriptor gets a signal, of our choice, when it can be read."""

    def own(pid):
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
        os.close(reading)
        os.close(writing)

    return first_that_works(own, other_processes(targets))


def priority(targets):
    return first_that_works(lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 10), other_processes(targets))


def affinity(targets):
    return first_that_works(lambda pid: os.sched_setaffinity(pid, {0}), other_processes(targets))


def limits(targets):
    return first_that_works(lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE), other_processes(targets))


def outlive_the_zygote(targets):
    call(157, 1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    return "no signal"


def become_readable(targets):
    call(157, 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
    return "dumpable"


def leave_a_daemon(targets):
    pid = os.fork()
    if pid == 0:
        os.close(3)
        os.setsid()
        time.sleep(30)
        os._exit(0)
    return "left"


def take_a_sibling_s_channel(targets):
    """Every descriptor below 64 that is open, and none of ours."""
    strange = []
    for number in range(4, 64):
        try:
            os.fstat(number)
            strange.append(number)
        except OSError:
            continue
    if not strange:
        raise HeldError("none is open")
    return strange
