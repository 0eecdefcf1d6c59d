"""What translation promises: on numbers that are spelt out, on made-up pairs, and on Multi30k."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.bucketing import padded_share
from lstmlab.tasks.encoder_decoder import END, FIRST
from lstmlab.tasks.task import SPLITS
from lstmlab.tasks.transduction import by_both_lengths

registry.task.get("translation")  # makes the plugin's modules importable
baselines, exhibits, pairs, scores, subwords = (
    importlib.import_module(f"lstmlab_plugins.translation.{name}")
    for name in ("baselines", "exhibits", "pairs", "scores", "subwords")
)
SMALL = ["task=translation", "task.pairs=400", "task.hidden_size=8", "task.embedding_size=8", "task.vocabulary=320"]
NEEDS_DATA = pytest.mark.skipif(
    "LSTMLAB_DATA_DIR" not in os.environ, reason="LSTMLAB_DATA_DIR does not say where data are"
)


def made(*overrides: str) -> tuple[Any, Any]:
    """A task and an untrained model."""
    run = check(compose([*SMALL, *overrides])).run
    task = registry.task.get("translation")(run.task)
    torch.manual_seed(0)
    return task, build(task, run.cell, EngineConfig("reference")).eval()


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Made-up pairs, each word of the one the other's backwards."""
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("abdefgiklmnorstu"), 4)) for _ in range(40)]
    found = [random.choice(words, int(random.integers(2, 9))).tolist() for _ in range(count)]
    return [(" ".join(s), " ".join(w[::-1] for w in s)) for s in found]


