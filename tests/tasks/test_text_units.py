"""Text as symbols: nothing is lost, and what train lacks is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlab.tasks.text_units import UNITS, UNKNOWN, encode, split_text, vocabulary_of

TEXT = st.text(st.sampled_from(" \t\r\n'\u2019.,-_abÄ\u00a0\u2028中"))


@given(TEXT | st.text(), st.sampled_from(UNITS))
def test_symbols_joined_are_the_text(text: str, unit: str) -> None:
    assert "".join(split_text(text, unit)) == text


def test_words_take_the_space_before_them() -> None:
    text = '   "Don\u2019t say well-known,"\r\n\nhe said.'
    assert split_text(text, "words") == [
        *("  ", ' "', "Don\u2019t", " say", " well", "-", "known", ",", '"', "\r\n", "\n", "he", " said", "."),
    ]


@pytest.mark.parametrize(
    ("fewest", "most", "kept"), [(1, None, "abcd"), (2, None, "abd"), (1, 2, "bd"), (3, 1, "d"), (9, None, "")]
)
def test_rare_symbols_are_unknown(fewest: int, most: int | None, kept: str) -> None:
    vocabulary = vocabulary_of("ddddbbbaac" + UNKNOWN * 9, fewest, most)
    assert vocabulary == [UNKNOWN, *kept]
    coded = encode("abcd" + UNKNOWN, vocabulary)
    assert "".join(vocabulary[i] for i in coded) == "".join(s if s in kept else UNKNOWN for s in "abcd" + UNKNOWN)
