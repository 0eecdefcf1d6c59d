"""What the recognition of names promises: files read as they are meant, conlleval's scores, and no tag out of place."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks import crf
from lstmlab.tasks.bucketing import by_length, padded_share

registry.task.get("ner")  # makes the plugin's modules importable
baselines, conll, entities, exhibits = (
    importlib.import_module(f"lstmlab_plugins.ner.{name}") for name in ("baselines", "conll", "entities", "exhibits")
)
SMALL = ["task=ner", "task.hidden_size=8", "task.embedding_size=8", "task.character_size=6", "task.spelling_size=6"]
KINDS = ("PER", "LOC", "a<b>")
legal = st.lists(st.tuples(st.sampled_from([*KINDS, None, None]), st.integers(1, 3)), max_size=8)
any_tags = st.lists(st.sampled_from(["O", *(f"{p}-{k}" for p in "BIES" for k in KINDS[:2])]), min_size=1, max_size=10)


def spans(pieces: list[tuple[str | None, int]]) -> tuple[list[Any], int]:
    """Return entities, and the number of words, of pieces of text with a type or without."""
    found, at = [], 0
    for kind, length in pieces:
        found += [(kind, at, at + length)] if kind else []
        at += length
    return found, at


def made(*overrides: str) -> tuple[Any, Any]:
    """Return a task and an untrained model whose answers are far from certain of O."""
    run = check(compose([*SMALL, *overrides])).run
    task = registry.task.get("ner")(run.task)
    torch.manual_seed(0)
    model = build(task, run.cell, EngineConfig("reference")).eval()
    with torch.no_grad():
        model.head.weight.mul_(20)
    return task, model


def write(path: Path, sentences: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Path:
    path.write_text("\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*s, strict=True)) for s in sentences))
    return path


# -- entities -----------------------------------------------------------------------------------------------------


@given(legal)
def test_entities_are_the_same_in_every_scheme(pieces: list[tuple[str | None, int]]) -> None:
    found, length = spans(pieces)
    two = entities.bio(found, length)
    one = two.copy()
    long = two.copy()
    for kind, start, end in found:
        if not any(other[0] == kind and other[2] == start for other in found):
            one[start] = f"I-{kind}"
        long[end - 1] = f"E-{kind}"
        long[start] = f"S-{kind}" if end - start == 1 else long[start]
    short = [t.replace("E-", "L-").replace("S-", "U-") if t[0] in "ES" else t for t in long]
    assert [entities.entities(tags) for tags in (two, one, long, short)] == [found] * 4


def conlleval(tags: Sequence[str]) -> list[Any]:
    """Return the entities that the functions startOfChunk and endOfChunk of conlleval.pl delimit."""
    found: list[Any] = []
    begun = None
    last, last_kind = "O", ""
    for at, tag in enumerate([*tags, "O"]):
        now, _, kind = tag.partition("-")
        changed = last_kind != kind
        end = last + now in ("BB", "BO", "IB", "IO", "BS", "IS") or last in "ES" or (last != "O" and changed)
        start = now in "BS" or last + now in ("EE", "EI", "SE", "SI", "OE", "OI") or (now != "O" and changed)
        if end and begun is not None:
            found.append((last_kind, begun, at))
            begun = None
        begun = at if start else begun
        last, last_kind = now, kind
    return found


@given(any_tags)
@settings(max_examples=300)
def test_faulty_tags_are_read_as_conlleval_reads_them(tags: list[str]) -> None:
    assert entities.entities(tags) == conlleval(tags)
    assert entities.entities([t.replace("E-", "L-").replace("S-", "U-") for t in tags]) == conlleval(tags)


@given(st.lists(st.tuples(legal, legal), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_scores_and_errors_are_those_of_nervaluate(pairs: list[Any]) -> None:
    evaluator = pytest.importorskip("nervaluate.evaluator")
    both = [[entities.bio(*spans(pieces)) for pieces in pair] for pair in pairs]
    truth, answers = ([pair[at][: min(map(len, pair))] for pair in both] for at in (0, 1))
    ours = entities.count(truth, answers)
    theirs = evaluator.Evaluator(truth, answers, tags=list(KINDS), loader="list").evaluate()["overall"]["strict"]
    assert (ours.true, ours.answered, ours.correct) == (theirs.possible, theirs.actual, theirs.correct)
    for value, other in ((ours.precision, theirs.precision), (ours.recall, theirs.recall), (ours.f1, theirs.f1)):
        assert value == pytest.approx(100 * other)
    outcomes = entities.errors(truth, answers)
    assert sum(c["correct"] for c in outcomes.values()) == ours.correct
    assert sum(c.total() - c["spurious"] for c in outcomes.values()) == ours.true
    by_type = entities.by_type(truth, answers)
    assert sum(c.correct for c in by_type.values()) == ours.correct


def test_each_error_is_called_what_it_is() -> None:
    truth = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-PER", "O", "B-LOC", "I-LOC", "O", "B-PER", "O"]
    answer = ["B-PER", "I-PER", "O", "B-PER", "O", "B-PER", "I-PER", "O", "B-PER", "O", "O", "B-LOC"]
    found = entities.errors([truth], [answer])
    assert found["PER"] == {"correct": 1, "wrong boundary": 1, "missed": 1}
    assert found["LOC"] == {"wrong type": 1, "both wrong": 1, "spurious": 1}


def test_surface_f1_counts_each_name_once() -> None:
    words = [["Rome", "Rome"], ["Rome", "Bern"]]
    truth = [["B-LOC", "B-LOC"], ["B-LOC", "B-LOC"]]
    assert entities.surface_f1(words, truth, [["B-LOC", "B-LOC"], ["B-LOC", "O"]]) == pytest.approx(200 / 3)


# -- the model ----------------------------------------------------------------------------------------------------


def test_no_answer_has_a_tag_out_of_place_and_none_could_have() -> None:
    task, model = made()
    answers = task.tagged(model, "test")
    found = [(b, t) for tags in answers for b, t in zip(["O", *tags], tags, strict=False)]
    assert len({t for _, t in found}) > 4, "all O would prove nothing"
    assert all(task.may_follow(t, b if b != "O" else None) for b, t in found)
    batch = next(task.batches("test", 4))
    potentials, _ = model(batch.inputs, None, batch.lengths)
    pairs = crf.marginals(potentials, batch.lengths)
    inside = [i for i, t in enumerate(task.tags) if t[0] == "I"]
    assert float(pairs[:, 0, inside].max()) == 0, "no sentence begins with I-"


def test_batches_have_little_padding_and_rare_words_are_unknown_more_often() -> None:
    task, _ = made()
    lengths = [len(words) for words, _ in task.splits["train"]]
    assert padded_share(lengths, by_length(lengths, 32, np.random.default_rng(0))) < 0.1
    words = [w.lower() for tokens, _ in task.splits["train"] for w in tokens]
    read = [
        b.inputs[:, :, 0][b.targets >= 0]
        for i in range(8)
        for b in task.batches("train", 32, random=np.random.default_rng(i))
    ]
    numbers = torch.cat(read).bincount(minlength=len(task.fitted["words"]["trained"]))
    once = [n for n, w in enumerate(task.fitted["words"]["trained"]) if words.count(w) == 1]
    assert float(numbers[once].sum()) / (8 * len(once)) == pytest.approx(0.8, abs=0.04)
    full_stop = task.fitted["words"]["trained"].index(".")
    assert int(numbers[full_stop]) > 0.99 * 8 * words.count(".")
    plain = torch.cat([b.inputs[:, :, 0][b.targets >= 0] for b in task.batches("train", 32)])
    assert not (plain == 1).any(), "without a source of randomness, every word of the train split is known"


def test_pretrained_vectors_are_what_the_words_begin_with(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("police 1 2 3\nthe 4 5 6\nelsewhere 7 8 9\n")
    task, model = made(f"task.vectors={tmp_path / 'v.txt'}")
    rows = torch.from_numpy(task._encoder(["Police", "the", "Elsewhere"]))
    assert model.encoder.words(rows[:, 0]).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_long_words_are_read_from_both_ends() -> None:
    task, _ = made("task.characters=5")
    letters = task._encoder(["abcdefgh", "abcgh", "ab"])[:, 2:]
    assert (letters[0] == letters[1]).all()
    assert (letters[2] > 0).tolist() == [True, True, False, False, False]


# -- baselines ----------------------------------------------------------------------------------------------------


def test_the_list_of_names_takes_the_longest_of_its_usual_type_and_leaves_words_that_are_mostly_none() -> None:
    train = [
        (["New", "York", "Times"], ["B-ORG", "I-ORG", "I-ORG"]),
        (["New", "York", "and", "May"], ["B-LOC", "I-LOC", "O", "B-PER"]),
        (["New", "York", "in", "May"], ["B-LOC", "I-LOC", "O", "O"]),
        (["New", "York", "in", "May"], ["B-ORG", "I-ORG", "O", "O"]),
        (["New", "York"], ["B-LOC", "I-LOC"]),
    ]
    found = baselines.Gazetteer(train)
    assert found.tag(["The", "New", "York", "Times"]) == ["O", "B-ORG", "I-ORG", "I-ORG"]
    assert found.tag(["New", "York", "New", "York", "May"]) == ["B-LOC", "I-LOC", "B-LOC", "I-LOC", "O"]
    assert baselines.UsualTag(train).tag(["York", "May", "?"]) == ["B-LOC", "O", "O"]


# -- files --------------------------------------------------------------------------------------------------------

GOOD = [(["Ann", "saw", f"Bern{i}"], ["B-PER", "O", "B-LOC"]) for i in range(20)]


def own(path: Path, *overrides: str) -> tuple[Any, Any]:
    return made("task.dataset=conll", f"task.path={path}", *overrides)


def test_columns_are_read_with_whatever_scheme_separator_and_line_end(tmp_path: Path) -> None:
    file = tmp_path / "mine.conll"
    lines = ["-DOCSTART- -X- O O", "", "Ann NNP I-NP I-PER", "Lee NNP I-NP I-PER", "saw VBD O O", " ", "Bern X Y S-LOC"]
    file.write_bytes("\r\n".join([*lines, "", "St X Y B-LOC", "Gallen X Y E-LOC", "# X Y O"]).encode())
    read = conll.read_conll(file, conll.Columns())
    assert read.sentences == [
        (["Ann", "Lee", "saw"], ["B-PER", "I-PER", "O"]),
        (["Bern"], ["B-LOC"]),
        (["St", "Gallen", "#"], ["B-LOC", "I-LOC", "O"]),
    ]
    for told in ("1 lines -DOCSTART-", "1 entities begin with I-", "2 tags E-, S-"):
        assert any(told in note for note in read.notes)
    assert conll.read_conll(file, conll.Columns(word=1, tag=3)).sentences[1] == (["X"], ["B-LOC"])


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        (b"Ann\tB-PER\nsaw\n", [], r"bad.conll, line 2: 1 column\(s\), 2 before; expected on each line a word and"),
        (b"Ann\nsaw\n", [], r"line 1: 1 column\(s\); expected"),
        (b"Ann\tB-PER\n\tO\n", [], "line 2: the word is empty"),
        (b"Ann\tX-PER\n", [], "line 1: the tag is 'X-PER'; expected O, or B-, I-"),
        (b"Ann\tB-\n", [], "the tag is 'B-'"),
        (b"Ann\tO\nsaw\tI-PER\n", ["task.strict=true"], "line 2: I-PER begins an entity; expected B-PER"),
        (b"Ann\tO\n", ["task.tag_column=5"], "task.tag_column=5, but there are 2 columns"),
        (b"Ann\tO\nsaw\tO\nBern\tO\n", ["task.longest=2"], "line 1: a sentence of more than 2 words"),
        (b"", [], "bad.conll: no sentence"),
        (b"\n \n\t\n", [], "bad.conll: no sentence"),
        (b"Ann\tO\nM\xfcller\tO\n", [], "line 2: byte 0xfc is not UTF-8"),
        (b"Ann\tB-PER\n", [], "too few for train, validation and test"),
        (b"a\tO\n\nb\tO\n\nc\tO\n\nd\tO\n\ne\tO\n", [], "5|3 train sentences have no entity"),
    ],
)
def test_files_that_cannot_be_used_are_refused_with_line_and_what_is_expected(
    tmp_path: Path, content: bytes, overrides: list[str], message: str
) -> None:
    (tmp_path / "bad.conll").write_bytes(content)
    with pytest.raises(LstmlabError, match=message):
        own(tmp_path / "bad.conll", *overrides)


def test_one_file_is_divided_by_sentence_and_repeated_ones_count_once(tmp_path: Path) -> None:
    task, _ = own(write(tmp_path / "mine.conll", [*GOOD, *GOOD[:5]]))
    counts = {split: len(found) for split, found in task.splits.items()}
    assert counts == {"train": 14, "validation": 3, "test": 3}
    assert sorted(s for found in task.splits.values() for s in found) == sorted(GOOD)
    assert own(tmp_path / "mine.conll")[0].splits == task.splits
    assert any("5 sentences that occur again" in note for note in task.told())


def test_a_folder_brings_its_splits_and_what_is_not_read_is_told(tmp_path: Path) -> None:
    for name, sentences in (("eng.train", GOOD[:12]), ("eng.testa", GOOD[12:15]), ("eng.testb", GOOD[15:])):
        write(tmp_path / name, sentences)
    (tmp_path / "README").write_text("hello")
    task, _ = own(tmp_path)
    assert [task.splits[s] for s in ("train", "validation", "test")] == [GOOD[:12], GOOD[12:15], GOOD[15:]]
    assert any("README" in note for note in task.told())
    (tmp_path / "eng.testa").unlink()
    assert [len(s) for s in own(tmp_path)[0].splits.values()] == [10, 2, 5]
    (tmp_path / "eng.testb").unlink()
    with pytest.raises(LstmlabError, match="expected one file with train in its name, one with test"):
        own(tmp_path)


def test_types_that_train_lacks_count_as_missed_and_are_told(tmp_path: Path) -> None:
    write(tmp_path / "train", GOOD[:12])
    write(tmp_path / "dev", GOOD[12:15])
    write(tmp_path / "test", [(["Ann", "ate", "Spam"], ["B-PER", "O", "B-FOOD"])])
    task, model = own(tmp_path)
    assert any("count as missed: FOOD (1)" in note for note in task.told())
    assert task.score([["B-PER", "O", "O"]], "test")["recall"] == 50
    assert "recall" in task.evaluate(model, "test")


def test_a_finished_run_tags_columns_words_and_plain_text(tmp_path: Path) -> None:
    run = lstmlab.run([*SMALL, "train.steps=2", "train.batch_size=8", f"outputs={tmp_path / 'outputs'}"])
    columns = write(tmp_path / "new.conll", [(["Ann", "saw"], ["O", "O"]), (["Bern"], ["B-LOC"])])
    (tmp_path / "words.txt").write_text("Ann\nsaw\n\nBern\n")
    (tmp_path / "text.txt").write_text("Ann saw\n\nBern\n")
    (tmp_path / "parts.tsv").write_text("Ann\tNNP\nsaw\tVBD\n\nBern\tNNP\n")
    tables = [run.predict(f) for f in (columns, *(tmp_path / n for n in ("words.txt", "text.txt", "parts.tsv")))]
    assert list(tables[0].columns) == ["sentence", "word", "tag", "probability"]
    assert tables[0].word.tolist() == ["Ann", "saw", "Bern"]
    assert tables[0].sentence.tolist() == [1, 1, 2]
    assert tables[0].probability.between(0, 1).all()
    assert all(table.equals(tables[0]) for table in tables)
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(LstmlabError, match="no sentence"):
        run.predict(tmp_path / "none.txt")
    (tmp_path / "empty.tsv").write_text("Ann\tNNP\n\tVBD\n")
    with pytest.raises(LstmlabError, match=r"empty.tsv, line 2: no word in column task.word_column=0"):
        run.predict(tmp_path / "empty.tsv")
    (tmp_path / "long.txt").write_text("a " * 100_000)
    with pytest.raises(LstmlabError, match=r"sentence 1, a a a a a \.\.\., has 100,000 words, more than"):
        run.predict(tmp_path / "long.txt")


def test_text_of_others_is_escaped_in_what_is_shown() -> None:
    shown = exhibits.tagged([["<script>", "Bern"]], [["O", "B-a<b>"]], {"<i>": [["B-a<b>", "O"]]}, 3).data
    assert all(text not in shown for text in ("<script>", "a<b>", "A<B", "<i>"))
    assert "A&lt;B" in shown


@pytest.mark.real
def test_every_cell_beats_both_baselines_on_generated_sentences() -> None:
    study = lstmlab.study("variants", ["task=ner", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    assert table.value.min() > max(scores["entity F1"] for scores in study.baselines["ner"].values())


@pytest.mark.real
@pytest.mark.skipif("LSTMLAB_DATA_DIR" not in os.environ, reason="LSTMLAB_DATA_DIR does not say where WNUT-17 is")
def test_wnut17_is_beyond_the_list_of_names_and_15() -> None:
    """The systems of the shared task reach 26 to 42, with pretrained vectors."""
    study = lstmlab.study("variants", ["task=ner_wnut17", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    floor = max(15, *(scores["entity F1"] for scores in study.baselines["ner_wnut17"].values()))
    assert table.groupby("cell").value.mean().min() >= floor


@pytest.mark.real
@pytest.mark.skipif("LSTMLAB_DATA_DIR" not in os.environ, reason="LSTMLAB_DATA_DIR does not say where WNUT-17 is")
def test_wnut17_has_the_published_numbers_of_sentences_and_entities_and_little_padding() -> None:
    found = registry.dataset.get("wnut17")().load()
    assert [len(s) for s in found.values()] == [3394, 1009, 1287]
    assert [sum(len(w) for w, _ in s) for s in found.values()] == [62730, 15733, 23394]
    assert sum(len(entities.entities(tags)) for _, tags in found["test"]) == 1079
    for batch, sentences in ((32, found["train"]), (64, found["test"])):
        lengths = [len(words) for words, _ in sentences]
        assert padded_share(lengths, by_length(lengths, batch, np.random.default_rng(0))) < 0.1
