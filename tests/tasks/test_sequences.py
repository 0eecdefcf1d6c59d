"""What tasks over sequences of different lengths share: buckets, padding, vocabularies."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lstmlab.tasks.bucketing import by_length, pad, padded_share, within
from lstmlab.tasks.vocabulary import SPECIAL, UNKNOWN, Vocabulary

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=200)


@given(LENGTHS, st.integers(1, 40), st.none() | st.integers(0, 9))
def test_each_sequence_is_in_one_batch(lengths: list[int], batch_size: int, seed: int | None) -> None:
    random = None if seed is None else np.random.default_rng(seed)
    batches = by_length(lengths, batch_size, random)
    assert sorted(i for rows in batches for i in rows) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size


def test_little_is_padding_and_each_epoch_has_another_order() -> None:
    random = np.random.default_rng(0)
    lengths = np.maximum(1, random.gamma(4, 5, size=20_000)).astype(int).tolist()  # as sentences are
    epochs = [by_length(lengths, 32, random) for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert padded_share(lengths, epochs[0]) < 0.1
    assert padded_share([4, 2], [[0, 1]]) == 0.25


def test_padding_keeps_values_and_says_what_is_real() -> None:
    values, lengths = pad([np.array([1, 2, 3]), np.array([4])], -1)
    assert values.tolist() == [[1, 2, 3], [4, -1, -1]]
    assert within(lengths, 3).tolist() == [[True, True, True], [True, False, False]]


@given(st.lists(st.lists(st.sampled_from("abcdefg"))), st.integers(1, 4))
def test_a_vocabulary_knows_what_is_frequent_enough(texts: list[list[str]], fewest: int) -> None:
    vocabulary = Vocabulary.of(texts, fewest)
    counts = {s: sum(t.count(s) for t in texts) for s in "abcdefg"}
    assert set(vocabulary.symbols) - set(SPECIAL) == {s for s, n in counts.items() if n >= fewest}
    again = Vocabulary(vocabulary.symbols)
    for text in texts:
        known = [s if s in again else SPECIAL[UNKNOWN] for s in text]
        assert again.decode(again.encode(text)) == known
