"""What is promised of the letters of words: each word gives what it gives alone, with next to no padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmlab.engine import RNN
from lstmlab.tasks import word_encoder
from lstmlab.tasks.bucketing import pad

words = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=40)


@pytest.mark.parametrize("cell", ["vanilla", "gru"])
@given(words)
@settings(max_examples=20, deadline=None)
def test_a_word_gives_what_a_recurrence_over_it_alone_gives(cell: str, spelt: list[list[int]]) -> None:
    torch.manual_seed(0)
    encoder = word_encoder.CharacterEncoder(RNN(cell, 4, 5, bidirectional=True, batch_first=True), 10, 3)
    together = encoder(pad([torch.tensor(w).numpy() for w in spelt])[0])
    for row, word in enumerate(spelt):
        _, state = encoder.rnn(encoder.characters(torch.tensor([word])))
        forward, backward = state[0] if isinstance(state, tuple) else state
        alone = encoder.projection(torch.cat([forward, backward], 1))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_the_letters_of_ordinary_words_are_read_with_little_padding() -> None:
    spelt = [[1] * len(w) for w in sorted({name[:24] for name in dir(torch)})]
    rows, resets, _, lengths = word_encoder._laid_out(pad([torch.tensor(w).numpy() for w in spelt])[0])
    assert int(resets.sum()) == len(spelt)
    assert int(lengths.sum()) == sum(map(len, spelt))
    assert 1 - int(lengths.sum()) / rows.numel() < 0.05


def test_the_same_word_is_read_once() -> None:
    seen = []

    class Reads(torch.nn.Module):
        def forward(self, spelt: torch.Tensor) -> torch.Tensor:
            seen.append(len(spelt))
            return spelt.float()

    encoder = word_encoder.WordEncoder(torch.nn.Embedding(9, 2), Reads(), 3)  # type: ignore[arg-type]
    one, other = [2, 0, 4, 5, 0], [3, 1, 5, 4, 4]
    encoded = encoder(torch.tensor([one, other, one, one]))
    assert seen == [2]
    assert encoded[:, 2:5].tolist() == [[4, 5, 0], [5, 4, 4], [4, 5, 0], [4, 5, 0]]
