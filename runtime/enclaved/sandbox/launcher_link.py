"""The enclave's hold on its launcher.

The launcher is started while the enclave still may start something and has no key
yet. It is not restarted: a second one would have to be forked from a process that
holds keys. So when it dies, the enclave process ends and is started anew.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from typing import Self

import anyio
from anyio.abc import TaskStatus

from enclaved.errors import SandboxError
from enclaved.sandbox.findings import Finding, decode_findings
from enclaved.sandbox.interpreter import ENVIRONMENT, command
from enclaved.sandbox.keeper_link import Child, KeeperLink

__all__ = ["LauncherLink"]

_GOODBYE_S = 3.0


class LauncherLink:
    """A running launcher, as the enclave has it."""

    def __init__(self, process: subprocess.Popen[bytes], link: KeeperLink) -> None:
        self._process = process
        self._link = link
        self._closing = False
        self._findings: tuple[Finding, ...] = ()

    @classmethod
    def spawn(cls) -> Self:
        """Start a launcher, from a thread that lives as long as the process (prctl(2), PR_SET_PDEATHSIG).

        Raises:
            SandboxError: it cannot be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no word from outside
                    command("enclaved.sandbox.launcher", parent=os.getpid()),
                    env=ENVIRONMENT,
                    cwd="/",
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # a terminal's Ctrl-C is the enclave's to handle
                )
            except OSError as error:
                ours.close()
                raise SandboxError(f"the launcher cannot be started: {error}") from error
        return cls(process, KeeperLink(ours))

    @property
    def pid(self) -> int:
        """Return the launcher's process id."""
        return self._process.pid

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return which isolation levels were tried, once `listen` has started, and what came of each."""
        return self._findings

    async def listen(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Hear the launcher, until `aclose`; it has started when the launcher knows what this machine gives.

        Raises:
            SandboxError: the launcher died, and no function can be run any more.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._get_ready, task_status, name="launcher's findings")
            await self._link.listen()
        if not self._closing:
            raise SandboxError("the launcher died: the enclave has to be started anew")

    async def _get_ready(self, task_status: TaskStatus[None]) -> None:
        if findings := await self._link.ready():
            self._findings = decode_findings(findings)
            task_status.started()

    def start(self, body: bytes, descriptors: Sequence[int]) -> Child:
        """Ask for a zygote, which gets copies of `descriptors`."""
        return self._link.start(body, descriptors)

    def kill(self, child: Child) -> None:
        """Have a zygote killed, if it still lives."""
        self._link.kill(child)

    async def aclose(self) -> None:
        """End the launcher and everything that it started, and wait until it is gone."""
        self._closing = True
        self._link.shut_down()
        pidfd = os.pidfd_open(self._process.pid)
        try:
            with anyio.move_on_after(_GOODBYE_S, shield=True):
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
            self._process.kill()
            self._process.wait()
            self._link.close()
