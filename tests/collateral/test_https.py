"""A real HTTPS service that misbehaves: what costs how much, and what is said about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.abc
import pytest
from enclaved.collateral.error import CollateralError
from enclaved.collateral.https import HttpsClient, TimeLimits
from enclaved.collateral.response import MAX_HEAD
from enclaved.errors import ConfigurationError
from https_world import HttpsWorld, answer, dripping, hanging, open_world, raw

MOST = 1000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[HttpsWorld]:
    """A service under the tests' authority."""
    async with open_world(tmp_path) as opened:
        yield opened


async def failure(world: HttpsWorld, *behaviours: object) -> CollateralError:
    """Ask a service that behaves like this, and return how that fails."""
    world.server.paths["/x"] = list(behaviours)
    with pytest.raises(CollateralError) as raised:
        await world.client().get(f"{world.server.base}/x", most=MOST)
    assert raised.value.what == f"{world.server.base}/x"
    assert raised.value.remedy
    return raised.value


async def test_a_good_answer_is_returned(world: HttpsWorld) -> None:
    """The body comes as it was sent, the headers by their names in lower case."""
    world.server.paths["/x"] = [answer(b"body", headers={"X-Chain": "abc"})]
    response = await world.client().get(f"{world.server.base}/x?a=b", most=MOST)

    assert response.body == b"body"
    assert response.head.headers["x-chain"] == "abc"
    assert world.server.asked == ["/x?a=b"]


async def test_a_chunked_answer_is_returned(world: HttpsWorld) -> None:
    """A service may not know the length beforehand."""
    world.server.paths["/x"] = [
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
    ]
    assert (await world.client().get(f"{world.server.base}/x", most=MOST)).body == b"abcde"


