"""Answers that are none, sent over the channel to the enclave."""

import os
import socket
import struct
import threading
import time

from attempt import HeldError


def _say(status, length, body=b""):
    with socket.socket(fileno=os.dup(3)) as channel:
        channel.sendall(struct.pack(">BI", status, length) + body)


def huge_length(targets):
    _say(0, 2**32 - 1)
    time.sleep(60)


def garbage_status(targets):
    _say(7, 2, b"ok")
    os._exit(0)


def two_answers(targets):
    _say(0, 2, b"ok")
    _say(0, 2, b"no")
    os._exit(0)


def drip_feed(targets):
    _say(0, 4096)
    with socket.socket(fileno=os.dup(3)) as channel:
        while True:
            channel.sendall(b".")
            time.sleep(0.05)


def after_the_deadline(targets):
    _say(0, 2, b"ok")
    time.sleep(60)


def silence(targets):
    os.close(3)
    time.sleep(60)


def steal_the_next_input(targets):
    """A thread that started at import time would be there for every later caller; see `thief`."""
    if seen := [each for each in SEEN if " ".join(targets["others"]) in each]:
        return seen
    raise HeldError("only its own input was seen")


SEEN = []
WATCHING = threading.Event()
WATCHING.set()


def _watch():
    while WATCHING.is_set():
        for number in range(3, 64):
            try:
                data = os.read(number, 4096) if number > 3 else socket.socket(fileno=os.dup(3)).recv(4096, 0x42)
            except OSError:
                continue
            SEEN.append(data.decode(errors="replace"))
        time.sleep(0.01)


WATCHER = threading.Thread(target=_watch, daemon=True)
WATCHER.start()
