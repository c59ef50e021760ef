"""A function's manifest, ``function.toml``: what it is, who may call it, what it may use.

The manifest lies inside the folder's digest: a changed caller list is another
function. So nothing here is taken from anywhere else, and nothing that decides
has a silent default: ``callers`` is mandatory, and "anybody" is written out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Literal

import msgspec

from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.wire import hpke
from enclaved.wire.bundle import FunctionLimits
from enclaved.wire.key_text import parse_caller_key, parse_recipient_key
from enclaved.wire.limits import MAX_PAYLOAD, MAX_RECIPIENTS, MAX_TOPIC
from enclaved.wire.sealed_output import RecipientKey
from enclaved.wire.text import check_content_type, check_text
from enclaved.wire.topics import check_name, check_topic

__all__ = ["MANIFEST_NAME", "EventOutput", "Manifest", "parse_manifest"]

MANIFEST_NAME = "function.toml"

_MAX_MANIFEST = 64 << 10
_MAX_CALLERS = 1024
_MAX_TRIGGERS = 32
_MAX_PRELOAD = 32
_MAX_DESCRIPTION = 256
_MAX_WASM_MEMORY_MIB = 4096


class _Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    time_ms: int = 2_000
    memory_mib: int = 256
    input_bytes: int = MAX_PAYLOAD
    output_bytes: int = MAX_PAYLOAD


class _Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    topics: tuple[str, ...]


class _Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    topic: str
    recipients: tuple[str, ...]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An example for people: files of the folder, and the input's content type."""

    input: str
    output: str | None = None
    content_type: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    version: str
    engine: Literal["python", "wasm"]
    callers: tuple[str, ...] | Literal["any"]
    entrypoint: str | None = None
    module: str | None = None
    description: str = ""
    content_type: str = ""
    preload: tuple[str, ...] = ()
    limits: _Limits = _Limits()
    trigger: _Trigger | None = None
    output: _Output | None = None
    sample: Sample | None = None


class EventOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event function's output goes, and who can read it.

    Attributes:
        topic: a plain topic outside ``enclaved/``.
        recipients: 1 to 16 public keys.
    """

    topic: str
    recipients: tuple[RecipientKey, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A checked manifest.

    Attributes:
        name: the function's name, and its folder's.
        version: for people.
        description: one line, for people.
        engine: what runs it.
        entrypoint: what runs: ``module:callable`` of Python, or the file of a WebAssembly module.
        content_type: of its output.
        callers: the callers' Ed25519 keys as text, or None for anybody.
        caller_keys: the same as 32-byte keys, or None.
        preload: libraries to import before the function's own code.
        limits: what one invocation may use.
        triggers: topic filters of its own.
        output: set for an event function.
        sample: an example, or None.
    """

    name: str
    version: str
    description: str
    engine: str
    entrypoint: str
    content_type: str
    callers: tuple[str, ...] | None
    caller_keys: frozenset[bytes] | None
    preload: tuple[str, ...]
    limits: FunctionLimits
    triggers: tuple[str, ...]
    output: EventOutput | None
    sample: Sample | None


