"""The process that holds the keys can neither start another nor be read by one, and leaves no core file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CORE = """
import ctypes, json, mmap, os, resource, signal, socket, subprocess, sys, threading, time
import anyio
from enclaved.enclave.hardening import harden
from enclaved.sandbox.core_lockdown import lock_down_core
from enclaved.sandbox.launcher_link import LauncherLink

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(number, *arguments):
    if libc.syscall(number, *[ctypes.c_long(each) for each in arguments]) < 0:
        raise OSError(ctypes.get_errno(), "")

early = threading.Event()
found = {}

def attempt(name, what):
    try:
        what()
    except PermissionError:
        found[name] = "refused"
    except OSError as error:
        found[name] = str(error)
    else:
        found[name] = "done"

def fork():
    if os.fork() == 0:
        os._exit(0)

def in_old_thread():
    early.wait()
    attempt("fork in a thread from before", fork)

async def main():
    harden(parent=None)
    launcher = LauncherLink.spawn()
    victim = int(sys.argv[1])
    old = threading.Thread(target=in_old_thread)
    old.start()
    async with anyio.create_task_group() as tasks:
        await tasks.start(launcher.listen)
        lock_down_core(launcher=launcher.pid)
        early.set()
        old.join()
        attempt("fork", fork)
        attempt("vfork and execute", lambda: os.posix_spawn("/bin/true", ["true"], {}))
        attempt("execute", lambda: os.execv("/bin/true", ["true"]))
        attempt("subprocess", lambda: subprocess.run(["/bin/true"]))
        attempt("ptrace", lambda: call(101, 0x4206, victim, 0, 0))
        attempt("read another's memory", lambda: call(310, victim, 0, 0, 0, 0, 0))
        attempt("take another's descriptor", lambda: call(438, 0, 0, 0))
        attempt("kill another", lambda: os.kill(victim, 0))
        attempt("TCP", lambda: socket.socket(socket.AF_INET).close())
        attempt("IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close())
        attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
        attempt("executable memory", lambda: mmap.mmap(-1, 4096, prot=7, flags=0x22).close())
        attempt("mount", lambda: call(165, 0, 0, 0, 0, 0))
        attempt("io_uring", lambda: call(425, 1, 0))
        attempt("bpf", lambda: call(321, 0, 0, 0))
        attempt("user namespace", lambda: call(272, 0x10000000))
        attempt("be dumpable", lambda: call(157, 4, 1, 0, 0, 0))
        if hasattr(socket, "AF_VSOCK"):
            attempt("vsock", lambda: socket.socket(socket.AF_VSOCK).close())
        attempt("Unix socket", lambda: socket.socket(socket.AF_UNIX).close())
        attempt("start a thread", lambda: threading.Thread(target=time.sleep, args=(0,)).start())
        attempt("write a file", lambda: open(sys.argv[2], "w").close())
        found["thread"] = await anyio.to_thread.run_sync(lambda: "answered")
        found["core file"] = resource.getrlimit(resource.RLIMIT_CORE)[1]
        print(json.dumps(found), flush=True)
        sys.stdin.readline()
        await launcher.aclose()
    print("closed", flush=True)

anyio.run(main)
"""

ALLOWED = {"vsock", "Unix socket", "start a thread", "write a file"}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attempts name system calls by x86-64 numbers")
def test_a_locked_core_can_do_its_work_and_no_more(tmp_path: Path) -> None:
    """Everything it must not do is refused, in old threads too; what it needs goes on, its launcher's end included."""
    command = [sys.executable, "-c", textwrap.dedent(CORE), str(os.getpid()), str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as core:
        assert core.stdout is not None
        found = json.loads(core.stdout.readline())
        rest, _ = core.communicate("\n", timeout=20)

    assert rest == "closed\n"
    assert (found.pop("core file"), found.pop("thread")) == (0, "answered")
    assert {name for name, outcome in found.items() if outcome == "done"} == ALLOWED & found.keys()
    assert {outcome for name, outcome in found.items() if name not in ALLOWED} == {"refused"}
    assert len(found) >= 20


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become two processes of another user")
def test_a_core_cannot_be_read_by_its_own_user(tmp_path: Path) -> None:
    """A process of the same user gets neither its memory nor its environment nor its descriptors."""
    core = subprocess.Popen(
        [sys.executable, "-c", READABLE_OR_NOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert core.stdout is not None
        assert core.stdout.readline() == "hardened\n"
        reader = os.fork()
        if reader == 0:
            os.setresuid(OTHER_USER, OTHER_USER, OTHER_USER)
            seen = 0
            for file in ("mem", "environ", "maps", "fd/0"):
                try:
                    os.close(os.open(f"/proc/{core.pid}/{file}", os.O_RDONLY))
                    seen = 1
                except PermissionError:
                    continue
            os._exit(seen)
        _, status = os.waitpid(reader, 0)
    finally:
        core.communicate("\n", timeout=20)

    assert os.waitstatus_to_exitcode(status) == 0


OTHER_USER = 61_234

READABLE_OR_NOT = f"""
import os, sys
from enclaved.enclave.hardening import harden
import enclaved.sandbox.core_lockdown as core
os.setresuid({OTHER_USER}, {OTHER_USER}, {OTHER_USER})
harden(parent=None)
core.lock_down_core(launcher=os.getpid())
print("hardened", flush=True)
sys.stdin.readline()
"""
