"""Reading a policy from its TOML document.

Nothing in a document is passed over: unknown keys, values of another type and
empty lists are errors that name the key and say what to write.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from enclaved.errors import ConfigurationError, ProtocolError
from enclaved.verifier.document_table import DocumentTable
from enclaved.verifier.format import Format
from enclaved.verifier.formats import FORMATS
from enclaved.verifier.policy import FormatSection, Freshness, FunctionRule, Policy
from enclaved.verifier.value_types import duration, flag, function_digests, integer, ordered_words, word, words
from enclaved.wire.hpke import SUITES
from enclaved.wire.topics import check_name

__all__ = ["ISOLATION_LEVELS", "MAX_POLICY", "parse_policy", "read_policy"]

MAX_POLICY = 256 << 10
ISOLATION_LEVELS = ("full", "restricted", "memory-safe")

_DEFAULT_MAX_AGE = timedelta(hours=1)  # a key bundle's own lifetime


def read_policy(path: Path) -> Policy:
    """Return the policy that a file holds.

    Args:
        path: a TOML file of at most `MAX_POLICY` bytes.

    Raises:
        ConfigurationError: it cannot be read, or is no policy.
    """
    try:
        with path.open("rb") as file:
            document = file.read(MAX_POLICY + 1)
    except OSError as error:
        remedy = "Give the path of a policy, or write one with `enclaved policy init`"
        raise ConfigurationError(str(path), error.strerror or "it cannot be read", remedy=remedy) from error
    return parse_policy(document, where=str(path))


def parse_policy(document: bytes, *, where: str) -> Policy:
    """Return the policy that a TOML document holds.

    Args:
        document: the document, UTF-8, at most `MAX_POLICY` bytes.
        where: its name in errors.

    Raises:
        ConfigurationError: it is too large, not TOML, or not a policy.
    """
    root = DocumentTable(where, _toml(document, where))
    root.wanted("version", integer(least=1, most=1))
    policy = Policy(
        version=1,
        namespace=_namespace(root),
        suites=root.wanted("suites", ordered_words(*SUITES)),
        freshness=_freshness(root.table("freshness")),
        functions=_functions(root.table("functions")),
        formats=_formats(root.table("formats")),
    )
    root.finish(known="version, namespace, suites, freshness, functions, formats")
    return policy


def _toml(document: bytes, where: str) -> dict[str, object]:
    if len(document) > MAX_POLICY:
        raise ConfigurationError(where, f"larger than {MAX_POLICY} bytes", remedy="A policy names digests, not data")
    try:
        return tomllib.loads(document.decode())
    except (ValueError, RecursionError) as error:  # tomllib's and UTF-8's errors are ValueErrors
        raise ConfigurationError(where, f"not TOML: {error}", remedy="Correct the document") from error


def _namespace(root: DocumentTable) -> str:
    namespace = root.wanted("namespace", word())
    try:
        check_name(namespace, what="namespace")
    except ProtocolError as error:
        raise ConfigurationError(
            root.place("namespace"), error.reason, remedy="Write the runtimes' namespace"
        ) from error
    return namespace


def _freshness(table: DocumentTable) -> Freshness:
    challenge = table.value("challenge", flag())
    max_age = table.value("max_age", duration(), may_be_any=True)
    table.finish(known="challenge, max_age")
    return Freshness(
        challenge=challenge is not False,
        max_age=_DEFAULT_MAX_AGE if max_age is None else max_age,
    )


def _functions(table: DocumentTable) -> Mapping[str, FunctionRule]:
    return MappingProxyType({name: _function(table.table(name)) for name in table.keys})


def _function(table: DocumentTable) -> FunctionRule:
    digest = table.value("digest", function_digests(), may_be_any=True)
    isolation = table.wanted("isolation", words(*ISOLATION_LEVELS))
    if digest is None:
        raise ConfigurationError(
            table.place("digest"), "it is not there", remedy="`enclaved function digest FOLDER` prints it"
        )
    table.finish(known="digest, isolation")
    return FunctionRule(digest=digest, isolation=isolation)


def _formats(table: DocumentTable) -> Mapping[str, FormatSection]:
    sections = {}
    for name in table.keys:
        if name not in FORMATS:
            raise ConfigurationError(
                table.place(name), "there is no such format", remedy=f"The formats are {', '.join(FORMATS)}"
            )
        sections[name] = _section(table.table(name), FORMATS[name])
    return MappingProxyType(sections)


def _section(table: DocumentTable, format_: Format) -> FormatSection:
    values = {rule.key: table.value(rule.key, rule.type, may_be_any=rule.may_be_any) for rule in format_.rules}
    table.finish(known=", ".join(rule.key for rule in format_.rules))
    written = {key: value for key, value in values.items() if value is not None}
    return FormatSection(format=format_.name, values=MappingProxyType(written))