async def test_a_service_that_keeps_the_connection_is_not_waited_for(world: HttpsWorld) -> None:
    """The announced length is the end, whatever the service does with the connection."""
    world.server.paths["/x"] = [hanging(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")]
    assert (await world.client().get(f"{world.server.base}/x", most=MOST)).body == b"body"


async def test_silence_after_the_question_is_given_up_on(world: HttpsWorld) -> None:
    """A service that takes the question and never answers costs the time limit and no more."""
    error = await failure(world, hanging())
    assert "no answer within 1 seconds" in error.problem
    assert error.passing


async def test_headers_that_drip_are_given_up_on(world: HttpsWorld) -> None:
    """Each byte comes in time; the head as a whole does not."""
    error = await failure(world, dripping(b"HTTP/1.1 200 OK\r\nX-A: ", piece=b"a"))
    assert "no answer within" in error.problem


async def test_a_body_that_drips_is_given_up_on(world: HttpsWorld) -> None:
    """Each byte comes in time; the body as a whole does not."""
    error = await failure(world, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", piece=b"a"))
    assert "no whole answer within" in error.problem
    assert error.passing


async def test_a_body_that_announces_too_much_is_refused_before_it_comes(world: HttpsWorld) -> None:
    """The announced size is looked at before the contents."""
    error = await failure(world, hanging(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"))
    assert "more than 1000 bytes" in error.problem


@pytest.mark.parametrize("head", [b"", b"Transfer-Encoding: chunked\r\n"], ids=["to the end", "chunked"])
async def test_a_body_that_does_not_say_how_much_is_cut_off(world: HttpsWorld, head: bytes) -> None:
    """Without an announced size, what comes is counted."""
    piece = b"64\r\n" + b"a" * 100 + b"\r\n" if head else b"a" * 100
    error = await failure(world, dripping(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", piece=piece))
    assert "more than 1000 bytes" in error.problem


async def test_a_head_without_end_is_cut_off(world: HttpsWorld) -> None:
    """Headers are counted too."""
    error = await failure(world, raw(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (MAX_HEAD + 1)))
    assert "head of more than" in error.problem


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
        b"HTTP/1.1 200",
    ],
    ids=["length", "chunk", "head"],
)
async def test_a_truncated_answer_is_no_answer(world: HttpsWorld, sent: bytes) -> None:
    """Half a revocation list is another list."""
    error = await failure(world, raw(sent))
    assert "ended before" in error.problem
    assert error.passing


async def test_a_body_without_length_needs_the_goodbye_of_tls(tmp_path: Path) -> None:
    """Anybody on the way can end a connection; only the service can end TLS."""
    async with open_world(tmp_path, goodbye=False) as world:
        error = await failure(world, raw(b"HTTP/1.1 200 OK\r\n\r\nsome of it"))
        assert "connection was lost" in error.problem


async def test_a_body_without_length_ends_with_tls(world: HttpsWorld) -> None:
    """The end of TLS is the end of the body."""
    world.server.paths["/x"] = [raw(b"HTTP/1.1 200 OK\r\n\r\nall of it")]
    assert (await world.client().get(f"{world.server.base}/x", most=MOST)).body == b"all of it"


async def test_redirects_are_not_followed(world: HttpsWorld) -> None:
    """Whoever answers does not choose whom we ask next."""
    redirect = answer(b"", status="302 Found", headers={"Location": f"{world.server.base}/y"})
    error = await failure(world, redirect)
    assert "redirects are not followed" in error.problem
    assert world.server.asked == ["/x"]
    assert not error.passing


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        ("404 Not Found", False),
        ("403 Forbidden", False),
        ("204 No Content", False),
        ("429 Too Many Requests", True),
        ("500 Oops", True),
        ("503 Busy", True),
    ],
)
async def test_a_status_says_whether_asking_again_can_help(world: HttpsWorld, status: str, *, passing: bool) -> None:
    """What is not there is not asked for again; what is busy may be."""
    error = await failure(world, answer(b"<html>", status=status))
    assert status[:3] in error.problem
    assert error.passing is passing


async def test_what_is_not_http_is_refused(world: HttpsWorld) -> None:
    """Another protocol on that port is said to be one."""
    error = await failure(world, raw(b"SSH-2.0-OpenSSH\r\n\r\n"))
    assert "not HTTP" in error.problem


@pytest.mark.parametrize(
    ("turned", "problem"),
    [
        ({"name": "other.example"}, "mismatch"),
        ({"ends": timedelta(hours=-1)}, "expired"),
        ({"stranger": True}, "self-signed"),
    ],
    ids=["another name", "expired", "a stranger's authority"],
)
async def test_a_certificate_that_is_not_the_services_is_refused(
    tmp_path: Path, turned: dict[str, object], problem: str
) -> None:
    """Nothing is asked of whoever cannot show the service's certificate, and nothing is asked again."""
    async with open_world(tmp_path, **turned) as world:
        error = await failure(world, answer(b"body"))

        assert problem in error.problem
        assert not error.passing
        assert world.server.asked == []


async def test_a_service_that_nobody_vouches_for_here_is_refused(world: HttpsWorld) -> None:
    """Without the private roots the system's hold, and they do not know the tests' authority."""
    with pytest.raises(CollateralError, match="certificate is not good"):
        await HttpsClient().get(f"{world.server.base}/x", most=MOST)


async def test_nobody_listening_is_unreachable(world: HttpsWorld) -> None:
    """A port that refuses is an error that may pass."""
    with pytest.raises(CollateralError, match="cannot be reached") as raised:
        await world.client().get("https://localhost:1/x", most=MOST)
    assert raised.value.passing


async def test_a_service_that_does_not_finish_connecting_is_given_up_on(world: HttpsWorld) -> None:
    """A port that listens and never begins TLS costs the time limit."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
        with pytest.raises(CollateralError, match=r"no connection within 0\.2 seconds") as raised:
            await world.client(TimeLimits(connect_s=0.2)).get(f"https://localhost:{port}/x", most=MOST)
    assert raised.value.passing


def test_a_file_of_roots_that_holds_none_is_refused_at_once(tmp_path: Path) -> None:
    """A wrong file is the user's to mend, before anything is asked."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match="PEM"):
        HttpsClient(cafile=tmp_path / "ca.pem")
