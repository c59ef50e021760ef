"""One table of the policy document, read key by key until nothing is left.

A key that nobody took is an error: a misspelt rule must not turn into a rule that
is not there. Every error says the key and what to write instead.
"""

from __future__ import annotations

from typing import TypeVar

from enclaved.errors import ConfigurationError
from enclaved.verifier.rule import Waiver
from enclaved.verifier.value_type import ValueType

__all__ = ["DocumentTable"]

_Value = TypeVar("_Value")


class DocumentTable:
    """A table of a TOML document, with the place where it stands.

    Args:
        where: the document and the table's key, for errors.
        values: what TOML gave; anything but a table is an error.

    Raises:
        ConfigurationError: `values` is not a table.
    """

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise ConfigurationError(where, "a table is wanted", remedy=f"Write it as [{where.split(': ')[-1]}]")
        self._where = where
        self._left: dict[str, object] = dict(values)

    @property
    def keys(self) -> list[str]:
        """The keys that nobody has taken yet."""
        return list(self._left)

    def place(self, key: str) -> str:
        """Return where a key of this table stands."""
        return f"{self._where}.{key}" if ": " in self._where else f"{self._where}: {key}"

    def value(self, key: str, kind: ValueType[_Value], *, may_be_any: bool = False) -> _Value | Waiver | None:
        """Take a key's value.

        Args:
            key: the key.
            kind: what may be written there.
            may_be_any: may the word ``"any"`` waive it.

        Returns:
            The value, the waiver, or None where the key is not there.

        Raises:
            ConfigurationError: something else is written there.
        """
        if key not in self._left:
            return None
        written = self._left.pop(key)
        if may_be_any and written == Waiver.ANY.value:
            return Waiver.ANY
        try:
            return kind.parse(written)
        except ValueError as error:
            problem = 'it cannot be "any"' if written == Waiver.ANY.value else str(error)
            alternative = ', or "any"' if may_be_any else ""
            raise ConfigurationError(self.place(key), problem, remedy=f"Write {kind.name}{alternative}") from error

    def wanted(self, key: str, kind: ValueType[_Value]) -> _Value:
        """Take the value of a key that has to be there and cannot be waived.

        Raises:
            ConfigurationError: it is not there, or something else is.
        """
        value = self.value(key, kind)
        if value is None or isinstance(value, Waiver):
            raise ConfigurationError(self.place(key), "it is not there", remedy=f"Write {kind.name}")
        return value

    def table(self, key: str) -> DocumentTable:
        """Take a table inside this one; an absent one is empty.

        Raises:
            ConfigurationError: it is no table.
        """
        return DocumentTable(self.place(key), self._left.pop(key, {}))

    def finish(self, *, known: str) -> None:
        """Check that every key was taken.

        Args:
            known: the keys that there are, for the remedy.

        Raises:
            ConfigurationError: one was not.
        """
        for key in self._left:
            raise ConfigurationError(self.place(key), "there is no such key", remedy=f"The keys are {known}")
