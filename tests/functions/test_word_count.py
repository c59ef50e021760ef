"""word-count agrees with a few lines of Python, and refuses what is no text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

Answer = Callable[[str, bytes], bytes]


def is_word_part(character: str) -> bool:
    """Tell whether a character belongs to a word, by the function's own simple rule."""
    point = ord(character)
    if point < 0xC0:
        return character in "ªµº" or (point < 0x80 and character.isalnum())
    return not (0x2000 <= point <= 0x2BFF or 0x3000 <= point <= 0x303F or character in "\xd7\xf7\ufeff")


def small(character: str) -> str:
    """Return the small letter, where it is as long in UTF-8."""
    is_latin = character.isascii() or "\xc0" <= character <= "\xde"
    is_greek_or_cyrillic = "\u0391" <= character <= "\u03a9" or "\u0400" <= character <= "\u042f"
    return character.lower() if (is_latin or is_greek_or_cyrillic) and character != "\xd7" else character


def first_error(data: bytes) -> int | None:
    """Return where Python's strict decoder stops, or None."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def expected(text: str) -> dict[str, object]:
    """Count in Python."""
    words = ["".join(map(small, run)) for inside, run in groupby(text, is_word_part) if inside]
    best = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0].encode()))[:10]
    return {
        "lines": text.count("\n"),
        "words": len(words),
        "distinct": len(set(words)),
        "characters": len(text),
        "bytes": len(text.encode()),
        "most_frequent": [{"word": word, "count": count} for word, count in best],
    }


texts = st.text(st.one_of(st.sampled_from("abAB1 \n.,éÉßÀΩωЯяЀ日\u2003—😀"), st.characters(exclude_categories=["Cs"])))


@given(text=texts)
@example(text="")
@example(text=" ".join(str(number) for number in range(3000)))
@example(text="no end in sight")
def test_it_counts_as_python_does(text: str, answer: Answer) -> None:
    """Words, lines, characters and bytes, and the ten most frequent in their order."""
    result = answer("word-count", text.encode())

    assert result[0] == 0
    assert json.loads(result[1:]) == expected(text)


@given(data=st.binary())
def test_what_is_no_utf8_is_refused_where_it_begins(data: bytes, answer: Answer) -> None:
    """Exactly what Python's strict decoder refuses."""
    start = first_error(data)
    result = answer("word-count", data)

    assert result[0] == 0 if start is None else result == b"\x01not UTF-8 at byte %d" % start


@pytest.mark.parametrize(
    "data", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe6\x97", b"\xf8\x88\x80\x80\x80"]
)
def test_no_second_form_of_a_character_is_taken(data: bytes, answer: Answer) -> None:
    """Overlong forms, surrogates, what is beyond Unicode, and what is cut."""
    assert answer("word-count", b"ab" + data) == b"\x01not UTF-8 at byte 2"
