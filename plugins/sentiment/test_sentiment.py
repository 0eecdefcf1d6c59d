"""What the sentiment task promises: on generated, real and the user's own texts."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.bucketing import by_length, padded_share
from lstmlab.tasks.task import SPLITS

registry.task.get("sentiment")  # makes the plugin's modules importable
comparison, exhibits, reviews, splits = (
    importlib.import_module(f"lstmlab_plugins.sentiment.{name}")
    for name in ("comparison", "exhibits", "reviews", "splits")
)
SMALL = ["task=sentiment", "task.reviews=200", "task.hidden_size=6", "task.embedding_size=5"]
real = pytest.mark.skipif("LSTMLAB_DATA_DIR" not in os.environ, reason="LSTMLAB_DATA_DIR does not say where texts are")
TABLE = "text,label\n" + "".join(f"good number {i},pos\nbad number {i},neg\n" for i in range(20))


def default(*overrides: str) -> Any:
    """The task as its config has it."""
    return registry.task.get("sentiment")(check(compose(["task=sentiment", *overrides])).run.task)


def made(*overrides: str) -> tuple[Any, Any]:
    """A task and an untrained model."""
    run = check(compose([*SMALL, *overrides])).run
    task = registry.task.get("sentiment")(run.task)
    torch.manual_seed(0)
    return task, build(task, run.cell, EngineConfig("reference")).eval()


def table(path: Path, content: str | bytes, *overrides: str) -> Any:
    """A task that reads a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run = check(compose([*SMALL, "task.dataset=text_table", f"task.path={path}", *overrides])).run
    return registry.task.get("sentiment")(run.task)


def texts_of(task: Any) -> dict[str, set[str]]:
    return {split: set(task.splits[split][0]) for split in SPLITS}


def test_generated_reviews_are_all_different_and_no_pair_is_in_two_splits() -> None:
    found = reviews.reviews(400, 0.2, 0.3)
    assert {split: len(texts) for split, (texts, _) in found.items()} == {"train": 200, "validation": 80, "test": 120}
    assert len({text for texts, _ in found.values() for text in texts}) == 400
    assert {split: classes.count("positive") for split, (_, classes) in found.items()} == {
        "train": 100, "validation": 40, "test": 60,
    }  # fmt: skip
    words = [w for adjectives in reviews.ADJECTIVES.values() for w in adjectives]
    pairs = {}
    for split, (texts, _) in found.items():
        clauses = [c.split() for text in texts for c in text.lower().replace(",", ".").replace(" but ", ".").split(".")]
        one = [c for c in clauses if len({*c} & {*reviews.ASPECTS}) == 1 and len({*c} & {*words}) == 1]
        pairs[split] = {(next(w for w in c if w in reviews.ASPECTS), next(w for w in c if w in words)) for c in one}
    assert min(map(len, pairs.values())) > 20
    assert not pairs["train"] & pairs["test"]
    assert not pairs["validation"] & (pairs["train"] | pairs["test"])


@pytest.mark.parametrize("pooling", ["attentive", "max", "last"])
def test_neighbours_in_a_batch_change_no_answer(pooling: str) -> None:
    task, model = made(f"task.pooling={pooling}")
    tokens = [text for text in task.tokens["test"][:20] if text]
    alone = np.concatenate([task.probabilities(model, [text]) for text in tokens])
    np.testing.assert_allclose(task.probabilities(model, tokens), alone, atol=1e-6)
    assert alone.std() > 0


@pytest.mark.parametrize("pooling", ["attentive", "max"])
def test_weights_of_words_sum_to_one_over_real_words(pooling: str) -> None:
    task, model = made(f"task.pooling={pooling}")
    batch = next(task.batches("test", 16))
    found = model.weights(batch.inputs, batch.lengths)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert batch.lengths.min() < batch.inputs.shape[1]
    assert not found[torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]].any()


def test_macro_f1_is_that_of_scikit_learn() -> None:
    task, _ = made()
    random = np.random.default_rng(0)
    for labels in (random.integers(0, 4, 50), random.integers(0, 2, 50)):
        given = random.dirichlet(np.ones(4), 50)
        expected = 100 * f1_score(labels, given.argmax(1), average="macro", zero_division=0)
        assert task.score(given, labels)["macro-F1"] == pytest.approx(expected)


