"""A zygote: an interpreter from which the workers of one function are forked.

It imports the libraries that the function's manifest names, never the function's
own module: a module that starts a thread when it is imported would sit in every
later worker and read the next caller's input. That module is executed in the
worker, after the fork, and dies with it.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import socket
import sys
import threading
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
from enclaved.sandbox.runner import serve

__all__ = ["main"]

_THREAD_STACK: Final = (
    2 * 1024 * 1024
)  # the usual 8 MiB each would use up a function's address space with a few threads
_BROKEN: Final = 70  # EX_SOFTWARE: a worker ended outside the function's code


def main(parent: int) -> None:
    """Prepare, then fork workers until the enclave closes the control socket.

    Args:
        parent: the process that this one must not outlive.
    """
    die_with_parent(parent)
    control = take_control_socket()
    received = receive(control)
    if received is None:
        return
    try:
        assignment = Assignment.decode(received[0].body)
        confinement = _prepare(assignment, parent)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text is for whoever operates
        text = f"{type(error).__name__}: {error}"
        send(control, Message(Kind.FAILED, body=text.encode(errors="replace")[:4096]))
        return

    def start(_: bytes, descriptors: list[int]) -> int:
        return os.fork() or _become_worker(control, descriptors, assignment, confinement)

    send(control, Message(Kind.READY, body=",".join(sorted(assignment.layers)).encode()))
    Keeper(control, start=start).run()


def _prepare(assignment: Assignment, parent: int) -> Confinement:
    """Load the libraries, then lock down and prove it; return what each worker is confined to."""
    if assignment.user and Layer.OWN_USER in assignment.layers:
        become(assignment.user)
        die_with_parent(parent)
    adopt_orphans()
    prove_surroundings(assignment.layers, user=assignment.user)
    for library in assignment.preload:
        import_module(library)
    threading.stack_size(_THREAD_STACK)
    faulthandler.enable(all_threads=False)  # after a crash in C, a worker's log says where in Python it was
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
    control: socket.socket, descriptors: list[int], assignment: Assignment, confinement: Confinement
) -> int:
    """Serve one invocation and end; never return into the zygote's loop, whatever happens."""
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
            serve(connection, assignment)
        os._exit(0)
    finally:
        os._exit(_BROKEN)


def _reseed() -> None:
    """Give this worker random numbers of its own: its siblings inherited the same state."""
    for name in ("random", "numpy.random"):
        if (generator := sys.modules.get(name)) is not None:
            generator.seed()
