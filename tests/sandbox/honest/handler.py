"""A function that uses what functions use; its input names the part."""

import asyncio
import bz2
import datetime
import decimal
import hashlib
import lzma
import mmap
import os
import signal
import sqlite3
import sys
import time
import xml.etree.ElementTree as ElementTree
import zlib
import zoneinfo
from concurrent.futures import ThreadPoolExecutor

import numpy


def handle(payload: bytes) -> bytes:
    """Use one part of the standard library, or numpy."""
    PARTS[payload.decode()]()
    return b"worked"


def numbers() -> None:
    assert numpy.linalg.inv(numpy.eye(3)).sum() == 3
    assert numpy.fft.fft(numpy.arange(64.0)).shape == (64,)
    assert numpy.random.default_rng().random(1000).mean() > 0
    assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0] == 300


def database() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (n)")
    connection.executemany("insert into t values (?)", [(n,) for n in range(1000)])
    assert connection.execute("select sum(n) from t order by random()").fetchone() == (499_500,)


def threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(abs, range(-50, 0))) == 1275


def tasks() -> None:
    async def sleep() -> int:
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(len, "abc")

    assert asyncio.run(sleep()) == 3


def zones() -> None:
    noon = datetime.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert noon.utcoffset() == datetime.timedelta(hours=2)


def compression() -> None:
    for each in (bz2, lzma, zlib):
        assert each.decompress(each.compress(b"x" * 1000)) == b"x" * 1000


def markup() -> None:
    assert ElementTree.fromstring("<a>b</a>").text == "b"  # noqa: S314 - our own text


def digests() -> None:
    assert hashlib.sha256(b"").digest_size == 32
    assert decimal.Decimal(1) / 3 < 1


def files() -> None:
    with open(os.devnull, "w") as nothing:
        nothing.write("x")
    with open(__file__, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:3] == b'"""'
    assert not sys.stdout.isatty()


def timers() -> None:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(0.01)


PARTS = {
    each.__name__: each
    for each in (
        numbers,
        database,
        threads,
        tasks,
        zones,
        compression,
        markup,
        digests,
        files,
        timers,
    )
}