def test_balanced_weights_give_each_class_the_same_part_of_the_loss(tmp_path: Path) -> None:
    rows = "".join(f"fine {i},pos\n" for i in range(60)) + "".join(f"poor {i},neg\n" for i in range(15))
    task = table(tmp_path / "t.csv", "text,label\n" + rows, "task.class_weights=balanced")
    batch = next(task.batches("train", 1000))
    output = torch.randn(len(batch.targets), 2, generator=torch.Generator().manual_seed(0))
    each = torch.nn.functional.cross_entropy(output, batch.targets, reduction="none")
    expected = torch.stack([each[batch.targets == k].mean() for k in (0, 1)]).mean()
    torch.testing.assert_close(task.loss(output, batch), expected)


def test_words_are_dropped_in_training_only() -> None:
    task, _ = made("task.word_dropout=0.5")
    plain = sum(int((b.inputs == 1).sum()) for b in task.batches("train", 16))
    dropped = list(task.batches("train", 16, np.random.default_rng(0)))
    share = sum(int((b.inputs == 1).sum()) for b in dropped) / sum(int(b.lengths.sum()) for b in dropped)
    assert plain == 0
    assert share == pytest.approx(0.5, abs=0.05)


def test_little_of_the_default_data_is_padding() -> None:
    lengths = [len(s) for s in default().encoded["train"][0]]
    assert padded_share(lengths, by_length(lengths, 32, np.random.default_rng(0))) < 0.1


def test_equal_texts_are_in_one_split_and_each_class_in_all() -> None:
    texts = [f"text {i % 40}" if i % 2 else f"TEXT  {i % 40} " for i in range(120)]
    strata = ["ab"[i % 40 < 30] for i in range(120)]
    found = splits.divide(texts, strata, 0.1, 0.2)
    assert sorted(i for rows in found.values() for i in rows) == list(range(120))
    kept = {split: {splits.same(texts[i]) for i in rows} for split, rows in found.items()}
    assert {split: len(members) for split, members in kept.items()} == {"train": 28, "validation": 4, "test": 8}
    assert not kept["train"] & kept["test"]
    assert all({strata[i] for i in rows} == {"a", "b"} for rows in found.values())
    assert all(splits.divide(texts, strata, 0.49, 0.49).values()), "however large the shares, some are left to train"


