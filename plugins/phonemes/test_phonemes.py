"""What the phonemes task promises: on strings that are generated, recordings that are made up, and real ones."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.data.audio import read_sound, write_wav
from lstmlab.data.formants import utter
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.alignments import align, edits, error_rate
from lstmlab.tasks.bucketing import by_length, padded_share
from lstmlab.tasks.ctc import POOL
from lstmlab.tasks.task import SPLITS
from lstmlab.testing import spoiled

registry.task.get("phonemes")  # makes the plugin's modules importable
cepstra, data, exhibits, fsdd, lexicon, strings, timit_ = (
    importlib.import_module(f"lstmlab_plugins.phonemes.{name}")
    for name in ("cepstra", "data", "exhibits", "fsdd", "lexicon", "strings", "timit")
)
SMALL = ["task=phonemes", "task.utterances=48", "task.rate=8000", "task.hidden_size=8"]


def task_of(*overrides: str) -> Any:
    """A task that has read nothing yet."""
    return registry.task.get("phonemes")(check(compose([*SMALL, *overrides])).run.task)


def made(*overrides: str) -> tuple[Any, Any]:
    """A task and an untrained model."""
    run, task = check(compose([*SMALL, *overrides])).run, task_of(*overrides)
    torch.manual_seed(0)
    return task, build(task, run.cell, EngineConfig("reference")).eval()


def speak(folder: Path, names: str = "abcdef", text: str | None = None) -> Path:
    """A folder with a recording and a transcript for each name; a speaker for each slash."""
    for i, name in enumerate(names.split() if " " in names else names):
        phones = ["S", "IH", "K", "S"] if i % 2 else ["T", "UW", "N"]
        file = folder / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_wav(file, utter(phones, [0.1] * len(phones), 8000, np.random.default_rng(i)), 8000)
        file.with_suffix(".txt").write_text(text or " ".join(phones) + "\n")
    return folder


def own_task(folder: Path, *overrides: str) -> Any:
    return task_of("task.dataset=speech_folder", f"task.path={folder}", *overrides)


def test_loss_is_the_likelihood_of_the_phones_and_the_error_rate_that_of_all_phones() -> None:
    task, model = made()
    (batch,) = task.batches("test", 100)
    with torch.no_grad():
        output = model(batch.inputs, None, batch.lengths)[0]
        alone = [
            torch.nn.functional.ctc_loss(
                output[i, :n].log_softmax(1)[:, None], batch.targets[i][batch.targets[i] >= 0][None],
                torch.tensor([int(n)]), (batch.targets[i] >= 0).sum()[None], reduction="sum",
            )
            for i, n in enumerate(batch.lengths)
        ]  # fmt: skip
    assert float(task.loss(output, batch)) == pytest.approx(
        float(sum(alone)) / int((batch.targets >= 0).sum()), rel=1e-5
    )
    references = [s.labels for s in task.sequences("test")]
    answers = [list(r[:-1]) for r in references]
    scores = task.score(answers, "test")
    assert scores["PER"] == pytest.approx(100 * len(references) / sum(map(len, references)))
    assert scores["sequence accuracy"] == 0


def test_batches_hold_each_utterance_once_with_little_padding() -> None:
    task = task_of("task.utterances=320")
    lengths = [-(-len(s.features) // 2) for s in task.sequences("train")]
    for random in (None, np.random.default_rng(0)):
        assert padded_share(lengths, by_length(lengths, 16, random, POOL)) <= 0.1
    seen = [int(n) for b in task.batches("train", 16, np.random.default_rng(1)) for n in b.lengths]
    assert sorted(seen) == sorted(lengths)


def test_stacked_frames_are_all_there() -> None:
    task = task_of("task.stack=3")
    frames = np.arange(14.0).reshape(7, 2)
    np.testing.assert_array_equal(
        task.steps(frames), [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 12, 13, 12, 13]]
    )


def test_features_are_normalised_by_train_or_by_the_utterance() -> None:
    task = task_of()
    frames = np.concatenate([task.normalised(s.features) for s in task.sequences("train")])
    np.testing.assert_allclose([frames.mean(0), frames.std(0)], [[0] * 39, [1] * 39], atol=1e-3)
    task = task_of("task.normalise=sequence")
    one = task.normalised(task.sequences("test")[0].features)
    np.testing.assert_allclose([one.mean(0), one.std(0)], [[0] * 39, [1] * 39], atol=1e-3)


def test_masks_hide_parts_of_train_utterances_alone() -> None:
    task = task_of("task.time_masks=2", "task.band_masks=1", "task.features=log_mel")
    whole = np.ones((200, 26), np.float32)
    hidden = [task.masked(whole, np.random.default_rng(seed)) == 0 for seed in range(30)]
    assert np.mean([h.all(1).sum() for h in hidden]) == pytest.approx(19, abs=5)
    assert np.mean([h.all(0).sum() for h in hidden]) == pytest.approx(3, abs=1.5)
    plain = task_of("task.features=log_mel")
    for a, b in zip(task.batches("validation", 4), plain.batches("validation", 4), strict=True):
        assert torch.equal(a.inputs, b.inputs)


def test_voices_are_held_out_unless_utterances_are() -> None:
    task = task_of()
    train, validation, test = ({u.speaker for u in task.spoken[split]} for split in SPLITS)
    assert not train & (validation | test)
    assert not validation & test
    task = task_of("task.hold_out=utterances")
    assert {u.speaker for u in task.spoken["train"]} & {u.speaker for u in task.spoken["test"]}


def test_strings_are_as_drawn_and_audible_above_their_noise() -> None:
    first, again = strings.phone_strings(48, 8000), strings.phone_strings.__wrapped__(48, 8000)
    assert all(a.phones == b.phones and np.array_equal(a.signal, b.signal) for a, b in zip(first, again, strict=True))
    assert len({u.speaker for u in first}) == 16
    loud = [np.sqrt((u.signal**2).mean()) for u in first]
    quiet = [np.sqrt((u.signal[:300] ** 2).mean()) for u in first]
    assert all(a > 2 * b for a, b in zip(loud, quiet, strict=True))


def test_fitted_is_of_train_alone_and_unseen_phones_are_told() -> None:
    task, other = task_of(), task_of()
    raw = task.dataset.load()
    other.dataset.load = lambda: spoiled(raw, 0.2, np.random.default_rng(0))
    assert task.fitted == other.fitted
    new = raw["test"][0]._replace(phones=("XX", "AA"))
    other = task_of()
    other.dataset.load = lambda: raw | {"test": [new]}
    assert any("1 labels of the test split are not in train" in note and "XX" in note for note in other.notes())
    assert other.score([["AA"]], "test")["PER"] == pytest.approx(50)


def test_a_transcript_that_has_no_room_is_refused_before_training(tmp_path: Path) -> None:
    speak(tmp_path)
    (tmp_path / "c.txt").write_text("AA " * 40)
    with pytest.raises(
        LstmlabError, match=r"utterance c\.wav .* has 40 labels, for which CTC needs 79 steps.*task\.stack"
    ):
        own_task(tmp_path, "task.hold_out=utterances").fitted  # noqa: B018


def test_own_recordings_bring_speakers_splits_or_neither(tmp_path: Path) -> None:
    task = own_task(speak(tmp_path / "a", "ann/1 ann/2 bob/1 bob/2 cid/1 cid/2"))
    assert [len({u.speaker for u in task.spoken[s]}) for s in SPLITS] == [1, 1, 1]
    task = own_task(speak(tmp_path / "b", "train/1 train/2 train/3 train/4 test/5 test/6"), "task.hold_out=utterances")
    assert [len(task.spoken[s]) for s in SPLITS] == [3, 1, 2]
    assert any("validation is drawn from train" in note for note in task.told())
    task = own_task(speak(tmp_path / "c"))
    assert sum(len(task.spoken[s]) for s in SPLITS) == 6
    assert any("their speakers may be in train too" in note for note in task.told())


def test_words_are_looked_up_and_named(tmp_path: Path) -> None:
    (tmp_path / "dict").write_text(";;; mine\ntwo T UW1\ntwo(2) T UH0 # weak\nSix S IH1 K S\n")
    folder = speak(tmp_path / "a")
    for i, name in enumerate("abcdef"):
        (folder / f"{name}.txt").write_text("Six." if i % 2 else "TWO\n")
    task = own_task(folder, f"task.lexicon={tmp_path / 'dict'}", "task.words=true", "task.hold_out=utterances")
    assert {u.phones for u in task.spoken["train"]} == {("T", "UW"), ("S", "IH", "K", "S")}
    assert task.fitted["words"] == {"six": [["S", "IH", "K", "S"]], "two": [["T", "UW"]]}  # UH is in no transcript
    assert [m.name for m in task.metrics] == ["PER", "sequence accuracy", "word accuracy"]
    certain = np.full((9, len(task.vocabulary)), -9.0, np.float32)
    certain[np.arange(9), [0, *task.vocabulary.encode(["T", "UW"]), 0, 0, 0, 0, 0, 0]] = 0
    assert task.word(certain) == task.nearest_word(["T", "UW"]) == "two"
    assert task.nearest_word(["S", "IH", "T"]) == "six"
    assert lexicon.words_of("“Don\u2019t!” -- it's 'A-1'.") == ["don't", "it's", "a-1"]


def unknown_word(folder: Path) -> list[str]:
    speak(folder, text="two seventeen")
    (folder / "dict").write_text("two T UW1\n")
    return [f"task.lexicon={folder / 'dict'}"]


def bad_lexicon(folder: Path) -> list[str]:
    speak(folder, text="two")
    (folder / "dict").write_text("one W AH1 N\ntwo T QQ\n")
    return [f"task.lexicon={folder / 'dict'}"]


def written(name: str, text: str) -> Any:
    return lambda folder: (speak(folder) / name).write_bytes(text.encode("latin1"))


def sound(name: str, samples: Any, rate: int = 8000, **settings: Any) -> Any:
    return lambda folder: soundfile.write(speak(folder) / name, samples, rate, **settings)


def cut(folder: Path) -> None:
    data_ = (speak(folder) / "b.wav").read_bytes()
    (folder / "b.wav").write_bytes(data_[: len(data_) // 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: (speak(f) / "b.txt").unlink(), r"1 recordings have no transcript \(\.txt\): b\.wav"),
        (lambda f: (speak(f) / "b.wav").unlink(), r"1 transcripts have no recording .*: b\.txt"),
        (lambda f: f.mkdir(exist_ok=True), "holds no recording; expected a folder with recordings"),
        (lambda f: speak(f, "ab"), "2 utterances are too few to hold some out"),
        (sound("b.flac", np.full(900, 0.1)), r"b\.wav and b\.flac are two recordings with one transcript"),
        (sound("b.wav", np.zeros(8000)), r"b\.wav: silence"),
        (sound("b.wav", [np.nan] * 800, subtype="FLOAT"), r"b\.wav: sample 0 is not a finite number"),
        (sound("b.wav", np.full(100, 0.1)), r"b\.wav lasts 0\.013 s; expected 0\.025 s"),
        (cut, r"b\.wav is cut short"),
        (written("b.wav", "no sound at all"), r"b\.wav cannot be read as sound"),
        (written("b.txt", ""), r"b\.txt is empty; expected phones"),
        (
            written("b.txt", "T UW1\nT XW N"),
            r"b\.txt, line 2: the phone 'XW' is none of the ARPAbet's 39. ",
        ),
        (written("b.txt", "S\xe9"), r"b\.txt, line 1: byte 0xe9 is not UTF-8"),
        (unknown_word, r"a\.txt, line 1: the word 'seventeen' is not in the lexicon"),
        (bad_lexicon, r"dict, line 2: the phone 'QQ'"),
    ],
)
def test_recordings_that_cannot_be_used_are_refused_before_training(tmp_path: Path, make: Any, message: str) -> None:
    more = make(tmp_path / "x")
    with pytest.raises(LstmlabError, match=f"(?s){message}"):
        own_task(tmp_path / "x", "task.hold_out=utterances", *(more if isinstance(more, list) else [])).fitted  # noqa: B018


def test_mixed_rates_channels_and_clipping_are_used_and_counted(tmp_path: Path) -> None:
    speak(tmp_path)
    tone = np.clip(3 * np.sin(np.arange(9000) / 9), -1, 1)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], 1), 22050)
    task = own_task(tmp_path, "task.hold_out=utterances")
    told = " ".join(task.told())
    for part in ("1 of 6 sound files: clipped", "the mean of 2 channels (a.wav)", "resampled from 22,050 to 8,000 Hz"):
        assert part in told


def test_more_bands_than_the_spectrum_resolves_are_refused(tmp_path: Path) -> None:
    settings = ("task.rate=4000", "task.bands=128", "task.features=log_mel", "task.hold_out=utterances")
    with pytest.raises(LstmlabError, match=r"task\.bands=128: .* too narrow"):
        own_task(speak(tmp_path), *settings).fitted  # noqa: B018


def test_other_symbols_are_taken_as_they_are_where_that_is_asked_for(tmp_path: Path) -> None:
    task = own_task(speak(tmp_path, text="ʃ y"), "task.phone_set=any", "task.hold_out=utterances")
    assert task.spoken["train"][0].phones == ("ʃ", "y")


def timit(folder: Path) -> Path:
    """Four speakers in TIMIT's layout, two with NIST SPHERE files."""
    for part, region, speaker, kind in (
        ("TRAIN", "DR1", "FCJF0", "NIST"), ("TRAIN", "DR2", "MABC0", "WAV"), ("TRAIN", "DR2", "FXYZ0", "WAV"),
        ("TEST", "DR1", "FELC0", "NIST"),
    ):  # fmt: skip
        place = folder / part / region / speaker
        place.mkdir(parents=True)
        for sentence in ("SA1", "SX37", "SI648"):
            samples = utter(["S", "IH", "K"], [0.2] * 3, 16000, np.random.default_rng(len(speaker)))
            soundfile.write(place / f"{sentence}.WAV", samples, 16000, format=kind, subtype="PCM_16")
            symbols = ("h#", "s", "ix", "kcl", "k", "q", "axr", "h#")
            lines = [f"{1200 * i} {1200 * i + 1200} {symbol}" for i, symbol in enumerate(symbols)]
            (place / f"{sentence}.PHN").write_text("\n".join(lines) + "\n")
    return folder