def parse_manifest(data: bytes, *, where: str) -> Manifest:
    """Return the manifest that a ``function.toml`` holds.

    Args:
        data: the file's bytes.
        where: its path, for errors.

    Returns:
        The manifest, every value checked.

    Raises:
        ConfigurationError: it is not TOML, has an unknown or missing key, or a value that cannot be.
    """
    if len(data) > _MAX_MANIFEST:
        raise ConfigurationError(where, f"more than {_MAX_MANIFEST >> 10} KiB", remedy="Move data into other files.")
    try:
        document = msgspec.convert(tomllib.loads(data.decode()), _Document, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigurationError(where, str(error), remedy="See functions/README.md for the keys.") from error
    except (ValueError, RecursionError) as error:  # among them UnicodeDecodeError, TOMLDecodeError, too many digits
        raise ConfigurationError(where, f"not TOML: {error}", remedy="Mend it at that place.") from error
    return _Reader(where).read(document)


class _Reader:
    """Checks one document; each error names the key."""

    def __init__(self, where: str) -> None:
        self._where = where

    def read(self, document: _Document) -> Manifest:
        self._texts(document)
        callers = None if document.callers == "any" else self._callers(document.callers)
        return Manifest(
            name=document.name,
            version=document.version,
            description=document.description,
            engine=document.engine,
            entrypoint=self._entrypoint(document),
            content_type=document.content_type,
            callers=None if callers is None else tuple(document.callers),
            caller_keys=callers,
            preload=document.preload,
            limits=self._limits(document.limits),
            triggers=self._triggers(document.trigger),
            output=self._output(document.output),
            sample=document.sample,
        )

    def _texts(self, document: _Document) -> None:
        self._protocol("name", lambda: check_name(document.name, what="name"))
        self._protocol("version", lambda: check_text(document.version, what="version"))
        self._protocol("content_type", lambda: check_content_type(document.content_type, what="content_type"))
        if len(document.description) > _MAX_DESCRIPTION or not document.description.isprintable():
            raise self._error(
                "description", f"not one line of at most {_MAX_DESCRIPTION} characters", "Keep the rest in a README."
            )
        if len(document.preload) > _MAX_PRELOAD or not all(_is_module(name) for name in document.preload):
            raise self._error("preload", "not a list of library names", 'Write it like ["numpy"].')

    def _entrypoint(self, document: _Document) -> str:
        match document.engine:
            case "python":
                return self._python(document)
            case "wasm":
                return self._wasm(document)

    def _python(self, document: _Document) -> str:
        entrypoint = document.entrypoint
        if document.module is not None:
            raise self._error("module", "only WebAssembly has one", 'Write entrypoint, or engine = "wasm".')
        if entrypoint is None:
            raise self._error("entrypoint", "is missing", "Write it like handler:handle.")
        module, colon, attribute = entrypoint.partition(":")
        if not colon or not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise self._error("entrypoint", "not module:callable", "Write it like handler:handle.")
        return entrypoint

    def _wasm(self, document: _Document) -> str:
        module = document.module
        if document.entrypoint is not None:
            raise self._error("entrypoint", "only Python has one", 'Write module = "name.wasm", or engine = "python".')
        if document.preload:
            raise self._error("preload", "WebAssembly loads no libraries", "Remove it: a module brings its own.")
        if module is None or not module.endswith(".wasm"):
            raise self._error("module", "is missing" if module is None else "not a .wasm file", 'Write "name.wasm".')
        if document.limits.memory_mib > _MAX_WASM_MEMORY_MIB:
            raise self._error(
                "limits.memory_mib", "more than 32-bit addresses reach", f"Choose at most {_MAX_WASM_MEMORY_MIB}."
            )
        return module

    def _callers(self, callers: tuple[str, ...]) -> frozenset[bytes]:
        if not 1 <= len(callers) <= _MAX_CALLERS:
            raise self._error(
                "callers", f"a list has 1 to {_MAX_CALLERS} keys", 'List keys from `enclaved keygen`, or write "any".'
            )
        keys: set[bytes] = set()
        for caller in callers:
            self._protocol("callers", lambda caller=caller: keys.add(parse_caller_key(caller)))  # type: ignore[misc]
        return frozenset(keys)

    def _limits(self, limits: _Limits) -> FunctionLimits:
        ranges = {
            "time_ms": (limits.time_ms, 1, 600_000),
            "memory_mib": (limits.memory_mib, 16, 65_536),
            "input_bytes": (limits.input_bytes, 0, MAX_PAYLOAD),
            "output_bytes": (limits.output_bytes, 0, MAX_PAYLOAD),
        }
        for key, (value, least, most) in ranges.items():
            if not least <= value <= most:
                raise self._error(f"limits.{key}", "out of range", f"Choose {least} to {most}.")
        return FunctionLimits(
            time_ms=limits.time_ms,
            memory_mib=limits.memory_mib,
            input_bytes=limits.input_bytes,
            output_bytes=limits.output_bytes,
        )

    def _triggers(self, trigger: _Trigger | None) -> tuple[str, ...]:
        if trigger is None:
            return ()
        if not 1 <= len(trigger.topics) <= _MAX_TRIGGERS:
            raise self._error("trigger.topics", f"1 to {_MAX_TRIGGERS} topic filters", "Leave [trigger] out for none.")
        for topic in trigger.topics:
            if not _is_filter(topic):
                raise self._error(
                    "trigger.topics", f"{topic[:80]!r} cannot be subscribed to", "Use a filter outside enclaved/ and $."
                )
        return trigger.topics

    def _output(self, output: _Output | None) -> EventOutput | None:
        if output is None:
            return None
        self._protocol("output.topic", lambda: check_topic(output.topic, what="output.topic"))
        if output.topic.startswith("enclaved/"):
            raise self._error("output.topic", "enclaved/ is the runtime's own", "Choose a topic of yours.")
        if not 1 <= len(output.recipients) <= MAX_RECIPIENTS:
            raise self._error(
                "output.recipients", f"1 to {MAX_RECIPIENTS} keys", "Make one with `enclaved keygen --recipient`."
            )
        keys: list[RecipientKey] = []
        for recipient in output.recipients:
            self._protocol(
                "output.recipients",
                lambda recipient=recipient: keys.append(_usable_key(recipient)),  # type: ignore[misc]
            )
        return EventOutput(topic=output.topic, recipients=tuple(keys))

    def _protocol(self, key: str, check: Callable[[], object]) -> None:
        try:
            check()
        except ProtocolError as error:
            raise self._error(key, error.reason, "See functions/README.md for its form.") from error

    def _error(self, key: str, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where}: {key}", problem, remedy=remedy)


def _usable_key(text: str) -> RecipientKey:
    """Return a recipient's key that can be sealed to: a weak one is only found out when it is tried."""
    key = parse_recipient_key(text)
    hpke.seal(b"", suite=key.suite, public_key=key.public_key, info=b"")
    return key


def _is_module(name: str) -> bool:
    return len(name) <= 64 and all(part.isidentifier() for part in name.split("."))


def _is_filter(topic: str) -> bool:
    """Tell whether a topic filter is valid (MQTT 5, section 4.7.1) and leaves our own topics alone."""
    levels = topic.split("/")
    whole = all(level in {"+", "#"} or not set(level) & {"+", "#"} for level in levels)
    last = "#" not in levels[:-1]
    plain = 0 < len(topic.encode()) <= MAX_TOPIC and topic.isprintable()
    foreign = levels[0] not in {"enclaved", "+", "#"} and not topic.startswith("$")
    return whole and last and plain and foreign
