"""The arguments that people give a caller, read and checked once, before anything is sealed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.caller.keys import read_caller_key
from enclaved.caller.progress import ProgressObserver
from enclaved.caller.surroundings import Surroundings
from enclaved.caller.trust import Vetting
from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.verifier.policy import Policy
from enclaved.verifier.policy_document import read_policy
from enclaved.wire.bundle import FunctionEntry
from enclaved.wire.limits import MAX_PAYLOAD
from enclaved.wire.text import check_content_type
from enclaved.wire.topics import check_name, check_topic

__all__ = ["Settings", "check_arguments", "check_size", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one caller was told.

    Attributes:
        namespace: where the runtimes serve.
        vetting: the policy and roots.
        key: proves who calls, or None.
        runtime: the runtime to call unless an invocation names another, or None.
        in_flight: how many invocations may be under way at once.
        surroundings: time, randomness and roots.
        observer: told of every step.
    """

    namespace: str
    vetting: Vetting
    key: Ed25519PrivateKey | None
    runtime: str | None
    in_flight: int
    surroundings: Surroundings
    observer: ProgressObserver


def read_settings(
    namespace: str,
    policy: str | Path | Policy,
    *,
    key: str | Path | Ed25519PrivateKey | None,
    runtime: str | None,
    in_flight: int,
    around: Surroundings,
    observer: ProgressObserver,
) -> Settings:
    """Return the arguments of `Caller.connect`, read and checked.

    Args:
        namespace: where the runtimes serve.
        policy: a TOML file, or the value.
        key: a caller's key file, or the key, or None.
        runtime: a runtime's name, or None.
        in_flight: how many invocations may be under way at once.
        around: time, randomness and roots.
        observer: told of every step.

    Raises:
        ConfigurationError: one of them is wrong.
    """
    accepted = policy if isinstance(policy, Policy) else read_policy(Path(policy))
    if accepted.namespace != namespace:
        problem = f"the policy is for the namespace {accepted.namespace}, not {namespace}"
        raise ConfigurationError("namespace", problem, remedy="Name the policy's namespace, or another policy")
    try:
        check_name(namespace, what="namespace")
        if runtime is not None:
            check_name(runtime, what="runtime")
    except ProtocolError as error:
        raise ConfigurationError(error.what, error.reason, remedy="Correct the name") from error
    if in_flight < 1:
        raise ConfigurationError("in_flight", "leaves no place for an invocation", remedy="Give 1 or more")
    return Settings(
        namespace=namespace,
        vetting=Vetting(policy=accepted, roots=around.roots),
        key=key if isinstance(key, Ed25519PrivateKey | None) else read_caller_key(Path(key)),
        runtime=runtime,
        in_flight=in_flight,
        surroundings=around,
        observer=observer,
    )


def check_arguments(function: str, payload: bytes, *, timeout: float, content_type: str, topic: str | None) -> None:
    """Check the arguments of one invocation, before anything is looked for or sealed.

    Raises:
        ConfigurationError: one of them is wrong.
    """
    try:
        check_name(function, what="function")
        check_content_type(content_type, what="content_type")
        if topic is not None:
            check_topic(topic, what="topic")
    except ProtocolError as error:
        raise ConfigurationError(error.what, error.reason, remedy="Correct it; nothing was sealed") from error
    if len(payload) > MAX_PAYLOAD:
        problem = f"{len(payload)} bytes, more than the {MAX_PAYLOAD} that a message carries"
        raise ConfigurationError("payload", problem, remedy="Send it in parts; nothing was sealed")
    if not timeout > 0:
        raise ConfigurationError("timeout", "leaves no time for an answer", remedy="Give seconds above 0")


def check_size(payload: bytes, entry: FunctionEntry) -> None:
    """Check a payload against what the verified function takes, before it is sealed.

    Raises:
        ConfigurationError: it is larger.
    """
    if len(payload) > entry.limits.input_bytes:
        problem = f"{len(payload)} bytes, more than the {entry.limits.input_bytes} that {entry.name} takes"
        raise ConfigurationError("payload", problem, remedy="Send less; nothing was sealed")
