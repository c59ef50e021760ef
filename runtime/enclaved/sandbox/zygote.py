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
from collections.abc import Callable
from importlib import import_module

from enclaved.sandbox.assignment import Assignment
from enclaved.sandbox.channel import CHANNEL, CONFINED
from enclaved.sandbox.control import Kind, Message, receive, send
from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.keeper import Keeper, take_control_socket
from enclaved.sandbox.kernel import die_with_parent
from enclaved.sandbox.lockdown import LEVEL, WORKER_STEPS, ZYGOTE_STEPS, Confinement, address_space
from enclaved.sandbox.refusal import refusal_text
from enclaved.sandbox.runner import serve

__all__ = ["Serve", "keep_workers", "main"]

Serve = Callable[[socket.socket], None]
"""What a worker does with its channel until it ends."""

_BROKEN: int = 70  # EX_SOFTWARE: a worker ended outside the function's code


def main(parent: int) -> None:
    """Fork workers that run one Python function, until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
    """
    keep_workers(parent, prepare=_load_libraries, level=LEVEL)


def keep_workers(parent: int, *, prepare: Callable[[Assignment], Serve], level: IsolationLevel) -> None:
    """Prepare, lock down, then fork workers until the enclave closes the control socket.

    Args:
        parent: the launcher's process id.
        prepare: loads what the workers need before the lock-down, and returns what each of them does.
        level: what the lock-down amounts to for such a function.
    """
    die_with_parent(parent)
    control = take_control_socket()
    received = receive(control)
    if received is None:
        return
    assignment = Assignment.decode(received[0].body)
    try:
        serve_channel = prepare(assignment)
        confinement = _lock_down(assignment)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text is for whoever operates
        send(control, Message(Kind.FAILED, body=refusal_text(error)))
        return

    def start(_: bytes, descriptors: list[int]) -> int:
        return os.fork() or _become_worker(control, descriptors, serve_channel, confinement)

    send(control, Message(Kind.READY, body=level.encode()))
    Keeper(control, start=start).run()


def _load_libraries(assignment: Assignment) -> Serve:
    """Load what the manifest names; return how a worker runs the function."""
    for library in assignment.preload:
        import_module(library)
    faulthandler.enable(all_threads=False)  # after a crash in C, a worker's log says where in Python it was
    return lambda channel: serve(channel, assignment)


def _lock_down(assignment: Assignment) -> Confinement:
    """Give up what no worker may have; return what each worker is confined to."""
    confinement = Confinement(
        parent=os.getpid(), address_space=address_space() + assignment.memory_bytes, cpu_s=assignment.cpu_s
    )
    for step in ZYGOTE_STEPS:
        step(confinement)
    gc.collect()
    gc.freeze()  # or the first collection in each worker would copy every page
    return confinement


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
        for step in WORKER_STEPS:
            step(confinement)
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
