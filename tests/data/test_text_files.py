"""Text files and word vectors: read as they are, or refused with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlab.data.text_file import TextError, decode_lines, read_lines
from lstmlab.data.word_vectors import read_vectors

LINES = st.lists(st.text(st.characters(exclude_characters="\n\r\0\ufeff", exclude_categories=["Cs"])))


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_every_line_comes_back(lines: list[str], end: str) -> None:
    assert decode_lines("".join(line + end for line in lines).encode(), "x") == lines


def test_only_line_ends_end_lines_and_a_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffone\x85still\u2028one\r\n\r\nthree".encode())
    assert read_lines(file) == ["one\x85still\u2028one", "", "three"]
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read_lines(packed) == read_lines(file)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"fine\ncaf\xe9\n", r"a.txt, line 2: byte 0xe9 is not UTF-8.*iconv"),
        (b"fine\n\nx\0y\n", r"a.txt, line 3: a zero byte"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    with pytest.raises(TextError, match=said):
        read_lines(tmp_path / "a.txt")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"some text\n" * 99)[:-9])
    for name in ("cut.gz", "none.txt"):
        with pytest.raises(TextError, match=f"{name} cannot be read"):
            read_lines(tmp_path / name)


def test_vectors_of_glove_and_fasttext_are_read(tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    file.write_text("3 2\nsee 1 2\n. . . 3 4\nsea 5 6\nsea 7 8\n")
    found = read_vectors(file, ["sea", ". . .", "c"])
    assert {k: v.tolist() for k, v in found.items()} == {"sea": [5, 6], ". . .": [3, 4]}
    assert list(read_vectors(file, ["sea"], first=2)) == ["see", ". . .", "sea"]
    file.write_text("see 1 2\nsea 5 6\n")  # without counts, as GloVe has it
    assert read_vectors(file, ["see"])["see"].dtype == np.float32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a 1 2\nb 3\n", "v.txt, line 2: expected a word and 2 finite numbers"),
        ("a 1 2\nb 3 x\n", "v.txt, line 2: expected a word and 2 finite numbers"),
        ("a 1 2\nb 3 nan\n", "v.txt, line 2: expected a word and 2 finite numbers"),
        ("", "no vectors"),
    ],
)
def test_damaged_vectors_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "v.txt").write_text(text)
    with pytest.raises(TextError, match=said):
        read_vectors(tmp_path / "v.txt", ["a", "b"])
