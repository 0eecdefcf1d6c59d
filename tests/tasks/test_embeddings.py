"""What is promised of words and their vectors: learnt from train texts, or taken from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmlab.errors import LstmlabError
from lstmlab.tasks.embeddings import Words, WordsConfig, drop_words, learn_words
from lstmlab.tasks.vocabulary import PADDING, UNKNOWN

TEXTS = [["the", "Sea", "is", "blue"], ["the", "sky", "is"]]
VECTORS = "the 1 2\nof 3 4\nsea 5 6\nis 7 8\nrare 9 9\n"


def config(tmp_path: Path, **keys: object) -> WordsConfig:
    (tmp_path / "v.txt").write_text(VECTORS)
    given = {"name": "t", "dataset": "d", "hidden_size": 1, "embedding_size": 6, "vectors": str(tmp_path / "v.txt")}
    return WordsConfig(**given | keys)  # type: ignore[arg-type]


def test_without_a_file_words_of_train_texts_are_known_and_trained(tmp_path: Path) -> None:
    stored, vectors = learn_words(TEXTS, config(tmp_path, vectors=None, fewest=2))
    assert (stored, vectors) == ({"trained": ["<pad>", "<unk>", "is", "the"], "fixed": [], "size": 6, "found": 0}, {})
    words = Words(stored)
    assert words.encode(["the", "The", "sea", "is"]).tolist() == [3, 3, UNKNOWN, 2]
    layer = words.embedding()
    assert layer(torch.tensor([[PADDING, 2]])).shape == (1, 2, 6)
    assert not layer(torch.tensor([PADDING])).any()


@pytest.mark.parametrize("freeze", [False, True])
def test_words_begin_with_their_vectors_and_words_of_the_file_alone_stay_fixed(tmp_path: Path, freeze: bool) -> None:
    stored, vectors = learn_words(TEXTS, config(tmp_path, vector_words=2, freeze_vectors=freeze))
    words = Words(json.loads(json.dumps(stored)))
    assert stored["found"] == 3
    layer = words.embedding(vectors)
    numbers = torch.from_numpy(words.encode(["the", "of", "Sea", "is", "blue", "rare"]))
    before = layer(numbers).detach()
    assert before[:4].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert numbers[5] == UNKNOWN, "only the first words of the file are known beside those of the texts"
    layer(numbers).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()
    moved = (layer(numbers) != before).all(1).tolist()
    assert moved == [not freeze, False, not freeze, not freeze, True, True]
    again = Words(stored).embedding()  # as a finished run is opened: without the file
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(numbers), layer(numbers))


def test_words_without_a_vector_begin_with_the_spread_of_the_others(tmp_path: Path) -> None:
    texts = [[f"w{i}" for i in range(4000)], ["the", "is"]]
    stored, vectors = learn_words(texts, config(tmp_path, vector_words=0))
    torch.manual_seed(0)
    words = Words(stored)
    found = words.embedding(vectors)(torch.from_numpy(words.encode(texts[0]))).detach()
    assert float(found.std()) == pytest.approx(np.std([1, 2, 7, 8]), rel=0.05)


def test_a_file_that_has_no_word_of_the_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=r"v.txt has none of the 1 words of the train texts, as in \['море'\]"):
        learn_words([["море"]], config(tmp_path))


def test_dropped_words_are_unknown_in_the_given_share() -> None:
    numbers = np.arange(10_000) + 2
    dropped = drop_words(numbers, 0.3, np.random.default_rng(0))
    assert (dropped == UNKNOWN).mean() == pytest.approx(0.3, abs=0.02)
    assert (dropped[dropped != UNKNOWN] == numbers[dropped != UNKNOWN]).all()
    assert (drop_words(numbers, 0, np.random.default_rng(0)) == numbers).all()
