"""A zygote: an interpreter from which the workers of one function are forked.

For Python it imports the libraries that the function's manifest names, never the
function's own module: a module that starts a thread when it is imported would sit in
every later worker and read the next caller's input. That module is executed in the
worker, after the fork, and dies with it. What other engines prepare is theirs; how a
zygote and its workers are locked down is the same for all.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Final

from enclaved.errors import SandboxError
from enclaved.sandbox.address_space import address_space
from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.channel import CHANNEL, CONFINED
from enclaved.sandbox.control import Kind, Message, receive, send
from enclaved.sandbox.keeper import Keeper, take_control_socket
from enclaved.sandbox.kernel import adopt_orphans, die_with_parent
from enclaved.sandbox.layers import Layer
from enclaved.sandbox.lockdown import Confinement, assemble_filters, become, confine_worker, confine_zygote
from enclaved.sandbox.proof import prove_surroundings, prove_worker, prove_zygote
from enclaved.sandbox.readable import installation
from enclaved.sandbox.refusal import refusal_text
from enclaved.sandbox.runner import serve

__all__ = ["Serve", "keep_workers", "main"]

Serve = Callable[[socket.socket], None]
"""What a worker does with its channel until it ends."""

# The usual 8 MiB of each thread would use up a function's address space with a few of them.
_THREAD_STACK: Final = 2 * 1024 * 1024
_BROKEN: Final = 70  # EX_SOFTWARE: a worker ended outside the function's code


def main(parent: int) -> None:
    """Fork workers that run one Python function, until the enclave closes the control socket.

    Args:
        parent: the process that this one must not outlive.
    """
    keep_workers(parent, prepare=_load_libraries)


def keep_workers(parent: int, *, prepare: Callable[[Assignment], Serve]) -> None:
    """Prepare, lock down, then fork workers until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
        prepare: loads what the workers need before the lock-down, and returns what each of them does.
    """
    die_with_parent(parent)
    control = take_control_socket()
    received = receive(control)
    if received is None:
        return
    try:
        assignment = Assignment.decode(received[0].body)
        _take_place(assignment, parent)
        serve_channel = prepare(assignment)
        confinement = _lock_down(assignment)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text is for whoever operates
        send(control, Message(Kind.FAILED, body=refusal_text(error)))
        return

    def start(_: bytes, descriptors: list[int]) -> int:
        return os.fork() or _become_worker(control, descriptors, serve_channel, confinement)

    send(control, Message(Kind.READY, body=",".join(sorted(assignment.layers)).encode()))
    Keeper(control, start=start).run()


def _load_libraries(assignment: Assignment) -> Serve:
    """Load what the manifest names; return how a worker runs the function."""
    for library in assignment.preload:
        import_module(library)
    faulthandler.enable(all_threads=False)  # after a crash in C, a worker's log says where in Python it was
    return lambda channel: serve(channel, assignment)


def _take_place(assignment: Assignment, parent: int) -> None:
    """Become the function's own user, and prove the surroundings, before anything of the function is loaded."""
    if assignment.user and Layer.OWN_USER in assignment.layers:
        become(assignment.user)
        die_with_parent(parent)
    adopt_orphans()
    prove_surroundings(assignment.layers, user=assignment.user)


def _lock_down(assignment: Assignment) -> Confinement:
    """Give up what no worker may have, and prove it; return what each worker is confined to."""
    threading.stack_size(_THREAD_STACK)
    filters = assemble_filters()
    confinement = Confinement(
        layers=assignment.layers,
        parent=os.getpid(),
        address_space=address_space() + assignment.memory_bytes,
        cpu_s=assignment.cpu_s,
        readable=(*installation(), assignment.folder),
        zygote_filter=filters[0],
        worker_filter=filters[1],
    )
    confine_zygote(confinement)
    prove_zygote(confinement)
    _try_worker(confinement)
    gc.collect()
    gc.freeze()  # or the first collection in each worker would copy every page
    return confinement


def _try_worker(confinement: Confinement) -> None:
    """Confine a first worker, which runs no function, and have it prove that it is."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confine_worker(confinement)
            prove_worker(confinement)
            os.write(writing, CONFINED)
        except BaseException as error:  # noqa: BLE001 - told to the zygote, which raises it
            os.write(writing, str(error).encode(errors="replace")[:1024])
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if said != CONFINED:
        raise SandboxError(said.decode(errors="replace") or "a worker did not survive its own lock-down")


def _become_worker(
    control: socket.socket, descriptors: list[int], serve_channel: Serve, confinement: Confinement
) -> int:
    """Serve and end; never return into the zygote's loop, whatever happens."""
    try:
        channel, log = descriptors
        os.dup2(log, 1)
        os.dup2(log, 2)
        control.detach()  # its number is the channel's from here on: nothing may close it
        os.dup2(channel, CHANNEL)
        os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
        confine_worker(confinement)
        _reseed()
        with socket.socket(fileno=CHANNEL) as connection:
            connection.sendall(CONFINED)
            serve_channel(connection)
        os._exit(0)
    finally:
        os._exit(_BROKEN)


def _reseed() -> None:
    """Give this worker random numbers of its own: its siblings inherited the same state."""
    for name in ("random", "numpy.random"):
        if (generator := sys.modules.get(name)) is not None:
            generator.seed()
