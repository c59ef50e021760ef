"""What a caller is doing, shown on a terminal while a person waits; silent where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from enclaved.caller.progress import Progress, ProgressObserver, Step, ignore_progress
from enclaved.cli.report import errors_console

__all__ = ["progress_shown"]

_WORDS = {
    Step.CONNECTING: "connecting to the broker",
    Step.DISCOVERING: "looking for a runtime",
    Step.CHALLENGED: "asking for fresh evidence over a nonce of ours",
    Step.VERIFIED: "evidence verified, and accepted by the policy",
    Step.SEALED: "sealed to the enclave's key",
    Step.SENT: "the broker has it",
    Step.WAITING: "waiting for the answer",
    Step.RESENT: "sent once more",
    Step.HINTED: "an unauthenticated hint came",
    Step.DROPPED: "something came that is no answer of ours",
    Step.ANSWERED: "the answer is verified",
}


@contextmanager
def progress_shown() -> Iterator[ProgressObserver]:
    """Show a caller's steps while inside, where standard error is a terminal."""
    if not errors_console.is_terminal:
        yield ignore_progress
        return
    with errors_console.status("starting") as status:

        def observe(progress: Progress) -> None:
            whom = f" [dim]{escape(progress.runtime_id)}[/]" if progress.runtime_id else ""
            status.update(f"{_WORDS[progress.step]}{whom}")

        yield observe