def table(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def own(path: Path, *overrides: str) -> Any:
    return made("task.dataset=parallel_text", f"task.path={path}", *overrides)[0]


def test_numbers_are_spelt_as_german_and_english_do_and_none_is_in_two_splits() -> None:
    task, _ = made("task.pairs=3000")
    found = {split: dict(rows) for split, rows in task.texts.items()}
    everything = {a: b for rows in found.values() for a, b in rows.items()}
    assert len(everything) == sum(map(len, found.values())) == 3000
    assert found["train"]["seventeen"] == "siebzehn"
    assert len(set(everything.values())) == 3000
    assert sum("thousand" in a for a in found["test"]) > 100
    again, _ = made("task.pairs=3000")
    assert again.texts == task.texts


def test_languages_can_be_others_and_unknown_ones_are_refused() -> None:
    task, _ = made("task.source=de", "task.target=fr")
    assert ("einundzwanzig", "vingt et un") in task.texts["train"]
    with pytest.raises(LstmlabError, match=r"no language 'xx'; it has .*de.*en"):
        made("task.target=xx")
    with pytest.raises(LstmlabError, match="at most half of the 1,000 numbers"):
        made("task.largest=999", "task.pairs=501")


def test_padding_is_at_most_a_tenth_on_either_side() -> None:
    task = made("task.pairs=12000", "task.vocabulary=400")[0]
    assert max(padding(task)) <= 0.1


def padding(task: Any) -> list[float]:
    found = task.pairs("train")
    lengths = [[len(pair[side]) for pair in found] for side in (0, 1)]
    batches = by_both_lengths(*lengths, 64, np.random.default_rng(0))
    return [padded_share(side, batches) for side in lengths]


@pytest.mark.parametrize(
    "text",
    [
        "Zwei junge weiße Männer sind im Freien.",
        'two  spaces,\ttabs? "quotes" & <s> </s> <pad> [UNK]',
        "日本語 и русский, 🤷🏽‍♀️ at 20 °C costs $5",
        "",
    ],
)
def test_every_text_is_written_with_subwords_and_read_back_exactly(text: str) -> None:
    known = subwords.Subwords.of([a for a, _ in sentences(50)], 300)
    (symbols,) = known.encode([text])
    assert symbols[-1] == END
    assert (symbols[:-1] >= FIRST).all()
    assert (symbols < len(known)).all()
    assert known.decode(symbols) == text


def test_subwords_are_those_of_train_alone_and_the_same_again() -> None:
    task, _ = made()
    fitted = task.fitted
    other, _ = made()
    for split in ("validation", "test"):
        other.texts[split] = sentences(30)
    del other.__dict__["fitted"]
    assert other.fitted == fitted
    assert fitted["tokenizer"].count("hundert") > 0
    assert len(task.subwords) <= 320 + FIRST


def test_a_frequent_word_becomes_one_piece() -> None:
    known = subwords.Subwords.of([f"Katze {a}" for a, _ in sentences(200)], 400)
    assert known.shown(int(known.encode(["Katze"])[0][0])) == "_Katze"
    assert known.shown(END) == "<end>"
    assert [known.shown(int(s)) for s in known.encode(["\x07$"])[0][1:3]] == ["\N{REPLACEMENT CHARACTER}", r"\$"]
    lower = subwords.Subwords.of(["Katze"] * 9, 300, lowercase=True)
    assert lower.decode(lower.encode(["KATZE"])[0]) == "katze"


def test_scores_are_sacrebleus() -> None:
    import sacrebleu

    given, wanted = ["The cat sat on the mat .", "A dog barks."], ["The cat sat on the mat.", "A dog barks."]
    found = scores.judge(given, wanted, "en")
    assert found["BLEU"] == pytest.approx(sacrebleu.corpus_bleu(given, [wanted]).score)
    assert found["BLEU"] == pytest.approx(100)  # mteval-v13a parts the full stop from the word
    assert found["chrF"] == pytest.approx(sacrebleu.corpus_chrf(given, [wanted]).score)
    assert found["exact match"] == 50
    assert scores.judge(["the cat sat on the mat."], wanted[:1], "en")["BLEU"] < 100, "BLEU is cased"
    assert "case:mixed" in scores.signature("de")
    assert "tok:13a" in scores.signature("de")


def test_the_metric_that_is_compared_is_chosen() -> None:
    spelling, model = made()
    assert [m.name for m in spelling.metrics] == ["exact match", "chrF", "cross-entropy"], "one word has no BLEU"
    assert list(spelling.evaluate(model, "validation")) == ["exact match", "chrF", "cross-entropy"]
    task, _ = made("task.metric=BLEU")
    assert any("sacrebleu" in note for note in task.notes())
    assert next(m.name for m in task.metrics) == "BLEU"
    assert task.watched.name == "cross-entropy"


def test_the_cross_entropy_is_the_mean_over_all_pieces_of_a_split() -> None:
    task, model = made()
    nats = []
    for source, target in task.pairs("validation"):
        written = torch.tensor([2, *target[:-1].tolist()])
        read = torch.from_numpy(source)
        time = max(len(read), len(written))
        rows = [torch.nn.functional.pad(r, (0, time - len(r))) for r in (read, written)]
        with torch.no_grad():
            logits = model(torch.stack(rows)[None])[0][0].double()
        nats += (-logits.log_softmax(1)[range(len(target)), target]).tolist()
    assert task.evaluate(model, "validation")["cross-entropy"] == pytest.approx(np.mean(nats), rel=1e-5)


def test_the_train_loss_smooths_labels_over_all_pieces() -> None:
    task, model = made("task.label_smoothing=0.1")
    batch = next(task.batches("train", 7))
    output = model(batch.inputs)[0]
    logs = output.log_softmax(2)[batch.targets >= 0]
    right = logs[range(len(logs)), batch.targets[batch.targets >= 0]]
    expected = (-0.9 * right - 0.1 * logs.mean(1)).mean()
    torch.testing.assert_close(task.loss(output, batch), expected)


def test_model_1_learns_a_dictionary_from_pairs_in_another_order() -> None:
    known = subwords.Subwords.of([line for pair in sentences(300) for line in pair], 500)
    random = np.random.default_rng(0)
    coded = [known.encode([a])[0] for a, _ in sentences(300)]
    mapped = {int(s): len(known) + i for i, s in enumerate(np.unique(np.concatenate(coded)))}
    targets = [np.array([*random.permutation([mapped[int(s)] for s in c[:-1]]), END]) for c in coded]
    model = baselines.WordByWord(list(zip(coded, targets, strict=True)), len(known) * 2)
    right = [model.best[s] == t for s, t in mapped.items() if s != END]
    assert np.mean(right) > 0.95
    assert model.answers([np.array([len(known) * 3, END])]) == [[len(known) * 3]]


def test_model_1_is_em_on_a_case_that_can_be_done_by_hand() -> None:
    """Of "a b" = "x y" and "a" = "x", b must be y."""
    model = baselines.WordByWord(
        [(np.array([4, 5, END]), np.array([6, 7, END])), (np.array([4, END]), np.array([6, END]))], 8
    )
    assert (model.best[4], model.best[5]) == (6, 7)


def test_the_nearest_source_gives_its_translation() -> None:
    nearest = baselines.Nearest(["the red house", "a green tree", "two men"], ["A", "B", "C"])
    assert nearest.answers(["green trees and a green tree", "men, two", "red"]) == ["B", "C", "A"]


def test_an_answer_as_model_is_a_distribution_and_better_answers_cost_less() -> None:
    random = np.random.default_rng(0)
    targets = [np.array([*random.integers(FIRST, 20, 6), END]) for _ in range(40)]
    model = baselines.AnswerAsModel(targets, 20).fit([t[:-1] for t in targets], targets)
    answer = [4, 4, 9]
    total = sum(np.exp(-model.cross_entropy([answer], [np.array([s])])) for s in range(20))
    assert total == pytest.approx(1)
    assert model.weight > 0.9
    right, wrong = (model.cross_entropy(a, targets) for a in ([t[:-1] for t in targets], [[4]] * 40))
    assert right < wrong


def test_baselines_answer_as_they_say() -> None:
    task, _ = made()
    found = task.baselines("test")
    copied = task.judge_texts([source for source, _ in task.texts["test"]], "test")
    assert {k: found["source copied"][k] for k in copied} == copied
    assert found["nearest train source"]["chrF"] > found["most frequent target"]["chrF"]
    assert found["piece by piece (IBM model 1)"]["chrF"] > 2 * found["source copied"]["chrF"]


def test_no_sentence_of_either_side_stands_in_two_splits(tmp_path: Path) -> None:
    rows = sentences(400)
    rows += [(a, f"anders {b}") for a, b in rows[:60]] + [(f"also {a}", b) for a, b in rows[40:90]]  # groups of three
    rows += [(a.upper() + "!", f"laut {b}") for a, b in rows[:30]] + rows[:7]
    task = own(table(tmp_path / "my.tsv", rows))
    for side in (0, 1):
        seen = [{"".join(filter(str.isalnum, p[side].lower())) for p in task.texts[s]} for s in SPLITS]
        assert sum(map(len, seen)) == len(set.union(*seen))
    assert all(len(task.texts[s]) > 10 for s in SPLITS)
    assert sum(map(len, task.texts.values())) == len(set(rows))
    assert f"{len(rows) - len(set(rows))} pairs that occur again were counted once." in task.dataset.notes()


def test_pairs_that_all_hang_together_are_refused_and_large_groups_are_train(tmp_path: Path) -> None:
    one = [("the same", b) for _, b in sentences(30)]
    with pytest.raises(LstmlabError, match="1 groups share no sentence, leave none for validation, test"):
        own(table(tmp_path / "one.tsv", one)).texts  # noqa: B018  read when asked for
    large = [(f"group {n}", f"{b} {n}") for n in range(6) for _, b in sentences(30)]
    path = table(tmp_path / "more.tsv", [*large, *sentences(200, 1)])
    task = own(path, "task.validation=0.3", "task.test=0.3")
    assert {*large} <= {*task.texts["train"]}
    assert any("hang together in groups of more than 20" in note for note in task.told())


def test_a_folder_brings_its_splits(tmp_path: Path) -> None:
    rows = sentences(60)
    parts = {"train": rows[:40], "validation": rows[40:50], "test": [*rows[50:], rows[0]]}
    for split, found in parts.items():
        for language, side in (("en", 0), ("xx", 1)):
            text = "\n".join(pair[side] for pair in found) + "\n\n"
            (tmp_path / f"{split}.{language}").write_text(text, encoding="utf-8")
    task = own(tmp_path, "task.target=xx")
    assert task.texts == parts
    assert "train.en and train.xx: 1 lines that are empty in both were skipped." in task.dataset.notes()
    assert "1 of 11 test sources are train sources too; they are left in." in task.dataset.notes()
    (tmp_path / "notes.txt").write_text("x")
    assert "1 other file(s) of the folder are not read: notes.txt." in own(tmp_path, "task.target=xx").dataset.notes()


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\teins\ntwo zwei\n", r"my\.tsv, line 2: 1 column\(s\).*expected 2, source<TAB>target first$"),
        (b"one\teins\tCC-BY\n", r"my\.tsv, line 1: 3 column\(s\).*give task\.columns=3 to read its first two"),
        (b"one\teins\n\n \tzwei\n", r"my\.tsv, line 3: the source is empty; expected a sentence on both sides"),
        (b"one\teins\ntwo\t \n", r"my\.tsv, line 2: the target is empty"),
        (b"one\teins\nGr\xfc\xdfe\tgreetings\n", r"my\.tsv, line 2: byte 0xfc is not UTF-8"),
        (b"one\teins\0\n", r"my\.tsv, line 1: a zero byte"),
        (b"\n\n", r"my\.tsv holds no pairs; expected a source<TAB>target pair in each line"),
        (b"one\teins\n", r"1 different pairs.*leave none for validation, test; give more pairs"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used_are_refused_with_file_and_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "my.tsv").write_bytes(content)
    with pytest.raises(LstmlabError, match=message):
        own(tmp_path / "my.tsv")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train_en": "a\nb\n", "train_de": "x\n"}, r"train\.en has 2 lines and train\.de 1; expected as many in both"),
        ({"train_en": "a\nb\n", "train_de": "x\n\n\n"}, r"train\.en has 2 lines and train\.de 3"),
        ({"train_en": "a\nb\n", "train_de": "x\n\n"}, r"train\.en and train\.de, line 2: the target is empty"),
        ({"train_en": "a\n"}, r"there are train\.en; expected .*missing: train\.de"),
        ({"train_en": "a\n", "train_de": "x\n", "test_en": "b\n", "test_de": "y\n"}, r"alone or with validation"),
        ({}, r"there are no files; expected train\.en and train\.de \(task\.source and task\.target name"),
        ({"train_en": "\n", "train_de": "\n"}, r"hold no pairs; expected a sentence in each line"),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_used_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(LstmlabError, match=message):
        own(folder(tmp_path / "texts", **files))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.dataset=parallel_text"], "give task.path=…, a file of source<TAB>target lines"),
        (["task.dataset=parallel_text", "task.path=/nowhere"], "/nowhere is not there"),
        (["task.dataset=multi30k", "task.target=fr"], "multi30k has en and de, in either order"),
        (["task.dataset=tatoeba", "task.target=en"], "tatoeba has en and de, in either order"),
        (["task.test_set=test_2015"], "test_2016_flickr"),
        (["task.path=/tmp"], "the dataset 'spelt_numbers' reads no file of yours. Add task.dataset=parallel_text"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(LstmlabError, match=message):
        made(*overrides)


def test_translations_come_in_the_order_of_their_sources() -> None:
    task, model = made()
    with torch.no_grad():
        model.combine.weight.mul_(8)  # so that answers differ
        model.symbols.weight.mul_(3)
    lines = [source for source, _ in task.texts["test"]][:12]
    together = task.translate(model, lines)
    assert together == [task.translate(model, [line])[0] for line in lines]
    assert len(set(together)) > 3


def test_variants_depend_on_their_seed_and_numbers_out_of_range_are_refused() -> None:
    task, model = made()
    first = task.variants(model, "seven", 4, seed=1)
    assert first == task.variants(model, "seven", 4, seed=1) != task.variants(model, "seven", 4, seed=2)
    assert len(first) == 4
    for wrong in ({"count": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"seed": -1}, {"line": " "}):
        with pytest.raises(LstmlabError, match="expected a sentence, at least 1, above 0, above 0 and at most 1"):
            task.variants(model, **{"line": "seven"} | wrong)


@pytest.mark.parametrize("library", ["num2words", "tokenizers", "sacrebleu"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, model = made()
    monkeypatch.setitem(sys.modules, library, None)  # its import now fails
    with pytest.raises(LstmlabError, match=rf"{library} is missing.*pip install 'lstmlab\[translation\]'"):
        made()[0].evaluate(model, "validation")
    assert task.fitted


def test_columns_after_the_second_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [(*pair, "CC-BY 2.0 (France)") for pair in sentences(80)]
    task = own(table(tmp_path / "my.tsv", rows), "task.columns=3")  # type: ignore[arg-type]
    assert sorted(p for found in task.texts.values() for p in found) == sorted({row[:2] for row in rows})
    assert "my.tsv: of 3 columns the first two are read." in task.dataset.notes()


def test_long_train_pairs_are_left_out_and_long_sources_cut_and_both_are_told(tmp_path: Path) -> None:
    rows = sentences(200)
    endless = " ".join(["wort"] * 30_000)
    folder(
        tmp_path / "texts",
        train_en="\n".join([a for a, _ in rows] + [endless]), train_de="\n".join([b for _, b in rows] + ["x"]),
        validation_en="ein wort", validation_de=endless, test_en=f"{endless}\nja", test_de="viele worte\nso",
    )  # fmt: skip
    task = own(tmp_path / "texts", "task.longest=50")
    assert len(task.pairs("train")) == 200
    assert [len(task.pairs(s)) for s in ("validation", "test")] == [1, 2]
    assert max(len(side) for s in SPLITS for pair in task.pairs(s) for side in pair) == 51
    told = " ".join(task.notes())
    assert "1 train pairs with more than 50 pieces on a side are left out." in told
    assert "1 test sources are cut to 50 pieces" in told
    assert "the cross-entropy cuts 1 of them" in told
    assert task.judge_texts([endless], "validation")["exact match"] == 100, "references are whole"
    parts = {f"{split}_{language}": "eins zwei drei vier" for split in SPLITS for language in ("en", "de")}
    short = own(folder(tmp_path / "long", **parts), "task.longest=3")
    with pytest.raises(LstmlabError, match=r"every train pair has more than 3 pieces on a side; raise task\.longest"):
        short.pairs("train")


def test_lower_case_is_scored_in_lower_case(tmp_path: Path) -> None:
    rows = [(a.title(), b.upper()) for a, b in sentences(80)]
    task = own(table(tmp_path / "my.tsv", rows), "task.lowercase=true")
    assert task.texts["test"][0][1].islower()
    assert "Scores are those of text in lower case." in " ".join(task.notes())
    source = task.pairs("test")[0][0]
    assert task.subwords.decode(source).islower()


def test_a_small_model_learns_to_spell_and_answers_new_lines(tmp_path: Path) -> None:
    settings = ["task.hidden_size=32", "task.embedding_size=24", "train.steps=120", "train.batch_size=32"]
    run = lstmlab.run([*SMALL, *settings, "train.learning_rate=0.01", f"outputs={tmp_path / 'outputs'}"])
    assert (
        run.result["scores"]["test"]["cross-entropy"]
        < 0.8 * run.task.baselines("test")["most frequent target"]["cross-entropy"]
    )
    lines = ["one hundred and one", "", "SEVEN 🤷", "two " * 200]
    (tmp_path / "new.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"new\.txt: 1 line\(s\) were cut to 100 pieces: 4"):
        answers = run.predict(tmp_path / "new.txt")
    assert answers.source.tolist() == lines
    assert answers.translation[1] == ""
    assert np.isnan(answers.score[1])
    assert answers.translation[0] == run.task.translate(run.model, [lines[0]])[0] != ""
    stored = json.loads((run.folder / "fitted.json").read_text())
    assert list(stored) == ["tokenizer"]
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(LstmlabError, match=r"empty\.txt holds no text"):
        run.predict(tmp_path / "empty.txt")
    with pytest.raises(LstmlabError, match=r"is no file; expected a text file with a sentence in en a line"):
        run.predict(tmp_path)


def test_the_report_shows_where_models_looked_and_what_they_wrote() -> None:
    task, model = made()
    shown = task.exhibits({"vanilla": model, "gru": model}, {"vanilla": "C0", "gru": "C1"})
    maps, side_by_side, lengths, drawn = shown.values()
    for ax in maps.axes[:2]:
        image = np.asarray(ax.images[0].get_array())
        np.testing.assert_allclose(image.sum(1), 1, rtol=1e-5)
        assert image.shape == (len(ax.get_yticks()), len(ax.get_xticks()))
        assert ax.get_xticklabels()[-1].get_text() == "<end>"
    sources = [source for source, _ in task.texts["test"]]
    expected = dict(zip(sources, task.translate(model, sources), strict=True))
    lines = side_by_side.sentence.unstack("who")
    assert [expected[s] for s in lines.source] == lines.vanilla.tolist()
    counts = [int(t.get_text().removeprefix("n = ")) for t in lengths.axes[0].texts]
    assert sum(counts) == len(sources)
    assert len(lengths.axes[0].lines) == 2
    half = {"vanilla": [target if at % 2 else "" for at, (_, target) in enumerate(task.texts["test"])]}
    (line,) = exhibits.draw_lengths(task, half, {"vanilla": "C0"}).axes[0].lines
    assert np.average(line.get_ydata(), weights=counts) == pytest.approx(50, abs=2)
    assert list(line.get_xdata()) == sorted(line.get_xdata())
    assert drawn.how.tolist()[:3] == ["", "", "5 beams"]
    mine = drawn[(drawn.who == "vanilla") & drawn.how.str.startswith("drawn")]
    assert mine.how.str.extract(r"drawn (\d) of 5").astype(int)[0].sum() == 5
    assert mine.sentence.tolist() == drawn[(drawn.who == "gru") & drawn.how.str.startswith("drawn")].sentence.tolist()


@NEEDS_DATA
def test_multi30k_is_the_official_one() -> None:
    task, _ = made("task.dataset=multi30k", "task.vocabulary=1000")
    assert [len(task.texts[s]) for s in SPLITS] == [29_000, 1_014, 1_000]
    assert task.texts["test"][0] == (
        "A man in an orange hat starring at something.",
        "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    )
    assert max(padding(task)) <= 0.1
    other, _ = made("task.dataset=multi30k", "task.vocabulary=1000", "task.test_set=test_2017_mscoco", "task.source=de",
                    "task.target=en")  # fmt: skip
    assert len(other.texts["test"]) == 461
    assert other.texts["train"] == [(b, a) for a, b in task.texts["train"]]


@NEEDS_DATA
@pytest.mark.real
def test_tatoeba_has_no_sentence_in_two_splits() -> None:
    task, _ = made("task.dataset=tatoeba", "task.vocabulary=8000", "task.test=0.02", "task.validation=0.01")
    assert sum(map(len, task.texts.values())) > 160_000
    for side in (0, 1):
        seen = [{p[side] for p in task.texts[s]} for s in SPLITS]
        assert sum(map(len, seen)) == len(set.union(*seen))
    assert max(padding(task)) <= 0.1


@pytest.mark.real
@pytest.mark.parametrize("cell", ["vanilla", "peephole", "coupled"])
def test_unseen_numbers_are_spelt_exactly(cell: str) -> None:
    table = lstmlab.study("variants", ["task=translation", f"cell={cell}", "seed=0,1,2"]).run().table()
    assert set(table.status) == {"done"}
    assert table.value.min() >= 98


@NEEDS_DATA
@pytest.mark.real
def test_captions_are_translated_to_25_bleu() -> None:
    """Takes about ten minutes on one core."""
    run = lstmlab.run(["task=translation_multi30k", "cell=vanilla", "seed=0"])
    found = run.result["scores"]["test"]
    assert found["BLEU"] >= 25
    assert found["BLEU"] > max(scores["BLEU"] for scores in run.task.baselines("test").values())
