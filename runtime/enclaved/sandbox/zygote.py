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
from importlib import import_module

from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.channel import CHANNEL, CONFINED
from enclaved.sandbox.control import Kind, Message, receive, send
from enclaved.sandbox.keeper import Keeper, take_control_socket
from enclaved.sandbox.kernel import die_with_parent
from enclaved.sandbox.lockdown import LEVEL, WORKER_STEPS, ZYGOTE_STEPS, Confinement, address_space
from enclaved.sandbox.runner import serve

__all__ = ["main"]

_BROKEN: int = 70  # EX_SOFTWARE: a worker ended outside the function's code


def main(parent: int) -> None:
    """Prepare, then fork workers until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
    """
    die_with_parent(parent)
    control = take_control_socket()
    received = receive(control)
    if received is None:
        return
    assignment = Assignment.decode(received[0].body)
    try:
        confinement = _prepare(assignment)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text is for whoever operates
        text = f"{type(error).__name__}: {error}"
        send(control, Message(Kind.FAILED, body=text.encode(errors="replace")[:4096]))
        return

    def start(_: bytes, descriptors: list[int]) -> int:
        return os.fork() or _become_worker(control, descriptors, assignment, confinement)

    send(control, Message(Kind.READY, body=LEVEL.encode()))
    Keeper(control, start=start).run()


def _prepare(assignment: Assignment) -> Confinement:
    """Load the libraries, then lock down; return what each worker is confined to."""
    for library in assignment.preload:
        import_module(library)
    faulthandler.enable(all_threads=False)  # after a crash in C, a worker's log says where in Python it was
    confinement = Confinement(
        parent=os.getpid(), address_space=address_space() + assignment.memory_bytes, cpu_s=assignment.cpu_s
    )
    for step in ZYGOTE_STEPS:
        step(confinement)
    gc.collect()
    gc.freeze()  # or the first collection in each worker would copy every page
    return confinement


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
        for step in WORKER_STEPS:
            step(confinement)
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
