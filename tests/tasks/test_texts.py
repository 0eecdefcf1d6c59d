"""What is promised of texts as tokens, of pooling, and of the linear model beside the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.engine import RNN
from lstmlab.tasks.pooling import POOLINGS, Pooling
from lstmlab.tasks.tfidf import STRENGTHS, TfidfRegression
from lstmlab.tasks.tokens import TOKENIZERS, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I can't say it's bad...", "I ca n't say it 's bad ..."),
        ("I ca n't say it 's bad ...", "I ca n't say it 's bad ..."),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s DON'T", "It 's DO N'T"),
        ("re-imagined o'clock, 3.5 stars!!!!", "re-imagined o'clock , 3.5 stars !!! !"),
        ("e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}", "\u00e9t\u00e9"),
        ("हिन्दी में", "हिन्दी में"),
        ("good\N{NO-BREAK SPACE}one\N{NEXT LINE}two", "good one two"),
    ],
)
def test_words_of_any_script_stay_together_and_english_contractions_part(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens.split()


def test_characters_and_fields() -> None:
    assert tokenize(" ab  C\n", "characters", lower=True) == ["a", "b", " ", "c"]
    assert tokenize(" don't  stop. ", "whitespace") == ["don't", "stop."]


@given(st.text(), st.sampled_from(TOKENIZERS), st.booleans())
def test_only_blank_texts_have_no_tokens_and_no_sign_is_lost(text: str, tokenizer: str, lower: bool) -> None:
    tokens = tokenize(text, tokenizer, lower)
    assert bool(tokens) == bool(text.split())
    again = tokenize(" ".join(tokens), "whitespace") if tokenizer != "characters" else tokens
    assert "".join("".join(again).split()) == "".join("".join(tokenize(text, "whitespace", lower)).split())


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_sees_real_steps_only(kind: str) -> None:
    torch.manual_seed(0)
    rnn, pooling = RNN("gru", 3, 4, bidirectional=True, batch_first=True), Pooling(kind, 8)
    inputs, lengths = torch.randn(2, 7, 3), torch.tensor([7, 4])
    pooled = pooling(*rnn(inputs, None, lengths), lengths)
    alone = pooling(*rnn(inputs[1:, :4]), lengths[1:])
    torch.testing.assert_close(pooled[1:], alone)
    negative = Pooling("max", 2)(torch.tensor([[[-3.0, -1.0], [-2.0, -5.0], [0.0, 0.0]]]), None, torch.tensor([2]))
    assert negative.tolist() == [[-2, -1]], "the zeros of padding are no outputs"


def test_attention_is_that_of_zhou_et_al() -> None:
    torch.manual_seed(0)
    pooling, output = Pooling("attentive", 4), torch.randn(1, 3, 4)
    assert pooling.score is not None
    w = pooling.score.weight[0]
    scores = torch.stack([w @ torch.tanh(h) for h in output[0]])
    alpha = scores.exp() / scores.exp().sum()
    torch.testing.assert_close(pooling(output, None, torch.tensor([3]))[0], alpha @ output[0])


def test_the_linear_model_knows_pairs_and_is_chosen_on_held_out_texts() -> None:
    random = np.random.default_rng(0)
    texts = [[str(w) for w in random.choice(["a", "b", "c", "d"], 6)] for _ in range(400)]
    labels = np.array([int("a b" in " ".join(text)) for text in texts])
    model = TfidfRegression(texts[:300], labels[:300], texts[300:350], labels[300:350])
    found = model.probabilities(texts[350:], 3)
    assert (found.argmax(1) == labels[350:]).mean() > 0.95
    assert found.shape == (50, 3)
    assert not found[:, 2].any(), "a class that train lacks"
    assert model.strength in STRENGTHS


def test_a_text_weighs_what_its_class_does() -> None:
    overrides = ["task=sentiment", "task.class_weights=balanced", "task.reviews=200", "task.hidden_size=8"]
    task = registry.task.get("sentiment")(check(compose(overrides)).run.task)
    task.fitted["counts"] = [10 * (1 + i) for i in range(len(task.fitted["counts"]))]  # the generated ones are equal
    batch = next(task.batches("train", 8))
    output = torch.randn(8, len(task.fitted["counts"]))
    parts = [
        replace(batch, inputs=batch.inputs[i : i + 1], targets=batch.targets[i : i + 1], lengths=None) for i in range(8)
    ]
    weights = torch.tensor([task.weight(part) for part in parts])
    losses = torch.stack([task.loss(output[i : i + 1], part) for i, part in enumerate(parts)])
    assert len(set(weights.tolist())) > 1
    assert task.weight(batch) == pytest.approx(float(weights.sum()))
    torch.testing.assert_close(task.loss(output, batch), (weights * losses).sum() / weights.sum())
