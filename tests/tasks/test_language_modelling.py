"""Language models: state carried over, text never shared between splits, honest baselines."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.schema import CellConfig, EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.compression import compressed_nats
from lstmlab.tasks.language_modelling import LanguageModelling
from lstmlab.tasks.ngrams import InterpolatedTrigram, nats_per_symbol


def made(*overrides: str) -> LanguageModelling:
    config = check(compose(["task=language_model", "task.hidden_size=8", "task.embedding_size=4", *overrides])).run.task
    return registry.task.get("language_model")(config)


@pytest.fixture(scope="module")
def task() -> LanguageModelling:
    return made()


def test_splits_are_the_text_in_order_and_share_no_paragraph(task: LanguageModelling) -> None:
    text = task.dataset.load()
    joined = "".join(task.vocabulary[i] for s in ("train", "validation", "test") for i in task.splits[s])
    differing = sum(a != b for a, b in zip(joined, text, strict=True))
    assert differing == sum(int((v == 0).sum()) for v in task.splits.values())
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_vocabulary_comes_from_train_only(task: LanguageModelling) -> None:
    train = task.dataset.load()[: len(task.splits["train"])]
    assert task.vocabulary[1:] == sorted(set(train))


def test_a_character_that_train_lacks_is_unknown(task: LanguageModelling, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type(task)(task.config)
    monkeypatch.setattr(other.dataset, "load", lambda: "ab" * 400 + "za" * 100)
    assert "z" not in other.vocabulary
    assert (other.splits["test"][:2] == [0, other.vocabulary.index("a")]).all()
    assert "100 characters unknown" in other.notes()[0]


def test_each_stretch_of_a_text_is_cut_into_the_three_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    task = made("task.stretches=3", "task.validation=0.2", "task.test=0.2", "task.window=2")
    monkeypatch.setattr(task.dataset, "load", lambda: "0123456789abcdefghijABCDEFGHIJ??")
    assert task.texts == {"train": "012345abcdefABCDEF", "validation": "67ghGH", "test": "89ijIJ"}
    assert "each of 3 equal stretches of the text is cut into the three, 2 characters are left over." in task.notes()[0]


def test_windows_go_on_where_the_last_one_ended(task: LanguageModelling) -> None:
    batches = list(itertools.islice(task.batches("train", 4), 5))
    assert [b.carry for b in batches] == [False, True, True, True, True]
    rows = torch.cat([b.inputs for b in batches], 1)
    targets = torch.cat([b.targets for b in batches], 1)
    assert torch.equal(rows[:, 1:], targets[:, :-1])


def test_the_state_is_carried_in_evaluation(task: LanguageModelling) -> None:
    """Short windows with the state carried give the same bits as one long window."""
    torch.manual_seed(0)
    model = build(task, CellConfig("vanilla"), EngineConfig("auto"))
    short = task.evaluate(model, "test")
    long = made("task.window=5000").evaluate(model, "test")
    assert short["bits per character"] == pytest.approx(long["bits per character"], rel=1e-5)


def test_bits_are_those_of_the_probabilities(task: LanguageModelling) -> None:
    class Uniform(torch.nn.Module):
        def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> object:
            return torch.zeros(*inputs.shape, len(task.vocabulary)), state

    scores = task.evaluate(Uniform(), "test")
    assert scores["bits per character"] == pytest.approx(math.log2(len(task.vocabulary)), rel=1e-6)
    assert scores["nats per character"] == pytest.approx(math.log(len(task.vocabulary)), rel=1e-6)


def test_words_are_scored_by_perplexity() -> None:
    task = made("task.unit=words", "task.fewest=3")

    class Uniform(torch.nn.Module):
        def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> object:
            return torch.zeros(*inputs.shape, len(task.vocabulary)), state

    assert [m.name for m in task.metrics] == ["perplexity per word", "nats per word"]
    assert task.evaluate(Uniform(), "test")["perplexity per word"] == pytest.approx(len(task.vocabulary), rel=1e-5)


def test_few_streams_lose_less_of_what_went_before(task: LanguageModelling) -> None:
    """Each row begins with a zero state: what is read in one row is what a loop over the text gives."""
    one = made("task.streams=1", "task.window=500")
    torch.manual_seed(0)
    model = build(one, CellConfig("vanilla"), EngineConfig("auto"))
    symbols = torch.from_numpy(one.splits["test"])[None]
    with torch.no_grad():
        output, _ = model(symbols[:, :-1])
        nats = float(torch.nn.functional.cross_entropy(output[0].double(), symbols[0, 1:]))
    assert one.evaluate(model, "test")["nats per character"] == pytest.approx(nats, rel=1e-6)


def test_tied_weights_score_with_the_embedding_whatever_the_size() -> None:
    task = made("task.unit=words", "task.tied=true", "task.fewest=3")
    for cell in ("vanilla", "gru"):
        model = build(task, CellConfig(cell, hidden_size=11), EngineConfig("auto"))
        shapes = [tuple(p.shape) for n, p in model.named_parameters() if not n.startswith("rnn")]
        assert shapes == [(len(task.vocabulary),), (len(task.vocabulary), 4), (4, 11), (4,)]
        read, wanted = torch.tensor([[1, 2]]), torch.tensor([[1, 2, 3]])
        torch.nn.init.zeros_(model.head.weight)
        torch.nn.init.ones_(model.head.bias)
        assert torch.allclose(model(read)[0][0, -1, wanted[0]], model.embedding.weight[wanted[0]].sum(1))


def test_dropout_acts_in_training_alone() -> None:
    task = made("task.dropout=0.5")
    model = build(task, CellConfig("vanilla"), EngineConfig("auto"))
    seen: list[torch.Tensor] = []
    for layer in (model.rnn, model.head):
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    inputs = next(task.batches("train", 4)).inputs
    for training, share in ((True, 0.5), (False, 0.0)):
        model.train(training)
        seen.clear()
        model(inputs)
        for read in seen:  # what the recurrence reads, and what the head does
            assert float((read == 0).float().mean()) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_a_text_that_is_too_short_is_refused_before_training(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = made(f"task.unit={unit}")
    monkeypatch.setattr(task.dataset, "load", lambda: "to be or not " * 30)
    with pytest.raises(LstmlabError, match=rf"the validation part has \d+ {unit}, and one window takes 64 \+ 1"):
        _ = task.fitted
    task = made(f"task.unit={unit}", "task.window=2")
    monkeypatch.setattr(task.dataset, "load", lambda: "to be or not " * 30)
    with pytest.raises(LstmlabError, match=rf"the test part has \d+ {unit}, too few for 99 rows"):
        next(task.batches("test", 99))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=30, max_size=80), st.integers(0, 3), st.integers(0, 3))
def test_the_trigram_is_a_probability_distribution(text: list[int], a: int, b: int) -> None:
    train = np.array(text)
    model = InterpolatedTrigram(4).fit(train, train)
    assert sum(model.probabilities(np.array([a, b, c]))[0] for c in range(4)) == pytest.approx(1)


def test_the_trigram_finds_a_deterministic_text() -> None:
    text = np.tile([0, 1, 1, 2], 200)
    assert nats_per_symbol(InterpolatedTrigram(3).fit(text, text).probabilities(text)) < 0.014


def test_the_trigram_beats_the_unigram_by_far(task: LanguageModelling) -> None:
    scores = {k: v["bits per character"] for k, v in task.baselines("test").items()}
    assert scores["interpolated trigram"] < 3.0 < 4.0 < scores["unigram"]


def test_lzma_needs_next_to_nothing_for_what_it_has_seen() -> None:
    random = np.random.default_rng(0)
    noise = "".join(random.choice(list("abcdefgh"), 30_000))
    assert compressed_nats(noise, noise[5_000:15_000]) < 0.05
    assert compressed_nats(noise[:10_000], noise[10_000:]) == pytest.approx(math.log(8), rel=0.1)


def test_strong_baselines_are_scored_unless_they_are_not_wanted() -> None:
    assert list(made("task.ngram=0", "task.compression=false").baselines("test")) == ["unigram", "interpolated trigram"]
    scores = made("task.ngram=4").baselines("test")
    values = {name: found["bits per character"] for name, found in scores.items()}
    assert values["Kneser-Ney 4-gram"] < values["interpolated trigram"]
    assert values["LZMA after the train part"] < values["interpolated trigram"]
    words = made("task.unit=words", "task.ngram=3", "task.fewest=2", "task.compression=true").baselines("test")
    assert list(words) == ["unigram", "Kneser-Ney 3-gram"]
