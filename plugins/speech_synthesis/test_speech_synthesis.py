"""What the synthesis of speech promises: on speech that is generated, made up, and real."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.data.audio import read_sound, write_wav
from lstmlab.data.formants import VOICES, utter
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.acoustic_regression import parts
from lstmlab.tasks.bucketing import by_length, padded_share
from lstmlab.tasks.griffin_lim import MelFrames
from lstmlab.tasks.task import SPLITS

registry.task.get("speech_synthesis")  # makes the plugin's modules importable
babble, baselines, distortion, exhibits, ljspeech_files, phones, pitch, reading, strings, utterances = (
    importlib.import_module(f"lstmlab_plugins.speech_synthesis.{name}")
    for name in (
        "babble", "baselines", "distortion", "exhibits", "ljspeech_files", "phones", "pitch", "reading", "strings",
        "utterances",
    )
)  # fmt: skip
SMALL = ["task=speech_synthesis", "task.utterances=16", "task.hidden_size=8", "task.iterations=5"]
RATE = 8000


def made(*overrides: str) -> tuple[Any, Any]:
    """A task and an untrained model."""
    run = check(compose([*SMALL, *overrides])).run
    task = registry.task.get("speech_synthesis")(run.task)
    torch.manual_seed(0)
    return task, build(task, run.cell, EngineConfig("reference")).eval()


# A corpus of one's own: what it may be, and what it must not be.


def grid(labels: list[str], seconds: list[float]) -> str:
    """A TextGrid as the Montreal Forced Aligner writes it."""
    ends = np.cumsum(seconds)
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0.0", f"xmax = {ends[-1]:.6f}"]
    lines = [*head, "tiers? <exists>", "size = 1", "item []:", "\titem [1]:", '\t\tclass = "IntervalTier"']
    lines += ['\t\tname = "phones"', "\t\txmin = 0.0", f"\t\txmax = {ends[-1]:.6f}"]
    lines += [f"\t\tintervals: size = {len(labels)}"]
    for i, (label, end) in enumerate(zip(labels, ends, strict=True), 1):
        begin = end - seconds[i - 1]
        lines += [f"\t\t\tintervals [{i}]:", f"\t\t\t\txmin = {begin:.6f}", f"\t\t\t\txmax = {end:.6f}"]
        lines += [f'\t\t\t\ttext = "{label}"']
    return "\n".join(lines) + "\n"


def corpus(folder: Path, count: int = 6) -> Path:
    """A folder in the layout of LJSpeech."""
    for part in ("wavs", "TextGrid"):
        (folder / part).mkdir(parents=True)
    said = babble.corpus(count, RATE).utterances
    for i, u in enumerate(said):
        write_wav(folder / "wavs" / f"u{i}.wav", u.samples, RATE)
        labels = ["sp" if p == "SIL" else p for p in u.phones]
        (folder / "TextGrid" / f"u{i}.TextGrid").write_text(grid(labels, list(u.seconds)))
    (folder / "metadata.csv").write_text("".join(f"u{i}|Babble {i}.|babble {i}\n" for i in range(count)))
    return folder


def test_a_folder_of_ones_own_is_read_as_what_it_was_made_of(tmp_path: Path) -> None:
    task, _ = made("task.dataset=ljspeech", f"task.path={corpus(tmp_path / 'mine')}")
    said = {u.name: u for split in SPLITS for u in task.splits[split]}
    for i, u in enumerate(babble.corpus(6, RATE).utterances):
        found = said[f"u{i}"]
        assert found.phones == u.phones
        np.testing.assert_allclose(found.seconds, u.seconds, atol=1e-3)
        np.testing.assert_allclose(found.samples, u.samples, atol=1e-4)
        assert sum(found.seconds) == pytest.approx(len(found.samples) / RATE, abs=1e-3)
    assert task.dataset.notes() == []


def test_what_is_left_out_or_converted_is_counted_with_files_and_lines(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "mine")
    sound, _ = read_sound(folder / "wavs" / "u5.wav")
    write_wav(folder / "wavs" / "u5.wav", np.repeat(sound.samples, 2), 2 * RATE)
    (folder / "wavs" / "u0.wav").unlink()
    (folder / "TextGrid" / "u1.TextGrid").unlink()
    write_wav(folder / "wavs" / "stray.wav", sound.samples, RATE)
    write_wav(folder / "wavs" / "u6.wav", sound.samples, RATE)
    (folder / "TextGrid" / "u6.TextGrid").write_text((folder / "TextGrid" / "u5.TextGrid").read_text())
    (folder / "wavs" / "u7.wav").write_bytes((folder / "wavs" / "u6.wav").read_bytes())
    (folder / "TextGrid" / "u7.TextGrid").write_text((folder / "TextGrid" / "u6.TextGrid").read_text())
    with (folder / "metadata.csv").open("a") as file:
        file.write("u6|Six.\nu7|Seven.\n")
    task, _ = made("task.dataset=ljspeech", f"task.path={folder}")
    told = " ".join(task.dataset.notes())
    for part in (
        "Left out: 1 rows of metadata.csv without a sound in wavs/ (line 1).",
        "Left out: 1 sounds without a row in metadata.csv (stray.wav).",
        "Left out: 1 utterances without a TextGrid (u1).",
        "Left out: 1 TextGrids without",
        "resampled from 16,000 to 8,000 Hz (u5.wav)",
        "1 utterances that occur again were counted once.",
    ):
        assert part in told or part.startswith("Left out: 1 TextGrids"), part


def edit(name: str, old: str, new: str, count: int = 1) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, count))

    return change


def cut(folder: Path) -> None:
    file = folder / "wavs" / "u2.wav"
    file.write_bytes(file.read_bytes()[:4000])


def mute(folder: Path) -> None:
    file = folder / "wavs" / "u2.wav"
    write_wav(file, np.zeros_like(read_sound(file)[0].samples), RATE)


def longer(folder: Path) -> None:
    file = folder / "wavs" / "u2.wav"
    write_wav(file, np.pad(read_sound(file)[0].samples, (0, RATE)), RATE)


def latin(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes("u0|a\nu1|café\n".encode("latin-1"))


def silent_phones(folder: Path) -> None:
    seconds = len(read_sound(folder / "wavs" / "u2.wav")[0].samples) / RATE
    (folder / "TextGrid" / "u2.TextGrid").write_text(grid(["sp", "sil"], [seconds / 2, seconds / 2]))


def overlapping(folder: Path) -> None:
    file = folder / "TextGrid" / "u2.TextGrid"
    lines = file.read_text().splitlines()
    at = lines.index("\t\t\tintervals [3]:") + 1
    lines[at] = "\t\t\t\txmin = 0.010"
    file.write_text("\n".join(lines))


GRID = "TextGrid/u2.TextGrid"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (edit("metadata.csv", "u2|Babble 2.|", "u2 Babble 2."), r"metadata\.csv, line 3: .*expected ID\|TEXT"),
        (edit("metadata.csv", "u3|", "u2|"), r"metadata\.csv, line 4: u2 stands in line 3 already"),
        (edit("metadata.csv", "u3|", "../u3|"), r"metadata\.csv, line 4: "),
        (latin, r"metadata\.csv, line 2: byte 0xe9 is not UTF-8"),
        (lambda f: (f / "metadata.csv").unlink(), r"has no metadata\.csv; expected a folder in the layout of LJSpeech"),
        (cut, r"u2\.wav is cut short"),
        (mute, r"u2\.wav: silence"),
        (longer, r"u2\.TextGrid ends at .* s, its sound u2\.wav at .* s; expected at most 0\.05 s"),
        (edit(GRID, "ooTextFile", "wav"), r"u2\.TextGrid, line 1: .*expected a TextGrid"),
        (edit(GRID, "xmin = ", ""), r"u2\.TextGrid, line 4: '0\.0'; expected `xmin = SECONDS`; save it as text"),
        (edit(GRID, '"phones"', '"words"'), r'u2\.TextGrid: no tier `name = "phones"`; there are the tiers "words"'),
        (edit(GRID, "intervals: size", "points: size"), r"u2\.TextGrid, line 14: .*an interval tier"),
        (edit(GRID, "intervals [2]", "intervals [4]"), r"u2\.TextGrid, line 19: .*expected `intervals \[2\]:`"),
        (edit(GRID, "intervals: size = ", "intervals: size = 9"),
         r"u2\.TextGrid, line \d+: 'the end of the file'; expected `intervals"),
        (overlapping, r"u2\.TextGrid, line 25: interval 3, 0\.01 to .* s, overlaps the one before"),
        (silent_phones, r"u2\.TextGrid: all 2 intervals are silence"),
    ],
)  # fmt: skip
def test_a_corpus_that_cannot_be_used_is_refused_with_file_and_line(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = corpus(tmp_path / "mine", 4)
    spoil(folder)
    config = check(compose([*SMALL, "task.dataset=ljspeech", f"task.path={folder}"])).run.task
    with pytest.raises(LstmlabError, match=message):
        registry.task.get("speech_synthesis")(config).dataset.load()


def test_too_few_utterances_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match="2 utterances leave none for train"):
        made("task.dataset=ljspeech", f"task.path={corpus(tmp_path / 'mine', 2)}")


def test_silences_in_a_row_are_one_and_stress_can_be_left_out() -> None:
    labels, seconds = ["sil", "AA1", "sp", "", "spn"], [0.1, 0.2, 0.3, 0.4, 0.5]
    names, lasting = phones.tidy(labels, seconds, stress=False)
    assert names == ["SIL", "AA", "SIL", "spn"]
    assert lasting == pytest.approx([0.1, 0.2, 0.7, 0.5])
    assert phones.tidy(labels, seconds, stress=True)[0][1] == "AA1"
    assert phones.class_of("AA1") == "vowels"
    assert phones.class_of("spn") == "others"


# What a model reads.


def test_pitch_is_that_of_the_voice() -> None:
    for name, voice in VOICES.items():
        sound = utter(["SIL", "AA", "S", "IY", "SIL"], [0.1, 0.3, 0.2, 0.3, 0.1], RATE, voice=name)
        found = pitch.track(sound, RATE, 80, 1 + len(sound) // 80)
        vowel, hiss = found[18:32], found[45:55]
        expected = voice.pitch * np.linspace(1.1, 0.9, len(found))[18:32]
        np.testing.assert_allclose(vowel, expected, rtol=0.03)
        assert np.isnan(hiss).all()
        assert np.isnan(found[:5]).all()
    assert pitch.contour(np.zeros(8000, np.float32), RATE, 80, 101) is None


def test_each_frame_knows_its_phone_its_neighbours_and_where_in_it_it_is() -> None:
    task, _ = made()
    vocabulary = reading.Vocabulary(task.fitted["phones"])
    one = utterances.Utterance("one", ("SIL", "AE", "S"), (0.1, 0.2, 0.1), "low")
    read = task.read(one)
    assert read.shape == (41, reading.FEATURES)
    sil, aa, s = vocabulary.encode(one.phones)
    assert read[0, :3].tolist() == [sil, 0, aa]
    assert read[15, :3].tolist() == [aa, sil, s]
    assert read[40, :3].tolist() == [s, aa, 0]
    assert task.fitted["voices"][int(read[0, 3])] == "low"
    assert read[20, 4] == pytest.approx(0.5)
    assert read[20, 5] == read[20, 6] == pytest.approx(np.log(2))
    assert read[20, 7] == pytest.approx(np.log(2))
    begin, end = task.fitted["pitch"][int(read[0, 3])]
    np.testing.assert_allclose(read[[0, 40], 8], reading.BEND * np.array([1, -1]) * (begin - end) / 2, rtol=1e-4)


def test_parts_are_the_sequence_cut_anew() -> None:
    features, vectors = np.arange(505)[:, None], np.arange(505)[:, None] * 2.0
    cuts = set()
    for seed in range(5):
        found = parts((features, vectors), 100, np.random.default_rng(seed))
        assert len(found) == 6
        assert max(len(f) for f, _ in found) <= 100
        np.testing.assert_array_equal(np.concatenate([f for f, _ in found]), features)
        assert all((2 * f == v).all() for f, v in found)
        cuts.add(tuple(len(f) for f, _ in found))
    assert len(cuts) > 1
    assert len(parts((features, vectors), 505, np.random.default_rng(0))) == 1


@pytest.mark.parametrize("name", ["speech_synthesis", "speech_synthesis_ljspeech"])
def test_little_is_computed_on_padding(name: str) -> None:
    config = check(compose([f"task={name}"])).run
    step = round(config.task.hop * config.task.rate)
    if name == "speech_synthesis":
        samples = [config.task.rate * sum(u.seconds) for u in babble.recipes(config.task.utterances)]
    else:
        samples = [(file.size - 44) // 2 for file in ljspeech_files.FILES if file.name.endswith(".wav")]
    lengths = [1 + int(n) // step for n in samples]
    held_out = round(config.task.test * len(lengths))
    whole = [np.zeros((n, 1)) for n in lengths[2 * held_out :]]
    cut = [len(a) for w in whole for a, _ in parts((w, w), config.task.window, np.random.default_rng(0))]
    assert padded_share(cut, by_length(cut, config.train.batch_size, np.random.default_rng(0))) < 0.1


def test_what_is_fitted_is_of_the_train_split() -> None:
    task, _ = made()
    train = np.concatenate([task.mels.of(u.samples) for u in task.splits["train"]])
    np.testing.assert_allclose(task.fitted["mean"], train.mean(0), rtol=1e-4)
    np.testing.assert_allclose(task.fitted["std"], train.std(0), rtol=1e-4)
    lasting = [s for u in task.splits["train"] for p, s in zip(u.phones, u.seconds, strict=True) if p == "SIL"]
    assert task.fitted["seconds"]["SIL"] == pytest.approx(np.mean(lasting))
    for voice, (begin, end) in zip(task.fitted["voices"], task.fitted["pitch"], strict=True):
        assert 2 ** np.mean([begin, end]) == pytest.approx(VOICES[voice].pitch, rel=0.15)


# How answers are judged.


def test_the_distortion_is_the_difference_in_db_that_twelve_cosines_have() -> None:
    """Kubichek's formula, by its definition: cepstra of the logarithm of amplitude."""
    bands = 40
    k = np.arange(bands) + 0.5
    real = np.random.default_rng(0).normal(size=(3, bands))
    ripple = 0.8 * np.cos(np.pi * 3 * k / bands) + 0.3 * np.cos(np.pi * 12 * k / bands)  # nepers of amplitude
    expected = 10 / np.log(10) * np.sqrt(2 * (0.8**2 + 0.3**2))
    answer = real + 2 * ripple  # of power
    np.testing.assert_allclose(distortion.distortion(answer, real), expected)
    assert expected == pytest.approx(np.sqrt(np.mean((20 * np.log10(np.e) * ripple) ** 2)))
    np.testing.assert_allclose(distortion.distortion(real + 5, real), 0, atol=1e-9)
    fine = np.cos(np.pi * 13 * k / bands)
    np.testing.assert_allclose(distortion.distortion(real + fine, real), 0, atol=1e-9)