def test_timit_is_read_as_it_is_sold(tmp_path: Path) -> None:
    task = task_of("task.dataset=timit", f"task.path={timit(tmp_path)}", "task.rate=16000")
    assert [len(task.spoken[s]) for s in SPLITS] == [4, 2, 2]
    assert task.spoken["test"][0].phones == ("sil", "s", "ih", "sil", "k", "er", "sil")
    told = " ".join(task.told())
    assert "4 SA sentences were left out" in told
    assert "all of TEST, for core speakers are missing" in told
    assert len({*timit_.FOLD}) == 60, "61 with the glottal stop"
    assert len({*timit_.FOLD.values()}) == 39
    assert len({*timit_.CORE.split()}) == 24


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "SX37.PHN").unlink(), r"SX37\.WAV has no \.PHN beside it"),
        (
            lambda f: (f / "SX37.PHN").write_text("0 10 s\nsil\n"),
            r"SX37\.PHN, line 2: 'sil'; expected `start end phone`",
        ),
        (lambda f: (f / "SX37.PHN").write_text("0 10 sss\n"), r"'sss' is none of TIMIT's 61 phones"),
    ],
)
def test_timit_that_cannot_be_used_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    spoil(timit(tmp_path) / "TRAIN" / "DR1" / "FCJF0")
    with pytest.raises(LstmlabError, match=message):
        task_of("task.dataset=timit", f"task.path={tmp_path}").fitted  # noqa: B018
    with pytest.raises(LstmlabError, match="has no TRAIN and TEST; expected the folder"):
        task_of("task.dataset=timit", f"task.path={tmp_path / 'TRAIN'}").fitted  # noqa: B018


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.dataset=speech_folder"], "give task.path=…, a folder with recordings"),
        (["task.dataset=speechocean762", "task.features=log_mel"], "speechocean762 brings mfcc alone"),
        (["task.coefficients=30"], "task.coefficients=30 is more than task.bands=26"),
        (["task.words=true"], "expected one word of a lexicon"),
        (["task.lexicon=/nowhere/dict"], "/nowhere/dict"),
    ],
)
def test_settings_that_do_not_fit_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(LstmlabError, match=message):
        task_of(*overrides).fitted  # noqa: B018


