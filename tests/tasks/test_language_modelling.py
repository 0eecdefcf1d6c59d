"""The character model: state carried over, text never shared between splits, an honest baseline."""

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
from lstmlab.schema import CellConfig, EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.language_modelling import CharacterModelling
from lstmlab.tasks.ngrams import InterpolatedTrigram, bits_per_symbol


@pytest.fixture(scope="module")
def task() -> CharacterModelling:
    config = check(compose(["task=language_model", "task.hidden_size=8", "task.embedding_size=4"])).run.task
    return registry.task.get("language_model")(config)


def test_splits_are_the_text_in_order_and_share_no_paragraph(task: CharacterModelling) -> None:
    text = task.dataset.load()
    joined = "".join(task.vocabulary[i] for s in ("train", "validation", "test") for i in task.splits[s])
    differing = sum(a != b for a, b in zip(joined, text, strict=True))
    assert differing == sum(int((v == 0).sum()) for v in task.splits.values())
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_vocabulary_comes_from_train_only(task: CharacterModelling) -> None:
    train = task.dataset.load()[: len(task.splits["train"])]
    assert task.vocabulary[1:] == sorted(set(train))


def test_a_character_that_train_lacks_is_unknown(task: CharacterModelling, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type(task)(task.config)
    monkeypatch.setattr(other.dataset, "load", lambda: "ab" * 400 + "za" * 100)
    assert "z" not in other.vocabulary
    assert (other.splits["test"][:2] == [0, other.vocabulary.index("a")]).all()
    assert "100 characters unknown" in other.notes()[0]


def test_windows_go_on_where_the_last_one_ended(task: CharacterModelling) -> None:
    batches = list(itertools.islice(task.batches("train", 4), 5))
    assert [b.carry for b in batches] == [False, True, True, True, True]
    rows = torch.cat([b.inputs for b in batches], 1)
    targets = torch.cat([b.targets for b in batches], 1)
    assert torch.equal(rows[:, 1:], targets[:, :-1])


def test_the_state_is_carried_in_evaluation(task: CharacterModelling) -> None:
    """Short windows with the state carried give the same bits as one long window."""
    torch.manual_seed(0)
    model = build(task, CellConfig("vanilla"), EngineConfig("auto"))
    short = task.evaluate(model, "test")
    long = type(task)(check(compose(["task=language_model", "task.window=5000"])).run.task).evaluate(model, "test")
    assert short["bits per character"] == pytest.approx(long["bits per character"], rel=1e-5)


def test_bits_are_those_of_the_probabilities(task: CharacterModelling) -> None:
    class Uniform(torch.nn.Module):
        def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> object:
            return torch.zeros(*inputs.shape, len(task.vocabulary)), state

    bits = task.evaluate(Uniform(), "test")["bits per character"]
    assert bits == pytest.approx(math.log2(len(task.vocabulary)), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=30, max_size=80), st.integers(0, 3), st.integers(0, 3))
def test_the_trigram_is_a_probability_distribution(text: list[int], a: int, b: int) -> None:
    train = np.array(text)
    model = InterpolatedTrigram(4).fit(train, train)
    assert sum(model.probabilities(np.array([a, b, c]))[0] for c in range(4)) == pytest.approx(1)


def test_the_trigram_finds_a_deterministic_text() -> None:
    text = np.tile([0, 1, 1, 2], 200)
    assert bits_per_symbol(InterpolatedTrigram(3).fit(text, text).probabilities(text)) < 0.02


def test_the_trigram_beats_the_unigram_by_far(task: CharacterModelling) -> None:
    scores = {k: v["bits per character"] for k, v in task.baselines("test").items()}
    assert scores["interpolated trigram"] < 3.0 < 4.0 < scores["unigram"]