def test_scores_count_frames_in_which_somebody_speaks() -> None:
    real = [np.zeros((4, 20)), np.zeros((2, 20))]
    answers = [np.zeros((4, 20)), np.ones((2, 20))]
    spoken = [np.array([True, True, False, False]), np.array([True, False])]
    found = distortion.scores(answers, real, spoken)
    assert found["log-mel error"] == pytest.approx(10 / np.log(10) / 3)
    answers[0][2:] = 99
    assert distortion.scores(answers, real, spoken) == found


def test_baselines_answer_what_they_say() -> None:
    mels = MelFrames(RATE, 40, 0.01, 0.04)
    train = babble.corpus(12, RATE).utterances
    frames = [mels.of(u.samples) for u in train]
    nearest = baselines.NearestPhone(train, frames, mels)
    np.testing.assert_array_equal(nearest.answer(train[3], len(frames[3])), frames[3])  # it finds itself
    mean = baselines.MeanFrame(train, frames, mels)
    spoken = np.concatenate([f[u.spoken_at(mels.times(len(f)))] for u, f in zip(train, frames, strict=True)])
    np.testing.assert_allclose(mean.answer(train[0], 5), np.tile(spoken.mean(0), (5, 1)), rtol=1e-5)
    by_phone = baselines.MeanOfPhone(train, frames, mels).answer(train[0], len(frames[0]))
    quiet = ~train[0].spoken_at(mels.times(len(frames[0])))
    assert len(np.unique(by_phone[quiet], axis=0)) == 1
    strange = utterances.Utterance("x", ("SIL", "QQ"), (0.1, 0.1), "low")
    for fitted in (nearest, baselines.MeanOfPhone(train, frames, mels)):
        np.testing.assert_allclose(fitted.answer(strange, 21)[-1], mean.mean, rtol=1e-5)