def test_the_digits_of_fsdd_are_known_by_their_hashes_alone() -> None:
    config = check(compose(["task=phonemes_fsdd"])).run.task
    files = fsdd.SpokenDigits(config).files
    assert len({f.sha256 for f in files}) == len({f.name for f in files}) == 3001
    first = next(f for f in files if f.name == "0_george_0.wav")
    assert first.sha256 == "228ab63fccdf262d2e05817b6ec918b15e7d9e4bfb6bb20183c46ae088405240"
    assert first.urls[0].endswith("/recordings/0_george_0.wav")
    assert sum(f.size for f in files) == 21_128_848 + 3_618_488


def test_a_finished_run_hears_new_recordings(tmp_path: Path) -> None:
    run = lstmlab.run([*SMALL, "train.steps=4", "train.batch_size=4", f"outputs={tmp_path / 'outputs'}"])
    folder = speak(tmp_path / "new", "x/1 x/2 3")
    table = run.predict(folder)
    assert list(table.columns) == ["file", "seconds", "phones"]
    assert sorted(table.file) == ["3.wav", "x/1.wav", "x/2.wav"]
    one = run.predict(folder / "3.wav")
    assert one.phones[0] == table.set_index("file").phones["3.wav"]
    samples = read_sound(folder / "3.wav")[0].samples
    (posteriors,) = run.task.posteriors(run.model, [run.task.features_of(samples, "3")])
    assert one.phones[0] == " ".join(run.task.decode(posteriors))
    soundfile.write(folder / "loud.wav", np.ones((9000, 2)), 16000)
    with pytest.warns(UserWarning, match="the mean of 2 channels"):
        run.predict(folder)
    with pytest.raises(LstmlabError, match="holds no recording"):
        run.predict(tmp_path / "outputs")