BAD = {
    "not utf-8": (TABLE.encode() + b"caf\xe9,pos\n", [], "line 42: byte 0xe9 is not UTF-8"),
    "no such column": (TABLE.replace("label", "lable", 1), [], "no column is called 'label'.*lable"),
    "two columns of a name": (TABLE.replace("text,", "label,", 1), ["task.text_column=label"], "several columns are"),
    "too few cells": (TABLE + "alone\n", [], "line 42: 1 cells, expected 2 as in line 1"),
    "separator in a text": (TABLE + "good, really,pos\n", [], "line 42: 3 cells.*double quotes"),
    "stray CR": (TABLE + "good,pos\rmore\n", [], "line 42: a carriage return"),
    "open quote": (TABLE + '"good,pos\nbad,neg\n', [], "line 42: .*double quote missing"),
    "small class": (TABLE + "so so,neutral\nso,neutral\n", [], "line 42: the class 'neutral' has 2 different text"),
    "one class": ("text,label\n" + "a,x\nb,x\nc,x\n", [], "1 class.es. in the column"),
    "empty": ("", [], "is empty"),
    "header only": ("text,label\n", [], "has a header and no rows"),
    "only blank texts": ("text,label\n,pos\n ,neg\n", [], "0 class.es."),
    "column number": (TABLE, ["task.header=false", "task.text_column=1", "task.label_column=3"],
                      "task.label_column=3: without a header"),
    "unseen class": ("text,label,part\na,x,train\nb,y,train\nc,z,test\nd,x,dev\n", ["task.split_column=part"],
                     "line 4: no train text has the class 'z'"),
    "unknown split": ("text,label,part\na,x,trian\n", ["task.split_column=part"], "line 2: the split 'trian'"),
    "empty split": ("text,label,part\na,x,train\nb,y,train\nc,x,dev\n", ["task.split_column=part"], "no test texts"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused_with_place_and_reason(tmp_path: Path, name: str) -> None:
    content, overrides, said = BAD[name]
    with pytest.raises(LstmlabError, match=said):
        table(tmp_path / "t.csv", content, *overrides).fitted  # noqa: B018


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    run = check(compose([*SMALL, "task.dataset=text_table", f"task.path={tmp_path}"])).run
    with pytest.raises(LstmlabError, match="is a folder: expected a CSV or TSV file"):
        registry.task.get("sentiment")(run.task).fitted  # noqa: B018


def test_what_is_left_out_of_a_table_is_counted_with_its_lines(tmp_path: Path) -> None:
    extra = "\n,pos\nno class,\ngood number 3,pos\ngood number 4,neg\n" + "word " * 100_000 + ",neg\n"
    task = table(tmp_path / "t.csv", TABLE + extra, "task.longest=50")
    told = " ".join(task.told())
    assert "2 row(s) without a text were left out (lines 42, 43)." in told
    assert "1 row(s) without a class were left out (line 44)." in told
    assert "1 row(s) that occur again were counted once (line 45)." in told
    assert "2 row(s) have a text that is in several classes (lines 10, 46)." in told
    assert "the first 50 tokens are read" in told
    assert sum(len(texts) for texts, _ in task.splits.values()) == 42
    found = texts_of(task)
    assert not found["train"] & (found["test"] | found["validation"])
    assert max(len(s) for numbers, _ in task.encoded.values() for s in numbers) == 50


@pytest.mark.parametrize(
    ("name", "content", "overrides"),
    [
        ("t.csv", TABLE.replace(",", ";"), []),
        ("t.tsv", TABLE.replace(",", "\t"), []),
        ("t.csv", TABLE.partition("\n")[2], ["task.header=false", "task.text_column=1", "task.label_column=2"]),
        ("t.csv", "\ufeff" + TABLE.replace("\n", "\r\n"), []),
        ("t.csv", TABLE.replace("text,label", "label,text,x").replace("good", "1,good").replace("bad", "0,bad"), []),
    ],
)
def test_tables_are_read_however_they_are_written(
    tmp_path: Path, name: str, content: str, overrides: list[str]
) -> None:
    task = table(tmp_path / name, content, *overrides)
    assert sum(len(texts) for texts, _ in task.splits.values()) == 40
    assert len(task.classes) == 2
    assert "good number 7" in set.union(*texts_of(task).values())


def test_quoted_cells_may_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    task = table(tmp_path / "t.csv", TABLE + '"good, ""really""\nand so on",pos\n')
    assert 'good, "really"\nand so on' in set.union(*texts_of(task).values())
    plain = table(tmp_path / "t.tsv", TABLE.replace(",", "\t") + '"so "good"\tpos\n', "task.quoted=false")
    assert '"so "good"' in set.union(*texts_of(plain).values())


def test_a_column_of_splits_is_followed(tmp_path: Path) -> None:
    rows = "".join(
        f"{text} {i},{text},{part}\n" for i in range(3) for text in "ab" for part in ("train", "dev", "test")
    )
    task = table(tmp_path / "t.csv", f"text,label,part\n{rows}", "task.split_column=part")
    assert {split: len(texts) for split, (texts, _) in task.splits.items()} == dict.fromkeys(SPLITS, 6)
    assert "6 text(s) stand in several splits" in " ".join(task.told())


def test_a_finished_run_answers_lines_and_tables_without_its_data_or_vectors(tmp_path: Path) -> None:
    own, vectors = tmp_path / "own.csv", tmp_path / "vectors.txt"
    own.write_text(TABLE)
    vectors.write_text("good 1 1 0\nbad 0 -1 1\nsplendid 1 1 0\nnumber 0 0 0\n")
    read = ["task.dataset=text_table", f"task.path={own}", f"task.vectors={vectors}", "task.longest=20"]
    trained = ["train.steps=60", "train.batch_size=8", "train.learning_rate=0.05"]
    run = lstmlab.run([*SMALL, *read, *trained, f"outputs={tmp_path}"])
    own.unlink()
    vectors.unlink()
    (tmp_path / "new.txt").write_text("Splendid number 7\n\nbad <b>thing</b>\n" + "good " * 99)
    opened = lstmlab.load_run(run.folder.name, str(tmp_path))
    with pytest.warns(UserWarning, match="new.txt") as warned:
        answers = opened.predict(str(tmp_path / "new.txt"))
    assert [str(w.message).partition(": ")[2] for w in warned] == [
        "1 line(s) without a text are left out: 2",
        "of 1 text(s), the first 20 tokens are read: 4",
    ]
    assert answers["line"].tolist() == [1, 3, 4]
    assert answers["class"].tolist() == ["pos", "neg", "pos"], "'splendid' is known by its vector alone"
    np.testing.assert_allclose(answers[["P(neg)", "P(pos)"]].sum(axis=1), 1)
    (tmp_path / "new.csv").write_text("id,text\n1,bad\n")
    assert opened.predict(str(tmp_path / "new.csv"))["class"].tolist() == ["neg"]


def test_text_of_the_data_is_escaped(tmp_path: Path) -> None:
    task = table(tmp_path / "t.csv", TABLE.replace("number", "<script>alert(1)</script> $x$ number"))
    run = check(compose(SMALL)).run
    model = build(task, run.cell, EngineConfig("reference")).eval()
    shown = [what.data for what in task.exhibits({"<b>": model}, {"<b>": "C0"}).values() if hasattr(what, "data")]
    assert len(shown) == 2
    assert all("<script>" not in html and "<b>" not in html for html in shown)
    assert "&lt;script&gt;" in shown[1]


def test_the_verdict_claims_what_is_tested_and_no_more() -> None:
    random = np.random.default_rng(0)
    baseline = random.random(500) < 0.7
    right = {
        "better": np.array([baseline | (random.random(500) < 0.4) for _ in range(3)]),
        "worse": np.array([baseline & (random.random(500) < 0.8) for _ in range(3)]),
        "equal": np.array([baseline ^ (random.random(500) < 0.02) for _ in range(3)]),
    }
    found = comparison.compare(right, baseline)
    assert (found.p < 0.05).tolist() == [True, True, False]
    said = comparison.sentences(found, "B", 70.0, 500)
    for phrase in ("right than it: better (+", "the baseline wins**: worse (-", "No evidence of a difference: equal ("):
        assert phrase in said
    assert comparison.sentences(comparison.compare({}, baseline), "B", 70.0, 500) == ""


def test_words_alone_do_not_know_what_is_negated() -> None:
    scores = default().baselines("test")
    assert scores["most frequent class"]["accuracy"] == 50
    assert 55 < scores["TF-IDF (1-2-grams) + logistic regression"]["accuracy"] < 75


@pytest.mark.real
def test_on_generated_reviews_every_cell_beats_the_baseline_with_every_seed() -> None:
    table = lstmlab.study("variants", ["task=sentiment"]).run().table()
    assert set(table.status) == {"done"}
    assert table.value.min() > 90


@pytest.mark.real
@real
def test_sst2_from_sentences_alone_reaches_what_is_promised() -> None:
    table = lstmlab.study("variants", ["task=sentiment_sst2", "cell=vanilla", "seed=0,1,2"]).run().table()
    assert table.value.mean() >= 77


@real
@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [("sst2", (6920, 872, 1821)), ("sst5", (8544, 1101, 2210)), ("uci_sentiment", (2398, 300, 302))],
)
def test_real_data_are_whole_and_little_is_padding(dataset: str, sizes: tuple[int, ...]) -> None:
    overrides = [f"task.dataset={dataset}", *(["task.test=0.1"] if dataset == "uci_sentiment" else [])]
    task = default(*overrides)
    assert tuple(len(task.splits[split][0]) for split in SPLITS) == sizes
    lengths = [len(s) for s in task.encoded["train"][0]]
    assert padded_share(lengths, by_length(lengths, 50, np.random.default_rng(0))) < 0.1
    if dataset == "uci_sentiment":
        kept = {split: {splits.same(t) for t in texts} for split, texts in texts_of(task).items()}
        assert not kept["train"] & kept["test"]
        assert not kept["validation"] & (kept["train"] | kept["test"])