def test_the_nearest_phone_has_the_voice_then_the_neighbours_then_the_duration() -> None:
    mels = MelFrames(RATE, 13, 0.01, 0.04)
    units = [("S", "AA", 0.1, "low"), ("S", "AA", 0.3, "low"), ("M", "AA", 0.2, "low"), ("S", "AA", 0.2, "high")]
    train = [utterances.Utterance(str(i), u[:2], (0.1, u[2]), u[3]) for i, u in enumerate(units)]
    frames = [np.full((1 + round(100 * sum(u.seconds)), 13), i, np.float32) for i, u in enumerate(train)]
    nearest = baselines.NearestPhone(train, frames, mels)

    def found(before: str, seconds: float, voice: str) -> float:
        return float(nearest.answer(utterances.Utterance("x", (before, "AA"), (0.1, seconds), voice), 15)[-1, 0])

    assert found("S", 0.12, "low") == 0
    assert found("S", 0.28, "low") == 1
    assert found("M", 0.12, "low") == 2
    assert found("S", 0.12, "high") == 3
    assert found("M", 0.2, "high") == 3


def test_neighbours_in_a_batch_change_no_answer() -> None:
    task, model = made()
    features, vectors = task.features("train"), task.vectors("train")
    batch = task.batch(features, vectors)
    with torch.no_grad():
        together = model(batch.inputs, None, batch.lengths)[0].numpy()
    for answer, alone in zip(together, task.answers(model, features), strict=True):
        np.testing.assert_allclose(task.normalised(alone), answer[: len(alone)], rtol=1e-4, atol=1e-4)


