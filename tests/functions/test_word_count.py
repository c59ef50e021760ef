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
    return not (0x2000 <= point <= 0x2BFF or 0x3000 <= point <= 0x303F or character in "×÷\ufeff")


def small(character: str) -> str:
    """Return the small letter, where it is as long in UTF-8."""
    is_known = character < "\u0180" and character.isascii() or "À" <= character <= "Þ"
    is_known |= "Α" <= character <= "Ω" or "\u0400" <= character <= "Я"
    return character.lower() if is_known and character != "×" else character


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
    result = answer("word-count", data)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        assert result == b"\x01not UTF-8 at byte %d" % error.start
    else:
        assert result[0] == 0


@pytest.mark.parametrize("data", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe6\x97", b"\xf8\x88\x80\x80\x80"])
def test_no_second_form_of_a_character_is_taken(data: bytes, answer: Answer) -> None:
    """Overlong forms, surrogates, what is beyond Unicode, and what is cut."""
    assert answer("word-count", b"ab" + data) == b"\x01not UTF-8 at byte 2"
