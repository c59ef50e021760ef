"""Redact: personal data out of clinical free text, clinical values left in.

Names, dates of birth, phone numbers, e-mail addresses, record numbers, national
ids, bank accounts and addresses become placeholders such as [PHONE]. Blood
pressures, doses and dates of examinations stay: they are why the text is kept.

These are rules, not understanding: a name that nothing announces ("saw Okafor
today") is found only if it was announced elsewhere in the same text. Where a
rule is in doubt it takes out more rather than less. See rules.py.
"""

import re
from collections.abc import Iterator

from rules import LETTER, NAMES, RULES, UPPER, Rule

CAPITALISED = re.compile(rf"(?<![\w\[]){UPPER}{LETTER}{{2,30}}+")
MONTHS = {"april", "may", "june", "august"}  # are first names, too, but dates have to stay


def handle(payload: bytes) -> bytes:
    """Return the text without the personal data; it must be UTF-8."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the text must be UTF-8; byte {error.start} is not") from None
    return redact(text).encode("utf-8")


def redact(text: str) -> str:
    for each in RULES:
        text = replace(text, each)
    # A name that a title or a label announced once is taken out wherever it stands.
    known = {word.casefold() for each in NAMES for word in announced_words(text, each)} - MONTHS
    for each in NAMES:
        text = replace(text, each)
    return CAPITALISED.sub(lambda found: "[NAME]" if found[0].casefold() in known else found[0], text)


def replace(text: str, each: Rule) -> str:
    def replacement(found: re.Match[str]) -> str:
        if not each.accepts(found["value"]):
            return found[0]
        return text[found.start() : found.start("value")] + f"[{each.placeholder}]"

    return each.pattern.sub(replacement, text)


def announced_words(text: str, each: Rule) -> Iterator[str]:
    for found in each.pattern.finditer(text):
        yield from CAPITALISED.findall(found["value"])