# Sound for the user.


def test_phones_are_synthesised_into_a_file(tmp_path: Path) -> None:
    task, model = made()
    samples = task.synthesise(model, "AE:200 S IY1:100", tmp_path / "a.wav", voice="high")
    sound, _ = read_sound(tmp_path / "a.wav")
    assert sound.rate == RATE
    np.testing.assert_allclose(sound.samples, samples, atol=1e-3)
    assert sound.seconds == pytest.approx(0.3 + task.fitted["seconds"]["S"], abs=0.011)
    utterance = task.splits["test"][0]
    assert len(task.synthesise(model, utterance)) == len(utterance.samples) // 80 * 80
    with pytest.raises(LstmlabError, match="cannot be written"):
        task.synthesise(model, "AE", tmp_path / "missing" / "a.wav")


def test_a_finished_run_turns_a_file_of_phones_into_sounds(tmp_path: Path) -> None:
    run = lstmlab.run([*SMALL, "train.steps=2", "train.batch_size=8", f"outputs={tmp_path / 'outputs'}"])
    (tmp_path / "new.txt").write_text("# mine\none\tAE:200 S\n\ntwo\tSIL K AE1:120 T\tdeep\n", encoding="utf-8")
    table = run.predict(tmp_path / "new.txt")
    assert list(table.columns) == ["name", "voice", "phones", "seconds", "file"]
    assert table.voice.tolist() == [run.task.fitted["voices"][0], "deep"]
    assert table.phones[0].startswith("AE:200 S:")
    assert table.file.tolist() == [str(tmp_path / "new_wav" / f"{name}.wav") for name in ("one", "two")]
    for file, seconds in zip(table.file, table.seconds, strict=True):
        assert read_sound(Path(file))[0].seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("AA S", "line 1: 'AA S'; expected NAME<TAB>PHONES"),
        ("a/b\tAA", "line 1: .*names are letters"),
        ("a\tAA\na\tS", "line 2: the name 'a' stands twice"),
        ("a\tAA QX", "line 1: the phone 'QX' is not among those .* trained on"),
        ("a\tAA:x", "line 1: 'AA:x'; expected milliseconds"),
        ("a\tAA:0", "line 1: 'AA:0' takes no time"),
        ("a\tSIL", "line 1: no phone but silence"),
        ("a\t", "line 1: no phone but silence"),
        ("a\tAA:61000", "line 1: 61 s; expected at most 60 s"),
        ("a\tAA\tnobody", "line 1: the voice 'nobody' is not known; there are bright, deep, high, low"),
        ("# nothing", "no line with phones"),
    ],
)
def test_phone_strings_that_cannot_be_said_are_refused_with_the_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "new.txt").write_text(line, encoding="utf-8")
    with pytest.raises(LstmlabError, match=message):
        strings.read_strings(tmp_path / "new.txt", {"AA": 0.1, "S": 0.1, "SIL": 0.1}, ["bright", "deep", "high", "low"])


