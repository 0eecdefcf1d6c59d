"""Where texts come from; importing this reads none of them. CPython's reference is `lstmlab.data.embedded`'s."""

from __future__ import annotations

from functools import cached_property

from lstmlab.data import Download, File, OwnFiles
from lstmlab.registry import dataset

SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/"
WAR_AND_PEACE = (
    "https://raw.githubusercontent.com/MrHereward/machine_learning_sandbox/2d0fdf30f4afbcf01c1b8c7b408e738a0161d613/"
)


@dataset("tiny_shakespeare")
class TinyShakespeare(Download):
    """Tiny Shakespeare: 40,000 lines of his plays in one file."""

    title = "Tiny Shakespeare: 40,000 lines of plays by William Shakespeare"
    tasks = ("language_model",)
    size = "1,115,394 characters"
    licence = "text in the public domain"
    source = "https://github.com/karpathy/char-rnn"
    citation = "Karpathy, A. (2015), The Unreasonable Effectiveness of Recurrent Neural Networks"
    files = (
        File(
            name="input.txt",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            size=1_115_394,
            urls=(f"{SHAKESPEARE}tinyshakespeare/input.txt",),
        ),
    )

    def load(self) -> str:
        """Return the text."""
        return self.path("input.txt").read_bytes().decode()


@dataset("war_and_peace")
class WarAndPeace(Download):
    r"""Tolstoy's War and Peace in English, with line ends "\r\n" as in Karpathy, Johnson and Fei-Fei's experiments."""

    title = "War and Peace by Leo Tolstoy, translated by Louise and Aylmer Maude (Project Gutenberg)"
    tasks = ("language_model",)
    size = "3,258,225 characters"
    licence = "text in the public domain"
    source = "https://cs.stanford.edu/people/karpathy/char-rnn/warpeace_input.txt"
    citation = (
        "Karpathy, A., Johnson, J. and Fei-Fei, L. (2015), Visualizing and Understanding Recurrent Networks, "
        "arXiv:1506.02078"
    )
    files = (
        File(
            name="warpeace_input.txt",
            sha256="b0fc81c399971eaf738c8be89809e6a0d95c151749112b04f06b6af648d8a39f",
            size=3_196_228,
            urls=(f"{WAR_AND_PEACE}warpeace_input.txt",),
        ),
    )

    def load(self) -> str:
        """Return the text."""
        return self.path("warpeace_input.txt").read_bytes().decode("utf-8-sig").replace("\n", "\r\n")

    def notes(self) -> list[str]:
        lines = self.load().count("\n")
        return [
            f"{lines:,} line ends of the file, LF, were made CR LF: the published experiments counted 3,258,246 "
            "characters, which is this text with two characters a line end to within 21. The second of them costs "
            "next to nothing, so with LF alone the same model needs about 2 % more bits per character."
        ]


@dataset("text")
class Text(OwnFiles):
    """Your own text, UTF-8: a file, or a folder of .txt files."""

    title = "Text of the user"
    tasks = ("language_model",)
    size = "as much as the files hold"
    expected = "a text file in UTF-8, or a folder of .txt files"
    suffixes = (".txt",)

    @cached_property
    def _lines(self) -> tuple[list[str], list[str]]:
        from .reading import read_text

        return read_text(self.path)

    def load(self) -> str:
        r"""Return all lines, each with "\n" at its end."""
        return "".join(f"{line}\n" for line in self._lines[0])

    def notes(self) -> list[str]:
        return self._lines[1]
