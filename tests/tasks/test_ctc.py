"""CTC sums over all paths, decoding finds what they spell, edits are the fewest, a Markov model is at hand."""

from __future__ import annotations

import sys
from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmlab.errors import LstmlabError
from lstmlab.tasks import alignments, ctc_decoding
from lstmlab.tasks.monophones import Monophones


def spelt(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != 0)


def random_rows(seed: int, steps: int, labels: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).standard_normal((steps, labels))
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float64)


def all_sequences(rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each label sequence: the sum over every path that spells it."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(rows.shape[1]), repeat=len(rows)):
        chance = float(np.exp(sum(row[label] for row, label in zip(rows, path, strict=True))))
        found[spelt(path)] = found.get(spelt(path), 0) + chance
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 3))
def test_a_wide_beam_finds_every_sequence_with_its_probability(seed: int, steps: int, labels: int) -> None:
    rows = random_rows(seed, steps, labels)
    truth = all_sequences(rows)
    found = ctc_decoding.beam_search(rows, width=10_000, least=0)
    assert {prefix for prefix, _ in found} == {*truth}
    for prefix, chance in found:
        assert np.exp(chance) == pytest.approx(truth[prefix], rel=1e-9)
    assert found[0][0] == max(truth, key=lambda prefix: truth[prefix])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 4))
def test_greedy_decoding_spells_the_best_path(seed: int, steps: int, labels: int) -> None:
    rows = random_rows(seed, steps, labels)
    assert ctc_decoding.greedy(rows) == list(spelt(tuple(rows.argmax(1))))


def test_the_best_path_is_not_always_the_best_sequence() -> None:
    """Graves et al. (2006), figure 2: many paths of one label outweigh the best path of none."""
    rows = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert ctc_decoding.greedy(rows) == []
    assert ctc_decoding.beam_search(rows, 4)[0][0] == (1,)


def test_labels_below_the_least_probability_are_not_looked_at() -> None:
    rows = np.log([[0.5, 0.49995, 0.00005]] * 3)
    assert all(2 not in prefix for prefix, _ in ctc_decoding.beam_search(rows, 100))
    assert any(2 in prefix for prefix, _ in ctc_decoding.beam_search(rows, 100, least=1e-6))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_the_likelihood_of_labels_is_the_sum_over_their_paths(seed: int, steps: int) -> None:
    rows = random_rows(seed, steps, 3)
    truth = all_sequences(rows)
    candidates = [list(prefix) for prefix in truth if prefix]
    labels = torch.nn.utils.rnn.pad_sequence([torch.tensor(c) for c in candidates], True, -1)
    given_rows = torch.from_numpy(rows).expand(len(candidates), -1, -1)
    nats = ctc_decoding.nats(given_rows, torch.full((len(candidates),), steps), labels)
    expected = [-np.log(truth[tuple(c)]) for c in candidates]
    np.testing.assert_allclose(nats.numpy(), expected, rtol=1e-6)
    assert ctc_decoding.most_likely(rows, candidates) == int(np.argmin(expected))


@pytest.mark.parametrize("labels", [[1, 2], [1, 1], [1, 2, 1], [2, 2, 2], [1, 1, 2, 2]])
def test_fewer_steps_than_needed_cannot_spell_labels(labels: list[int]) -> None:
    needed = ctc_decoding.steps_needed(labels)
    for steps, finite in ((needed, True), (needed - 1, False)):
        rows = torch.zeros(1, steps, 3, dtype=torch.float64).log_softmax(2)
        nats = ctc_decoding.nats(rows, torch.tensor([steps]), torch.tensor([labels]))
        assert bool(nats.isfinite()) is finite


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_alignments_have_the_fewest_edits_and_keep_both_sequences(reference: list[str], answer: list[str]) -> None:
    (steps,) = alignments.align([reference], [answer])
    assert [a for a, _ in steps if a is not None] == reference
    assert [b for _, b in steps if b is not None] == answer
    counts = alignments.edits([steps])
    assert counts.tolist() == [[alignments.distance(reference, answer), len(reference)]]


def test_the_error_rate_is_over_all_labels_not_over_sequences() -> None:
    counts = alignments.edits(alignments.align([["a"], list("abcdefghi")], [["b"], list("abcdefghi")]))
    assert alignments.error_rate(counts) == pytest.approx(10)
    assert alignments.confusions([[("a", "b"), ("c", None), ("c", None), (None, "d")]])["c", None] == 2


def test_the_bootstrap_interval_is_that_of_a_known_binomial() -> None:
    """400 sequences of one label, a quarter wrong: the interval is the binomial one, 25 % ± 1.96 · 2.165 %."""
    counts = np.array([[int(i % 4 == 0), 1] for i in range(400)])
    low, high = alignments.interval(counts)
    assert (low, high) == (pytest.approx(25 - 4.24, abs=0.6), pytest.approx(25 + 4.24, abs=0.6))
    assert alignments.interval(counts) == (low, high)
    assert alignments.interval(counts, confidence=0.5)[0] > low


def test_without_jiwer_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(LstmlabError, match=r"pip install 'lstmlab\[phonemes\]'"):
        alignments.align([["a"]], [["a"]])


def voices(count: int, seed: int) -> tuple[list[np.ndarray], list[list[int]]]:
    """Sequences of three phones, well apart, each for 4 to 9 frames, between silences."""
    random = np.random.default_rng(seed)
    means, features, labels = np.array([[3, 0], [0, 3], [-3, -3], [0, 0]]), [], []
    for _ in range(count):
        phones = [int(random.integers(3))]
        while len(phones) < 5:
            phones.append(int((phones[-1] + random.integers(1, 3)) % 3))
        path = np.repeat([3, *phones, 3], random.integers(4, 10, 7))
        features.append(means[path] + random.normal(0, 0.7, (len(path), 2)))
        labels.append(phones)
    return features, labels


def test_the_markov_model_finds_boundaries_from_a_flat_start() -> None:
    """No neighbour is told where a phone begins; all that is known is their order."""
    train, held_out, (features, labels) = voices(60, 0), voices(10, 1), voices(20, 2)
    model = Monophones(*train, 3, held_out)
    counts = alignments.edits(
        alignments.align(
            [[str(p) for p in p_] for p_ in labels], [[str(p) for p in model.recognise(f)] for f in features]
        )
    )
    assert alignments.error_rate(counts) < 5
