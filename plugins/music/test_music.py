"""What the music task promises: on pieces that are generated, made up, and real."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.stats import bernoulli

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.schema import EngineConfig
from lstmlab.studies.budget import build
from lstmlab.tasks.task import SPLITS

registry.task.get("music")  # makes the plugin's modules importable
answers, baselines, canon, exhibits, files, midi, pieces, rolls, sampling = (
    importlib.import_module(f"lstmlab_plugins.music.{name}")
    for name in ("answers", "baselines", "canon", "exhibits", "files", "midi", "pieces", "rolls", "sampling")
)
SMALL = ["task=music", "task.pieces=12", "task.hidden_size=8"]


def made(*overrides: str) -> tuple[Any, Any]:
    """A task and an untrained model whose answers differ from one frame to the next."""
    run = check(compose([*SMALL, *overrides])).run
    task = registry.task.get("music")(run.task)
    torch.manual_seed(0)
    model = build(task, run.cell, EngineConfig("reference")).eval()
    with torch.no_grad():
        model.head.weight.mul_(5)
    return task, model


def roll_of(frames: int, seed: int = 0, share: float = 0.05) -> np.ndarray:
    roll = np.random.default_rng(seed).random((frames, 88)) < share
    roll[0, 40] = True
    return roll


@pytest.mark.parametrize("mixtures", [1, 3])
def test_nll_is_that_of_scipy_over_all_frames_but_the_first_of_each_piece(mixtures: int) -> None:
    task, model = made(f"task.mixtures={mixtures}")
    costs = []
    for roll in task.sequences("test"):
        with torch.no_grad():
            output = model(torch.from_numpy(roll[None, :-1].astype("float32")))[0][0].double().numpy()
        both = output.reshape(len(roll) - 1, mixtures, 89)
        weights = np.exp(both[..., 0]) / np.exp(both[..., 0]).sum(1, keepdims=True)
        likelihood = bernoulli.pmf(roll[1:, None], 1 / (1 + np.exp(-both[..., 1:]))).prod(2)
        costs.append(-np.log((weights * likelihood).sum(1)))
    assert task.evaluate(model, "test")["NLL"] == pytest.approx(np.concatenate(costs).mean(), rel=1e-5)
    assert len({len(c) for c in costs}) > 1, "pieces of one length would not tell the two means apart"


def test_frame_accuracy_is_hits_over_hits_misses_and_false_alarms() -> None:
    truth, answer = np.zeros((3, 88), bool), np.zeros((2, 88), bool)
    truth[1, [3, 4]] = answer[0, [4, 5]] = truth[2, 7] = answer[1, 7] = True
    assert answers.scores([np.zeros(2)], [answer], [truth])["frame accuracy"] == pytest.approx(100 * 2 / 4)


def test_no_piece_is_in_two_splits_and_a_repeated_one_counts_once(tmp_path: Path) -> None:
    same = roll_of(9)
    np.savez(tmp_path / "a.npz", x=same, y=same, **{f"p{i}": roll_of(9 + i, i + 1) for i in range(6)})
    task, _ = made("task.dataset=piano_roll", f"task.path={tmp_path}")
    found = [roll.tobytes() for split in SPLITS for roll in task.sequences(split)]
    assert len(found) == len(set(found)) == 7
    assert "1 pieces that occur again were counted once." in task.dataset.notes()


def test_canons_follow_their_rules() -> None:
    for roll in canon.canons(30):
        low = [72 - 21, 60 - 21, 48 - 21]
        first, second, third = (roll[:, at : at + 12] for at in low)
        assert (first[:-10].sum(1) == 1).all()
        assert not second[:8].any()
        assert not third[:16].any()
        np.testing.assert_array_equal(second[8:-2], first[:-10])
        np.testing.assert_array_equal(third[8:-2], second[:-10])
        assert roll[-1].sum() == 4


def test_what_is_fitted_knows_train_pieces_only() -> None:
    task, _ = made()
    fitted = task.fitted
    other, _ = made()
    for split in ("validation", "test"):
        other.splits[split] = [~roll for roll in other.splits[split]]
    assert other.fitted == fitted
    expected = baselines.frequencies(task.sequences("train"))
    np.testing.assert_array_equal(expected, fitted["frequencies"])


def test_neighbours_in_a_batch_and_padding_change_no_answer() -> None:
    task, model = made()
    pieces_ = [roll_of(n, n) for n in (5, 17, 40)]
    together = task.answers(model, pieces_)
    for roll, answer in zip(pieces_, together, strict=True):
        assert answer.shape == (len(roll) - 1, 89)
        torch.testing.assert_close(answer, task.answers(model, [roll])[0], rtol=1e-4, atol=1e-5)


def test_padding_changes_neither_loss_nor_gradients() -> None:
    task, model = made()
    short, long = roll_of(6, 1), roll_of(30, 2)
    (both,) = task.parts([short, long])
    task.loss(model(both.inputs, None, both.lengths)[0], both).backward()
    padded = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    alone = [next(task.parts([roll])) for roll in (short, long)]
    total = sum(task.loss(model(b.inputs, None, b.lengths)[0], b) * b.targets.shape[1] for b in alone)
    (total / (5 + 29)).backward()
    for gradient, parameter in zip(padded, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-5)


def test_parts_of_long_pieces_answer_as_whole_ones() -> None:
    pieces_ = [roll_of(n, n) for n in (23, 8, 16, 9)]
    whole, model = made()
    in_parts, _ = made("task.window=7")
    shown = sum(len(roll) > 8 for split in SPLITS for roll in in_parts.sequences(split))
    assert f"{shown} pieces are longer than 7 frames: gradients stop where a part ends." in in_parts.notes()
    assert [b.carry for b in in_parts.parts(pieces_)] == [False, True, True, True]
    assert sum(int(b.lengths.sum()) for b in in_parts.parts(pieces_)) == sum(len(p) - 1 for p in pieces_)
    for a, b in zip(whole.answers(model, pieces_), in_parts.answers(model, pieces_), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_an_epoch_has_each_train_piece_once_in_an_order_of_its_own() -> None:
    task, _ = made("task.pieces=40")
    first, second = (list(task.batches("train", 4, np.random.default_rng(seed))) for seed in (1, 2))
    for epoch in (first, second):
        assert sum(int(b.lengths.sum()) for b in epoch) == sum(len(r) - 1 for r in task.sequences("train"))
    assert [b.lengths.tolist() for b in first] != [b.lengths.tolist() for b in second]
    neighbours = [{frozenset(r.numpy().tobytes() for r in b.inputs) for b in epoch} for epoch in (first, second)]
    assert neighbours[0] != neighbours[1]


def test_transposition_moves_train_pieces_and_no_others() -> None:
    task, _ = made("task.transpose=4")
    roll = task.sequences("train")[0]
    moved = [task.augment(roll, np.random.default_rng(seed)) for seed in range(40)]
    assert {int(np.flatnonzero(m.any(0))[0] - np.flatnonzero(roll.any(0))[0]) for m in moved} == set(range(-4, 5))
    assert all(m.sum() == roll.sum() for m in moved)
    high = np.zeros((3, 88), bool)
    high[:, 86] = True
    assert {int(np.flatnonzero(task.augment(high, np.random.default_rng(s))[0])[0]) for s in range(40)} <= set(
        range(82, 88)
    )
    plain, _ = made()
    for a, b in zip(task.batches("validation", 4), plain.batches("validation", 4), strict=True):
        assert torch.equal(a.inputs, b.inputs)


def test_the_chord_bigram_is_a_distribution_over_chords() -> None:
    """Over three keys all eight chords can be summed."""
    random = np.random.default_rng(0)
    train, held_out = ([random.random((20, 3)) < 0.4 for _ in range(4)] for _ in range(2))
    usual = baselines.frequencies(train)
    chain = baselines.KeyChain(usual, train)
    bigram = baselines.ChordBigram(chain, train, held_out)
    chords = np.array(np.meshgrid(*[[False, True]] * 3)).reshape(3, -1).T
    for model in (baselines.IndependentKeys(usual), chain, bigram):
        for before in chords:
            p = np.array([np.exp(-model.nats(np.stack([before, after])))[0] for after in chords])
            assert p.sum() == pytest.approx(1)
            marginal = model.probabilities(np.stack([before, before]))[0]
            np.testing.assert_allclose(p @ chords, marginal, rtol=0.15, atol=0.01)


@pytest.mark.parametrize("mixtures", [1, 4])
def test_samples_depend_on_seed_and_temperature_alone(mixtures: int) -> None:
    task, model = made(f"task.mixtures={mixtures}")
    start = task.piece()[:8]
    first = task.continue_piece(model, start, 12, seed=3)
    torch.manual_seed(99)
    assert first.shape == (12, 88)
    assert np.array_equal(first, task.continue_piece(model, start, 12, seed=3))
    assert not np.array_equal(first, task.continue_piece(model, start, 12, seed=4))
    cold = [task.continue_piece(model, start, 12, temperature=1e-6, seed=s) for s in (1, 2)]
    assert np.array_equal(*cold)


def test_samples_have_the_frequencies_of_the_model() -> None:
    task, model = made("task.mixtures=3")
    start = task.piece()[:4]
    drawn = np.mean([sampling.continuation(model, start, 1, 1.0, seed)[0] for seed in range(800)], axis=0)
    with torch.no_grad():
        output = model(torch.from_numpy(start[None].astype("float32")))[0][0, -1]
    np.testing.assert_allclose(drawn, answers.probabilities(output).numpy(), atol=0.07)


def test_a_roll_survives_midi(tmp_path: Path) -> None:
    roll = roll_of(40, 5, 0.2)
    roll[-1, 30] = True
    for frames_per_beat in (1, 2, 3, 4):
        (tmp_path / "x.mid").write_bytes(midi.midi_bytes(roll, frames_per_beat))
        read = midi.read_midi(tmp_path / "x.mid", frames_per_beat)
        np.testing.assert_array_equal(read.rolls[0], roll)
        assert read.notes == ()


def midi_file(path: Path, messages: list[tuple[str, dict[str, Any]]], **settings: Any) -> None:
    import mido

    track = mido.MidiTrack()
    for kind, values in messages:
        meta = kind in ("set_tempo", "end_of_track")
        track.append(mido.MetaMessage(kind, **values) if meta else mido.Message(kind, **values))
    file = mido.MidiFile(**{"type": 0, "ticks_per_beat": 100, **settings})
    file.tracks.append(track)
    file.save(path)


def test_midi_is_read_on_the_grid_and_what_happened_is_counted(tmp_path: Path) -> None:
    midi_file(
        tmp_path / "odd.mid",
        [
            ("set_tempo", {"tempo": 500_000}),
            ("note_on", {"note": 60, "velocity": 9, "time": 102}),  # frame 2.04: on the grid, almost
            ("note_on", {"note": 60, "velocity": 0, "time": 100}),  # ends at frame 4
            ("set_tempo", {"tempo": 300_000}),
            ("note_on", {"note": 64, "velocity": 9, "time": 18}),  # frame 4.4
            ("note_off", {"note": 64, "time": 2}),  # shorter than a frame
            ("note_on", {"note": 10, "velocity": 9, "time": 0}),  # below the piano
            ("note_off", {"note": 10, "time": 9}),
            ("note_on", {"note": 40, "velocity": 9, "channel": 9, "time": 0}),  # percussion
            ("note_on", {"note": 67, "velocity": 9, "time": 19}),  # frame 5, never ends
            ("end_of_track", {"time": 100}),
        ],
    )
    read = midi.read_midi(tmp_path, 2)
    expected = np.zeros((5, 88), bool)
    expected[0:2, 60 - 21] = expected[2, 64 - 21] = expected[3:5, 67 - 21] = True
    np.testing.assert_array_equal(read.rolls[0], expected)
    assert read.names == ["odd.mid"]
    assert len(read.notes) == 6
    text = " ".join(read.notes)
    for part in ("1 of 3 notes (33.3%) began off", "1 notes outside", "Percussion", "never end", "tempo", "Silence"):
        assert part in text
    assert text.count("odd.mid") == 4


def test_files_without_notes_are_left_out_and_named(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.mid").write_bytes(midi.midi_bytes(roll_of(9 + i, i), 2))
    midi_file(tmp_path / "still.mid", [("set_tempo", {"tempo": 500_000})])
    task, _ = made("task.dataset=midi", f"task.path={tmp_path}")
    assert any("1 pieces without a note" in note and "still.mid" in note for note in task.dataset.notes())
    with pytest.raises(LstmlabError, match=r"no piece with at least 2 frames and a note in it. Empty: still.mid"):
        midi.read_midi(tmp_path / "still.mid", 2)


def bad_midi(path: Path) -> None:
    path.write_bytes(b"MThd\0\0")


def smpte(path: Path) -> None:
    midi_file(path, [("note_on", {"note": 60, "velocity": 9})])
    data = bytearray(path.read_bytes())
    data[12:14] = b"\xe7\x28"
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad_midi, "cannot be read as MIDI"),
        (smpte, "SMPTE"),
        (lambda p: midi_file(p, [("note_on", {"note": 60, "velocity": 9})], type=2), "format 2"),
        (lambda p: midi_file(p, [("note_on", {"note": 60, "velocity": 9}), ("note_off", {"note": 60, "time": 2**27})]),
         "Is it damaged"),
    ],
)  # fmt: skip
def test_midi_that_cannot_be_used_is_refused_with_its_name(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "bad.mid")
    with pytest.raises(LstmlabError, match=rf"bad\.mid.*{message}"):
        midi.read_midi(tmp_path, 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((10, 12)), r"shape is \(10, 12\); expected \(frames, 88\)"),
        (np.zeros((88, 10)), "transposed"),
        (np.zeros((10, 128)), r"roll\[:, 21:109\]"),
        (np.full((10, 88), 64), "values other than 0 and 1.*roll > 0"),
        (np.full((10, 88), np.nan), "values other than 0 and 1"),
        (np.array([["a"] * 88] * 3), "values other than 0 and 1"),
    ],
)
def test_arrays_that_are_no_piano_rolls_are_refused_with_their_name(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "mine.npz", good=roll_of(9), odd=array)
    with pytest.raises(LstmlabError, match=f"(?s)mine.npz: odd: .*{message}"):
        rolls.read_rolls(tmp_path)


def test_mat_files_bring_their_splits_and_name_what_is_missing(tmp_path: Path) -> None:
    def cells(*given: np.ndarray) -> np.ndarray:
        cell = np.empty((1, len(given)), object)
        cell[0] = [*given, None][: len(given)]
        return cell

    content = {
        "traindata": cells(roll_of(8, 1), roll_of(9, 2)),
        "validdata": cells(roll_of(7, 3), np.zeros((0, 88))),
        "testdata": cells(roll_of(6, 4), roll_of(5, 5)),
    }
    savemat(tmp_path / "mine.mat", content)
    task, _ = made("task.dataset=piano_roll", f"task.path={tmp_path / 'mine.mat'}")
    assert [[len(r) for r in task.sequences(s)] for s in SPLITS] == [[8, 9], [7], [6, 5]]
    assert any("validdata[1]" in note for note in task.dataset.notes())
    savemat(tmp_path / "mine.mat", {"traindata": content["traindata"], "other": 1})
    with pytest.raises(
        LstmlabError, match=r"mine\.mat: the variable validdata is missing.*There are: traindata, other"
    ):
        rolls.read_rolls(tmp_path)
    (tmp_path / "mine.mat").write_bytes(b"no matrix")
    with pytest.raises(LstmlabError, match=r"mine\.mat cannot be read"):
        rolls.read_rolls(tmp_path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    objects = np.empty(2, object)
    objects[:] = [roll_of(4), roll_of(5)]
    np.savez(tmp_path / "mine.npz", train=objects)
    with pytest.raises(LstmlabError, match=r"mine\.npz.*pickles.*np\.savez"):
        rolls.read_rolls(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.dataset=midi"], "give task.path=…, a file that ends in .mid or .midi"),
        (["task.dataset=midi", "task.path=/nowhere"], "/nowhere is not there"),
        (["task.dataset=piano_roll", f"task.path={__file__}"], "ends in .mat or .npz"),
        (["task.dataset=piano_roll", f"task.path={Path(__file__).parent / 'conf'}"], "no file in this folder ends in"),
    ],
)
def test_a_path_that_holds_no_pieces_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(LstmlabError, match=message):
        made(*overrides)


def test_too_few_pieces_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=roll_of(5, 1), b=roll_of(5, 2))
    with pytest.raises(LstmlabError, match="2 pieces leave none for train"):
        made("task.dataset=piano_roll", f"task.path={tmp_path}")


def test_a_finished_run_answers_new_files_and_goes_on_from_them(tmp_path: Path) -> None:
    run = lstmlab.run([*SMALL, "train.steps=4", "train.batch_size=4", f"outputs={tmp_path / 'outputs'}"])
    roll = canon.canons(1, seed=7)[0]
    (tmp_path / "mine.mid").write_bytes(run.task.to_midi(roll))
    np.savez(tmp_path / "mine.npz", piece=roll)
    table, same = run.predict(tmp_path / "mine.mid"), run.predict(tmp_path / "mine.npz")
    assert list(table.columns) == ["piece", "frames", "NLL", "frame accuracy", "next"]
    assert table.piece.tolist() == ["mine.mid"]
    assert table.frames.tolist() == [len(roll)]
    np.testing.assert_allclose(table.NLL, same.NLL)
    cost = run.task.costs_of(run.task.answers(run.model, [roll])[0], roll)
    assert table.NLL[0] == pytest.approx(cost.mean())
    note, _, chance = table.next[0].split(", ")[0].partition(" ")
    with torch.no_grad():
        after = answers.probabilities(run.model(torch.from_numpy(roll[None].astype("float32")))[0][0, -1])
    assert note == pieces.key_name(int(after.argmax()))
    assert float(chance) == pytest.approx(float(after.max()), abs=0.01)
    goes_on = run.task.continue_piece(run.model, tmp_path / "mine.mid", frames=5, temperature=0.8, seed=2)
    assert goes_on.shape == (5, 88)
    for wrong in ({"frames": 0}, {"frames": 5, "temperature": 0.0}, {"frames": 5, "seed": -1}):
        with pytest.raises(LstmlabError, match="expected at least 1, above 0, at least 0"):
            run.task.continue_piece(run.model, roll, **wrong)


def test_new_files_of_no_kind_or_two_kinds_are_refused_and_what_is_left_out_is_warned_of(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=r"new is not there"):
        files.read(tmp_path / "new", 2)
    with pytest.raises(LstmlabError, match=r"expected MIDI \(\.mid, \.midi\) or piano rolls .* not neither"):
        files.read(Path(__file__), 2)
    (tmp_path / "a.mid").write_bytes(midi.midi_bytes(roll_of(9), 2))
    midi_file(tmp_path / "still.mid", [("set_tempo", {"tempo": 500_000})])
    with pytest.warns(UserWarning, match=r"still\.mid"):
        assert len(files.read(tmp_path, 2).rolls) == 1
    np.savez(tmp_path / "b.npz", x=roll_of(5), y=roll_of(6))
    with pytest.raises(LstmlabError, match=r"both \.mid and \.npz"):
        files.read(tmp_path, 2)
    with pytest.raises(LstmlabError, match=r"b\.npz: it holds 2 pieces; give one: b\.npz: x, b\.npz: y"):
        files.read_one(tmp_path / "b.npz", 2)


def test_key_names() -> None:
    assert [pieces.key_name(k) for k in (0, 39, 48, 87)] == ["A0", "C4", "A4", "C8"]


def test_the_report_shows_plays_and_gives_away_a_sample() -> None:
    task, model = made("task.sampled=8", "task.primed=4")
    shown = task.exhibits({"vanilla <b>": model}, {"vanilla <b>": "C0"})
    figure, player = shown.values()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [exhibits.TRUTH, "vanilla <b>"]
    assert player.data.count("data:audio/wav;base64,") == player.data.count("data:audio/midi;base64,") == 2
    assert "<b>" not in player.data
    assert len(player.data) < 300_000


def test_the_player_plays_the_pitch_that_is_written() -> None:
    import io

    from scipy.io import wavfile

    roll = np.zeros((4, 88), bool)
    roll[:, 76 - 21] = True  # E5: 659.3 Hz
    rate, sound = wavfile.read(io.BytesIO(exhibits.wav(roll, 2)))
    spectrum = np.abs(np.fft.rfft(sound - sound.mean()))
    assert np.argmax(spectrum) * rate / len(sound) == pytest.approx(659.3, abs=2)
    assert len(exhibits.wav(np.tile(roll, (100, 1)), 1)) < 100_000


@pytest.mark.real
def test_every_cell_beats_every_baseline_on_canons() -> None:
    study = lstmlab.study("variants", ["task=music", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    assert table.value.max() < min(scores["NLL"] for scores in study.baselines["music"].values())


@pytest.mark.real
def test_chorales_reach_the_published_lstm() -> None:
    """Bai et al. (2018): 8.45 nats a frame; the demand here is 8.55."""
    table = lstmlab.study("variants", ["task=music_jsb", "seed=0,1,2"]).run().table()
    assert set(table.status) == {"done"}
    assert table.value.max() <= 8.55
