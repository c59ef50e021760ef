"""Taking more than the function's share."""

import mmap
import os
import signal
import threading
import time

from attempt import HeldError

MIB = 1024 * 1024


def forks(targets):
    for _ in range(150):
        if os.fork() == 0:
            os.close(3)
            time.sleep(5)
            os._exit(0)
    return "150 forks"


def threads(targets):
    """As many as the smallest stacks allow, up to more than its user may have."""
    threading.stack_size(32768)
    stop = threading.Event()
    started = 0
    try:
        while started < targets["threads"]:
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except (RuntimeError, MemoryError):
        raise HeldError(f"{started} threads") from None
    return f"{started} threads"


def memory(targets):
    kept = []
    try:
        while len(kept) < targets["mebibytes"]:
            kept.append(mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            kept[-1][::4096] = bytes(MIB // 4096)
    except (OSError, MemoryError):
        raise HeldError(f"{len(kept)} MiB") from None
    return f"{len(kept)} MiB"


def descriptors(targets):
    kept = []
    try:
        while len(kept) < 200:
            kept.append(os.dup(0))
    except OSError:
        raise HeldError(f"{len(kept)} descriptors") from None
    return f"{len(kept)} descriptors"


def busy_with_all_signals_blocked(targets):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass


def asleep_with_everything_closed(targets):
    os.closerange(0, 3)
    while True:
        time.sleep(60)


def large_file(targets):
    with open("/dev/null", "wb") as nothing:
        nothing.write(b"x")
    with open(os.path.dirname(__file__) + "/large", "wb") as file:
        file.truncate(1 << 40)
    return "written"