def test_a_vowel_may_be_given_with_or_without_its_stress() -> None:
    said = strings.parse("x", "AA IY2 sil", "low", {"AA1": 0.1, "IY": 0.2, "SIL": 0.3}, ["low"])
    assert said.phones == ("AA1", "IY", "SIL")
    assert said.seconds == (0.1, 0.2, 0.3)


def test_the_report_shows_plays_and_judges_what_is_heard() -> None:
    task, model = made()
    shown = task.exhibits({"vanilla <b>": model}, {"vanilla <b>": "C0"})
    spectrograms, players, classes, table = shown.values()
    titles = [ax.get_title(loc="left") for ax in spectrograms.axes]
    assert titles[:2] == [exhibits.REAL, "vanilla <b>"]
    assert players.data.count("data:audio/wav;base64,") == 4
    assert "<b>" not in players.data
    assert classes.axes[0].get_legend_handles_labels()[1][-1] == "vanilla <b>"
    counted = sum(int(s.sum()) for s in task.spoken("test"))
    assert table.frames.sum() == counted
    mean = (table["vanilla <b>"] * table.frames).sum() / counted
    assert mean == pytest.approx(task.evaluate(model, "test")["MCD"], abs=0.01)


@pytest.mark.real
def test_every_cell_beats_every_baseline_on_generated_speech() -> None:
    study = lstmlab.study("variants", ["task=speech_synthesis", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    assert table.value.max() < min(scores["MCD"] for scores in study.baselines["speech_synthesis"].values())


def formants_of(sound: np.ndarray, order: int = 12) -> np.ndarray:
    """The narrow resonances (Hz) that linear prediction finds."""
    emphasised = np.diff(sound) * np.hanning(len(sound) - 1)
    lags = np.correlate(emphasised, emphasised, "full")[len(emphasised) - 1 :][: order + 1]
    roots = np.roots([1, *-solve_toeplitz(lags[:-1], lags[1:])])
    return np.angle(roots[(roots.imag > 0) & (abs(roots) > 0.8)]) * RATE / (2 * np.pi)


@pytest.mark.real
def test_synthetic_vowels_have_the_formants_and_the_pitch_of_their_voice() -> None:
    run = lstmlab.run(["task=speech_synthesis"])
    middle, errors = slice(1100, 2500), []
    vowels = {"IH": (390, 1990), "EH": (530, 1840), "AE": (660, 1720), "AO": (570, 840), "UH": (440, 1020)}
    for vowel, targets in vowels.items():
        low, high = (run.task.synthesise(run.model, f"SIL:100 {vowel}:250 SIL:100", voice=v) for v in ("low", "high"))
        found = formants_of(low[middle])
        errors += [abs(found - target).min() for target in targets]
        heard = pitch.track(high, RATE, 80, 45)[14:31]
        assert np.isnan(heard).mean() < 0.3
        assert np.nanmedian(heard) == pytest.approx(VOICES["high"].pitch, rel=0.12)
    assert np.mean(errors) < 60


@pytest.mark.real
def test_ljspeech_is_below_the_mean_frame_and_the_nearest_phone() -> None:
    study = lstmlab.study("variants", ["task=speech_synthesis_ljspeech", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    scores = study.baselines["speech_synthesis_ljspeech"]
    assert table.value.max() < min(scores[name]["MCD"] for name in ("mean frame", "nearest train phone"))
