"""Where the enclave listens, and what its log says when something of ours fails there."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import anyio
import pytest
from enclaved.clock import system_random
from enclaved.enclave import listener as listener_module
from enclaved.enclave.listener import Link, listen_socket, serve_links
from enclaved.enclave.private_folder import make_folder, private_folder
from enclaved.errors import ConfigurationError
from enclaved.wire.frames import Frame, Hello, encode_frame

SECRET = "a word of a plaintext"


async def test_a_fault_of_ours_costs_the_link_and_tells_no_contents(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception's text may hold what it failed on; the log is the host's."""

    def fail(_: Link, __: Frame) -> None:
        raise KeyError(SECRET)

    address = tmp_path / "link"
    listener = listen_socket(f"unix:{address}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_links, listener, lambda: Link(made=lambda _: None, receive=fail, lost=lambda _: None))
        with anyio.fail_after(5):
            async with await anyio.connect_unix(address) as stream:
                await stream.send(encode_frame(Hello(v=1)))
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
        tasks.cancel_scope.cancel()

    assert "KeyError" in caplog.text
    assert SECRET not in caplog.text
    assert not any(record.exc_info for record in caplog.records if record.levelno >= logging.ERROR)


async def test_who_never_says_hello_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is for a gateway."""
    monkeypatch.setattr(listener_module, "_HELLO_S", 0.05)
    address = tmp_path / "link"
    listener = listen_socket(f"unix:{address}")
    gone = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            serve_links,
            listener,
            lambda: Link(made=lambda _: None, receive=lambda _, __: None, lost=lambda _: gone.set()),
        )
        with anyio.fail_after(5):
            async with await anyio.connect_unix(address) as stream:
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
                await gone.wait()
        tasks.cancel_scope.cancel()


def test_a_unix_link_is_its_users_alone(tmp_path: Path) -> None:
    """Whoever connects is taken for the gateway."""
    with listen_socket(f"unix:{tmp_path / 'link'}"):
        assert stat.S_IMODE((tmp_path / "link").stat().st_mode) == 0o600


def test_a_socket_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    """An enclave that was killed leaves its own."""
    listen_socket(f"unix:{tmp_path / 'link'}").close()
    with listen_socket(f"unix:{tmp_path / 'link'}"):
        pass


@pytest.mark.parametrize(
    "address",
    ["", "unix", "unix:", "unix:/nonexistent/x", "unix:/" + "x" * 200, "unix:\0", "tcp:1", "vsock:1", "vsock:x:1"],
)
def test_an_address_that_cannot_be_is_an_error(address: str) -> None:
    """Of configuration."""
    with pytest.raises(ConfigurationError):
        listen_socket(address)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_the_private_folder_is_gone_afterwards(temporary: Path) -> None:
    """With all that is in it, read-only files, folders and links included; what links point to stays."""
    (temporary / "outside").mkdir()
    (temporary / "outside" / "kept").touch()
    with private_folder(random=system_random) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c").touch(mode=0o444)
        (folder / "a" / "link").symlink_to(temporary / "outside")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o711

    assert [path.name for path in temporary.iterdir()] == ["outside"]
    assert (temporary / "outside" / "kept").exists()


def test_the_private_folder_is_gone_after_a_failure(temporary: Path) -> None:
    """However the enclave ends, short of being killed."""
    with pytest.raises(RuntimeError), private_folder(random=system_random):
        raise RuntimeError

    assert list(temporary.iterdir()) == []


def test_a_folder_that_somebody_made_beforehand_is_not_taken(temporary: Path) -> None:
    """Whoever could guess its name could put his own functions there."""
    make_folder(temporary, "f", mode=0o755, random=bytes)
    with pytest.raises(FileExistsError):
        make_folder(temporary, "f", mode=0o755, random=bytes)
