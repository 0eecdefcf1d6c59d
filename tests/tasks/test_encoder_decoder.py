"""What the encoder-decoder, its batches, its beam and its samples promise, on small untrained models."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from lstmlab import registry
from lstmlab.engine import RNN
from lstmlab.tasks.beam import beam_search, length_penalty, nucleus, sample
from lstmlab.tasks.bucketing import pad, padded_share
from lstmlab.tasks.encoder_decoder import END, FIRST, START, EncoderDecoder, each
from lstmlab.tasks.transduction import as_batch, by_both_lengths, costs, ended

SYMBOLS = 8  # four that mean something


def made(cell: str = "vanilla", tied: bool = True, layers: int = 1, sharp: float = 6.0) -> EncoderDecoder:
    """An untrained model whose answers are far from uniform."""
    torch.manual_seed(3)

    def make_rnn(input_size: int, *, bidirectional: bool = False) -> RNN:
        return RNN(cell, input_size, 5, num_layers=layers, bidirectional=bidirectional, batch_first=True)

    model = EncoderDecoder(make_rnn, SYMBOLS, 6, 0.5, tied).eval()
    with torch.no_grad():
        model.combine.weight.mul_(sharp)
        model.symbols.weight.mul_(3 / 6**0.5)
        model.bias[END] = -2  # else answers would be short
    return model


def drawn(*lengths: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs whose sources have these lengths, targets others, ends included."""
    random = np.random.default_rng(seed)
    return [
        (ended(random.integers(FIRST, SYMBOLS, n)), ended(random.integers(FIRST, SYMBOLS, n % 4 + 2))) for n in lengths
    ]


def log_probabilities(model: EncoderDecoder, source: np.ndarray, answers: list[list[int]]) -> list[float]:
    """What teacher forcing gives answers, with nothing but the end and what means something allowed."""
    batch = as_batch([(source, ended(answer)) for answer in answers])
    with torch.no_grad():
        logits = model(batch.inputs)[0]
    logits[..., :END] = -torch.inf
    logs = logits.log_softmax(2).gather(2, batch.targets.clamp(min=END)[..., None])[..., 0]
    found: list[float] = logs.masked_fill(batch.targets < 0, 0.0).sum(1).tolist()
    return found


def every_answer(most: int) -> list[list[int]]:
    """All answers of less than ``most`` symbols."""
    return [list(a) for n in range(most) for a in itertools.product(range(FIRST, SYMBOLS), repeat=n)]


