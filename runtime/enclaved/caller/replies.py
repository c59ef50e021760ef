"""Replies: which invocation a message on our reply topic belongs to.

An answer is matched by what its header says and the enclave authenticated, never by
MQTT's correlation data, which the broker writes. Hints are matched as well as they
can be: they prove nothing anyway.
"""

from __future__ import annotations

from collections.abc import Callable

from enclaved.caller.acceptance import OpenedAnswer, open_answer
from enclaved.caller.bell import Bell
from enclaved.caller.ledger import Sealing
from enclaved.errors import ProtocolError
from enclaved.wire.hint import Hint, HintCode, decode_hint, is_hint

__all__ = ["Mailbox", "Replies"]

_NAME_SIZE = 16 + 8


class Mailbox:
    """What came for one invocation: answers that opened, and the last hint.

    Attributes:
        bell: rung when something came.
        answers: at most one for each sealing.
        hint: the code of a hint at the latest sealing that was not looked at yet, or None.
        dropped: how many messages named this invocation and were no answer to it.
        closed: no more will come: the connection is gone for good.
    """

    def __init__(self) -> None:
        self.bell = Bell()
        self.answers: list[OpenedAnswer] = []
        self.hint: HintCode | None = None
        self.dropped = 0
        self.closed = False
        self._latest: tuple[bytes, int] | None = None

    def expect(self, sealing: Sealing) -> None:
        """Hear hints at this sealing from now on, and no longer at those before it."""
        self._latest = sealing.name
        self.hint = None

    def put_answer(self, opened: OpenedAnswer) -> None:
        """Put an answer in, and wake who waits."""
        self.answers.append(opened)
        self.bell.ring()

    def put_hint(self, name: tuple[bytes, int], code: HintCode) -> None:
        """Put a hint in, unless one waits or it is at an earlier sealing."""
        if self.hint is None and name == self._latest:
            self.hint = code
            self.bell.ring()

    def close(self) -> None:
        """Wake who waits, for nothing more will come."""
        self.closed = True
        self.bell.ring()


class Replies:
    """The sealings whose answer is waited for, and the mailboxes of their invocations."""

    def __init__(self, *, on_dropped: Callable[[str], None]) -> None:
        self._sealings: dict[tuple[bytes, int], Sealing] = {}
        self._mailboxes: dict[tuple[bytes, int], Mailbox] = {}
        self._on_dropped = on_dropped

    def __len__(self) -> int:
        """Return how many sealings are waited for."""
        return len(self._sealings)

    def expect(self, sealing: Sealing, mailbox: Mailbox) -> None:
        """Wait for the answer to a sealing."""
        self._sealings[sealing.name] = sealing
        self._mailboxes[sealing.name] = mailbox
        mailbox.expect(sealing)

    def forget(self, sealing: Sealing) -> None:
        """Wait for it no longer; what comes for it is dropped."""
        self._sealings.pop(sealing.name, None)
        self._mailboxes.pop(sealing.name, None)

    def take(self, message: bytes, *, correlation_data: bytes | None) -> None:
        """Take a message from the reply topic.

        Args:
            message: untrusted bytes.
            correlation_data: what MQTT says that it answers, or None.
        """
        try:
            if is_hint(message):
                self._take_hint(decode_hint(message), correlation_data)
            else:
                opened = open_answer(message, pending=self._sealings)
                mailbox = self._mailboxes[opened.sealing.name]
                self.forget(opened.sealing)  # a second answer to it is dropped
                mailbox.put_answer(opened)
        except ProtocolError as error:
            mailbox_named = self._mailboxes.get(_name(correlation_data))
            if mailbox_named is not None:
                mailbox_named.dropped += 1
            self._on_dropped(error.reason)

    def close(self) -> None:
        """Tell all who wait that nothing more will come."""
        for mailbox in self._mailboxes.values():
            mailbox.close()

    def _take_hint(self, hint: Hint, correlation_data: bytes | None) -> None:
        if hint.session_id is None or hint.sequence is None:
            name = _name(correlation_data)  # the header could not be read there
        else:
            name = (hint.session_id, hint.sequence)
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            raise ProtocolError("hint", "at nothing that waits")
        mailbox.put_hint(name, hint.hint)


def _name(correlation_data: bytes | None) -> tuple[bytes, int]:
    """Return the session id and sequence of correlation data; of what is none, a name that nothing has."""
    if correlation_data is None or len(correlation_data) != _NAME_SIZE:
        return b"", -1
    return correlation_data[:16], int.from_bytes(correlation_data[16:], "big")