def test_a_beam_of_one_prefix_is_asked_for_more_where_that_is_set() -> None:
    task = task_of("task.beam=4")
    rows = np.full((2, len(task.vocabulary)), -20.0)
    rows[:, 0], rows[:, 5] = np.log(0.6), np.log(0.4)
    assert task.decode(rows) == [task.vocabulary.symbols[5]]
    assert task_of().decode(rows) == []


def test_the_report_shows_and_plays_what_is_heard() -> None:
    task, model = made()
    shown = task.exhibits({"vanilla <b>": model}, {"vanilla <b>": "C0"})
    table, over_time, html, confusions = shown.values()
    assert table.index.tolist() == ["vanilla <b>", "most frequent transcript", "Gaussian HMM"]
    assert ((table["from"] <= table["PER (%)"]) & (table["PER (%)"] <= table["to"])).all()
    parts = table[["substituted (%)", "deleted (%)", "inserted (%)"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["PER (%)"], atol=0.2)
    assert over_time.axes[0].get_title(loc="left").startswith("reference: ")
    assert "<b>vanilla" not in html.data
    assert html.data.count("data:audio/wav;base64,") == 4
    assert len(html.data) < 400_000
    assert len(confusions.axes) == 2


def test_each_phone_of_the_best_path_is_named_where_it_is_likeliest() -> None:
    task = task_of()
    symbols, steps = task.vocabulary.symbols, -(-len(task.sequences("test")[0].features) // 2)
    path = np.zeros(steps, int)
    path[3:5], path[-2:] = 7, 9
    rows = np.full((steps, len(symbols)), 1e-6)
    rows[np.arange(steps), path] = 0.9
    rows[4, 7] = 0.95
    figure = exhibits.draw_posteriors(task, 0, {"mine": np.log(rows)}, {"mine": "C0"})
    named = {text.get_text(): text.get_position()[0] for text in figure.axes[1].texts}
    assert named == {symbols[7]: pytest.approx(4.5 * 0.02), symbols[9]: pytest.approx((steps - 1.5) * 0.02)}


def test_the_hmm_is_far_better_than_chance_on_the_strings() -> None:
    task = task_of()
    scores = task.baselines("test")
    assert scores["Gaussian HMM"]["PER"] < 50 < scores["most frequent transcript"]["PER"]


@pytest.mark.real
def test_cepstra_are_those_of_the_speechocean_file() -> None:
    """A model of these features hears new recordings: the file's numbers come out of the corpus' own WAV."""
    wave = data.File(
        "000360013.WAV", "57d1ad6a8745d2338820dd176b0523536b48056c446aa69def3266acc1c740fd", 105_644,
        (f"{data.OCEAN_URL}WAVE/SPEAKER0036/000360013.WAV",),
    )  # fmt: skip
    from lstmlab.data.fetch import fetch

    task = task_of("task.dataset=speechocean762", "task.rate=16000", "task.deltas=false")
    spoken = {u.name: u.signal for split in SPLITS for u in task.spoken[split]}
    ours = cepstra.mfcc(read_sound(fetch(wave))[0].samples, 16000)
    np.testing.assert_allclose(ours, spoken["000360013"], rtol=2e-3, atol=5e-3)
    heard = [u for u in task.spoken["test"] if task.dataset.sound(u) is not None]
    assert len(heard) == 61
    np.testing.assert_allclose(cepstra.mfcc(task.dataset.sound(heard[0]), 16000), heard[0].signal, rtol=2e-3, atol=5e-3)
    speakers = [{u.speaker for u in task.spoken[s]} for s in SPLITS]
    assert [len(task.spoken[s]) for s in SPLITS][2] == 1220
    assert sum(len(task.spoken[s]) for s in SPLITS[:2]) == 1340
    assert not speakers[0] & speakers[1]
    lengths = [-(-len(s.features) // 4) for s in task.sequences("train")]
    for seed in range(5):
        assert padded_share(lengths, by_length(lengths, 16, np.random.default_rng(seed), POOL)) <= 0.1


@pytest.mark.real
def test_spoken_digits_are_named_rightly() -> None:
    study = lstmlab.study("variants", ["task=phonemes_fsdd", "cell=vanilla", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    digits = [run.result["scores"]["test"]["word accuracy"] for run in study.runs("phonemes_fsdd", "vanilla")]
    assert min(digits) >= 95


@pytest.mark.real
def test_learners_of_english_are_heard_better_than_without_a_network() -> None:
    study = lstmlab.study("variants", ["task=phonemes_speechocean", "cell=vanilla", "seed=0"]).run()
    table = study.table()
    assert table.value.max() < study.baselines["phonemes_speechocean"]["Gaussian HMM"]["PER"]


def test_edits_of_nothing_are_all_deletions() -> None:
    assert error_rate(edits(align([["A", "B"]], [[]]))) == 100
