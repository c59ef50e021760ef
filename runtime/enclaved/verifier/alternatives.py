"""Alternatives: groups of rules of which a policy writes one.

An SGX enclave is told by its measurement, or by its signer, product and version.
A policy that writes one of these groups whole says enough; the rules of the others
are then passed over unless they are written as well. A policy that writes no group
whole has left out what is required.
"""

from __future__ import annotations

from collections.abc import Mapping

from enclaved.verifier.format import Format
from enclaved.verifier.rule import Waiver

__all__ = ["with_alternatives"]


def with_alternatives(format_: Format, values: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a policy's section says on each rule, with waivers for alternatives that are not used.

    Args:
        format_: the format.
        values: the rules that are written, by key.

    Returns:
        The same values, and a waiver for each rule that another group stands in for.
    """
    if not any(all(key in values for key in group) for group in format_.alternatives):
        return values
    return {key: Waiver.ANY for group in format_.alternatives for key in group} | dict(values)
