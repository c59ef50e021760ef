"""Where a lane stands: the names from which its topics and its client id are made."""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.wire.topics import dead_topic, invoke_topic

__all__ = ["Station"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One function of one runtime in one namespace.

    Attributes:
        namespace: where the runtime serves.
        runtime_id: its name.
        function: the function whose lane this is.
        invoke_topic: the function's own topic.
        dead_topic: where invocations of the lane end that nobody can be told about.
        client_id: by which the broker knows the lane; stable, so that its session is found again.
    """

    namespace: str
    runtime_id: str
    function: str

    @property
    def invoke_topic(self) -> str:
        """The function's own topic."""
        return invoke_topic(self.namespace, self.runtime_id, self.function)

    @property
    def dead_topic(self) -> str:
        """Where invocations of the lane end that nobody can be told about."""
        return dead_topic(self.namespace, self.runtime_id, self.function)

    @property
    def client_id(self) -> str:
        """By which the broker knows the lane; stable, so that its session is found again."""
        return f"{self.runtime_id}/{self.function}"