@pytest.mark.parametrize("cell", ["vanilla", "gru", "fgr", "slstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_decoder_starts_as_the_encoder_ended_backwards_in_every_state(cell: str, layers: int) -> None:
    model = made(cell, layers=layers)
    (source, _), (short, _) = drawn(6, 3)
    _, states = model.encode(pad([source, short])[0])
    _, expected = model.rnn(model._embed(pad([source, short])[0]), None, [7, 4])
    each_state = states if isinstance(states, tuple) else (states,)
    assert len(each_state) == len(registry.cell.get(cell).states)
    backwards = [s.view(layers, 2, 2, -1)[:, 1] for s in (expected if isinstance(expected, tuple) else (expected,))]
    for state, other in zip(each_state, backwards, strict=True):
        torch.testing.assert_close(state, other)


@torch.no_grad()
def test_attention_is_luongs() -> None:
    model = made()
    pair = drawn(5)[0]
    batch = as_batch([pair])
    logits, weights = model(batch.inputs)[0][0], model.attention(batch.inputs)[0]
    encoded, (h, c) = model.rnn(model._embed(torch.from_numpy(pair[0]))[None])
    state: Any = (h[1:], c[1:])
    for t, symbol in enumerate([START, *pair[1][:-1].tolist()]):  # step by step, in the words of the paper
        output, state = model.decoder(model._embed(torch.tensor([[symbol]])), state)
        scores = torch.stack([output[0, 0] @ model.keys.weight @ encoded[0, s] for s in range(len(pair[0]))])
        align = scores.exp() / scores.exp().sum()
        context = sum(a * encoded[0, s] for s, a in enumerate(align))
        attentional = torch.tanh(model.combine.weight @ torch.cat([context, output[0, 0]]) + model.combine.bias)
        torch.testing.assert_close(weights[t], align)
        torch.testing.assert_close(logits[t], model.symbols.weight @ attentional + model.bias)


@pytest.mark.parametrize("cell", ["vanilla", "gru", "coupled"])
@torch.no_grad()
def test_neighbours_and_padding_change_no_answer_and_attention_sees_no_padding(cell: str) -> None:
    model, pairs = made(cell), drawn(9, 2, 5)
    together = as_batch(pairs)
    weights = model.attention(together.inputs)
    torch.testing.assert_close(weights.sum(2), torch.ones(weights.shape[:2]))
    wider = torch.nn.functional.pad(together.inputs, (0, 4))
    for inputs in (together.inputs, wider):
        output = model(inputs)[0]
        assert output.shape == (3, max(len(t) for _, t in pairs), SYMBOLS)
        for i, (source, target) in enumerate(pairs):
            alone = model(as_batch([(source, target)]).inputs)[0][0]
            torch.testing.assert_close(output[i, : len(target)], alone, rtol=1e-4, atol=1e-5)
            assert (weights[i, :, len(source) :] == 0).all()


def test_padding_changes_neither_loss_nor_gradients() -> None:
    model, pairs = made(), drawn(8, 3)
    both = as_batch(pairs)
    costs(model(both.inputs)[0], both.targets).mean().backward()
    padded = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    alone = [as_batch([pair]) for pair in pairs]
    total = sum(costs(model(b.inputs)[0], b.targets).sum() for b in alone)
    (total / sum(b.targets.numel() for b in alone)).backward()  # type: ignore[union-attr]
    gradients = [p.grad for p in model.parameters()]
    assert len(padded) == len(gradients)
    for gradient, other in zip(padded, gradients, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_what_is_written_later_changes_no_answer_before() -> None:
    model = made()
    source = drawn(5)[0][0]
    one, other = (as_batch([(source, ended([4, 5, last, 6]))]) for last in (6, 7))
    before, after = model(one.inputs)[0][0], model(other.inputs)[0][0]
    assert torch.equal(before[:3], after[:3])
    assert not torch.allclose(before[3:], after[3:])


def test_tied_weights_are_the_embeddings_and_others_are_not() -> None:
    tied, untied = (sum(p.numel() for p in made(tied=t).parameters()) for t in (True, False))
    assert untied - tied == SYMBOLS * 6


def test_a_batch_holds_what_is_read_what_was_written_and_what_comes_next() -> None:
    batch = as_batch([(ended([5, 6, 7]), ended([4])), (ended([7]), ended([6, 5]))])
    assert batch.inputs.tolist() == [[[5, 6, 7, END], [START, 4, 0, 0]], [[7, END, 0, 0], [START, 6, 5, 0]]]
    assert batch.targets.tolist() == [[4, END, -1], [6, 5, END]]
    assert batch.lengths is None


def test_batches_are_of_similar_length_on_both_sides_and_hold_every_pair_once() -> None:
    random = np.random.default_rng(0)
    sources = random.poisson(15, 4000) + 2
    targets = np.maximum(sources + random.integers(-6, 7, 4000), 1)
    epochs = [by_both_lengths(sources, targets, 32, np.random.default_rng(seed)) for seed in (1, 2)]
    for batches in (*epochs, by_both_lengths(sources, targets, 32)):
        assert sorted(i for rows in batches for i in rows) == list(range(4000))
        assert padded_share(sources, batches) < 0.06
        assert padded_share(targets, batches) < 0.06
    companies = [{frozenset(rows) for rows in batches} for batches in epochs]
    assert companies[0] != companies[1]
    first = [int(np.mean(targets[rows])) for rows in epochs[0][:20]]
    assert first != sorted(first, reverse=True), "long ones would always come first"


@pytest.mark.parametrize("penalty", [0.0, 1.5])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all_answers(penalty: float) -> None:
    model = made(sharp=12.0)
    model.bias.data[END] = -8
    model.symbols.weight.data.mul_(3)  # the best answers have 0, 3 and 1 symbols, and 4 with a penalty
    lengths = []
    for source, _ in drawn(2, 4, 7):
        logs = log_probabilities(model, source, every_answer(5))
        known = {tuple(a): nats for a, nats in zip(every_answer(5), logs, strict=True)}
        scores = {a: nats / length_penalty(len(a) + 1, penalty) for a, nats in known.items()}
        (found,) = beam_search(model, torch.from_numpy(source)[None], torch.tensor([5]), 256, penalty)
        best = max(scores, key=scores.__getitem__)
        if not penalty:  # with one, a search may stop before a longer answer would have come to be the best
            assert tuple(found.symbols) == best
        assert found.score == pytest.approx(scores[tuple(found.symbols)], rel=1e-4)
        assert found.log_probability == pytest.approx(known[tuple(found.symbols)], rel=1e-4)
        lengths.append(len(found.symbols))
    assert max(lengths) > 1, "short answers would not tell penalties apart"


def test_a_beam_of_one_takes_the_best_symbol_at_each_step() -> None:
    model = made()
    source = drawn(6)[0][0]
    symbols: list[int] = []
    while len(symbols) < 29:
        with torch.no_grad():
            logits = model(as_batch([(source, ended(symbols))]).inputs)[0][0, -1]
        best = END + int(logits[END:].argmax())
        if best == END:
            break
        symbols.append(best)
    (found,) = beam_search(model, torch.from_numpy(source)[None], torch.tensor([30]), 1, 0.0)
    assert len(symbols) > 1, "a model that ends at once shows nothing"
    assert found.symbols == symbols


@pytest.mark.parametrize("cell", ["vanilla", "gru"])
def test_sentences_do_not_disturb_one_another_in_a_beam(cell: str) -> None:
    model, pairs = made(cell), drawn(9, 1, 5, 3, 7)
    sources, _ = pad([s for s, _ in pairs])
    limits = torch.tensor([3, 12, 6, 9, 12])
    together = beam_search(model, sources, limits, 3)
    for (source, _), limit, found in zip(pairs, limits, together, strict=True):
        (alone,) = beam_search(model, torch.from_numpy(source)[None], limit[None], 3)
        assert found.symbols == alone.symbols
        assert found.score == pytest.approx(alone.score, rel=1e-4)
        assert len(found.symbols) < limit
        assert all(FIRST <= s < SYMBOLS for s in found.symbols)


def test_the_length_penalty_is_gnmts_and_favours_longer_answers() -> None:
    assert [length_penalty(n, 1.0) for n in (1, 7, 13)] == [1.0, 2.0, 3.0]
    assert length_penalty(31, 0.5) == pytest.approx(6**0.5)
    model = made(sharp=1.0)
    sources, _ = pad([s for s, _ in drawn(3, 4, 5, 6, 7, 8)])
    limits = torch.full((6,), 12)
    lengths = [sum(len(w.symbols) for w in beam_search(model, sources, limits, 8, p)) for p in (0.0, 1.0, 4.0)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[2]


def test_samples_depend_on_the_seed_alone_and_end_in_time() -> None:
    model = made()
    sources, _ = pad([s for s, _ in drawn(4, 7)])
    limits = torch.tensor([3, 9])
    first = sample(model, sources, limits, 5, seed=1)
    torch.manual_seed(9)
    assert first == sample(model, sources, limits, 5, seed=1)
    assert first != sample(model, sources, limits, 5, seed=2)
    assert all(len(w.symbols) < limit for row, limit in zip(first, limits, strict=True) for w in row)


def test_samples_are_drawn_from_the_model() -> None:
    model = made(sharp=1.0)
    source = drawn(4)[0][0]
    count, most = 4000, 2
    (found,) = sample(model, torch.from_numpy(source)[None], torch.tensor([most]), count)
    for answer in every_answer(most):
        if not answer:
            continue  # what is longer than the limit is cut, so of one symbol the first step alone decides
        with torch.no_grad():
            logits = model(as_batch([(source, ended(answer))]).inputs)[0][0, 0]
        chance = float(logits[END:].softmax(0)[answer[0] - END])
        share = np.mean([w.symbols == answer for w in found])
        assert share == pytest.approx(chance, abs=4 * (chance * (1 - chance) / count) ** 0.5 + 1e-3)
    some = next(w for w in found if w.symbols)
    assert [some.log_probability] == pytest.approx(log_probabilities(model, source, [some.symbols]), rel=1e-4)


def test_cold_or_narrow_samples_are_greedy() -> None:
    model = made()
    sources, _ = pad([s for s, _ in drawn(4, 7, 5)])
    limits = torch.full((3,), 9)
    greedy = []
    for (source, _), limit in zip(drawn(4, 7, 5), limits, strict=True):
        symbols: list[int] = []
        while len(symbols) < limit - 1:
            with torch.no_grad():
                best = END + int(model(as_batch([(source, ended(symbols))]).inputs)[0][0, -1, END:].argmax())
            if best == END:
                break
            symbols.append(best)
        greedy.append(symbols)
    for settings in ({"temperature": 1e-4}, {"top_p": 1e-6}):
        assert [row[0].symbols for row in sample(model, sources, limits, 2, **settings)] == greedy  # type: ignore[arg-type]


def test_a_nucleus_is_the_fewest_symbols_that_make_up_the_share() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    torch.testing.assert_close(nucleus(logits, 0.6), torch.tensor([0.0, 2 / 3, 0.0, 1 / 3]))
    torch.testing.assert_close(nucleus(logits, 0.5), torch.tensor([0.0, 1.0, 0.0, 0.0]))
    torch.testing.assert_close(nucleus(logits, 1.0), logits.exp())


def test_each_changes_one_state_or_all() -> None:
    one, two = torch.ones(1), torch.ones(2)
    assert torch.equal(each(one, lambda s: s + 1), one + 1)
    assert [s.tolist() for s in each((one, two), lambda s: s * 3)] == [[3.0], [3.0, 3.0]]
