"""The anomaly task: fit a detector to normal data, calibrate it there, judge its alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.data import read_table
from lstmlab.errors import LstmlabError
from lstmlab.tasks import Batch, Metric, Task
from lstmlab.tasks.task import MakeRNN

from . import figures
from .detectors import Autoencoder, Detector, Forecaster
from .judgement import Scores, baselines, judge, score_errors, score_reference
from .likelihood import threshold
from .sensors import PERIODS, AnomalyConfig, Sensor, describe_sensors, features, read_sensors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ALARMS = Metric("alarms", "per 1,000 normal values")
ERROR = Metric("error", "σ")
JUDGED = tuple(Metric(name, better="higher") for name in ("range F1", "precision", "recall", "NAB score"))


class Anomaly(Task):
    """Learn from the beginning of each series, taken as normal, to see where the rest is not.

    The beginning is cut in time into train and validation. Weights and scales come from train; the validation
    part says which errors are normal, and with that gives the threshold. Both are kept in the model's buffers.
    The test part is all that follows. Labels serve to judge alarms, and nothing else. One network reads
    all series, each scaled by its own mean and standard deviation.
    """

    Config = AnomalyConfig
    config: AnomalyConfig
    example_title = "Alarms, and where the anomalies are"

    def __init__(self, config: AnomalyConfig) -> None:
        super().__init__(config)
        self.metrics = (*JUDGED, ALARMS, ERROR) if config.labels else (ERROR, ALARMS)

    @classmethod
    def tiny(cls) -> list[str]:
        """Return a short window and few units."""
        return ["task.window=16", "task.horizon=2", "task.hidden_size=8", "train.steps=20", "train.evaluate_every=10"]

    @property
    def watched(self) -> Metric:
        """The error on normal data: alarms and F1 say nothing there."""
        return ERROR

    @cached_property
    def sensors(self) -> dict[str, Sensor]:
        """The series by name."""
        return read_sensors(self.dataset.load(), self.config)

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``series``: name -> mean, standard deviation, and the number of values that calibrate its errors."""
        sensors = {name: (*s.scale, int((~s.missing[s.parts["validation"]]).sum())) for name, s in self.sensors.items()}
        return {"series": {name: dict(zip(("mean", "std", "normal"), v, strict=True)) for name, v in sensors.items()}}

    def inputs(self, name: str, values: np.ndarray, times: pd.DatetimeIndex) -> Tensor:
        """Return what a detector reads of a series (time, features)."""
        scale = self.fitted["series"][name]
        return torch.from_numpy(features((values - scale["mean"]) / scale["std"], times, self.config.calendar))

    def model(self, make_rnn: MakeRNN) -> Detector:
        """Return the detector that the config chooses."""
        counts = [s["normal"] for s in self.fitted["series"].values()]
        width, room = 1 + 2 * len(PERIODS) * self.config.calendar, {"series": len(counts), "longest": max(counts)}
        if self.config.detector == "forecaster":
            return Forecaster(make_rnn, width, self.config.horizon, **room)
        return Autoencoder(make_rnn, width, self.config.window, **room)

    @cached_property
    def _read(self) -> dict[str, Tensor]:
        return {name: self.inputs(name, s.values, s.times) for name, s in self.sensors.items()}

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the windows of a split, with what is to be forecast within it too; shuffled if ``random`` is given."""
        ahead = self.config.horizon if self.config.detector == "forecaster" else 0
        need = self.config.window + ahead
        parts = [self._read[name][s.parts[split]] for name, s in self.sensors.items()]
        windows = [p.unfold(0, need, 1).transpose(1, 2) for p in parts if len(p) >= need]
        order = np.concatenate([np.stack([np.full(len(w), i), np.arange(len(w))], 1) for i, w in enumerate(windows)])
        if random is not None:
            order = random.permutation(order)
        for at in range(0, len(order), batch_size):
            chosen = torch.stack([windows[i][k] for i, k in order[at : at + batch_size]])
            yield Batch(chosen[:, : self.config.window], self._targets(chosen[..., 0], ahead))

    def _targets(self, values: Tensor, ahead: int) -> Tensor:
        """Return the values that follow each step (batch, window, ahead), or the window itself (batch, window)."""
        return values[:, 1:].unfold(1, ahead, 1) if ahead else values

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean Huber loss, which a few outliers among the normal data do not rule."""
        return nn.functional.smooth_l1_loss(output, batch.targets)

    def scores(self, model: nn.Module, split: str) -> Scores:
        """Return what a model says of a split, after calibrating it if that was never done."""
        detector, found, errors = _detector(model), {}, {}
        if not detector.threshold:
            self.calibrate(model)
        for at, (name, sensor) in enumerate(self.sensors.items()):
            part = sensor.parts[split]
            raw = detector.errors(self._read[name][: part.stop], max(part.start, detector.lag)).double().numpy()
            known, reference = ~sensor.missing[part], self._reference(detector, at)
            errors[name] = np.abs(raw[:, detector.headline]).mean(1)
            found[name] = np.zeros(len(raw))
            if split == "validation":
                found[name][known] = score_reference(reference, self.config)
            else:
                found[name] = score_errors(_size(raw, detector.spread[at]), known[-len(raw) :], reference, self.config)
        return Scores(found, errors, float(detector.threshold))

    def calibrate(self, model: nn.Module) -> None:
        """Fill the model's buffers from its errors on the validation part: normal errors, and the threshold."""
        detector, scores = _detector(model), []
        for at, (name, sensor) in enumerate(self.sensors.items()):
            part = sensor.parts["validation"]
            raw = detector.errors(self._read[name][: part.stop], part.start)[torch.from_numpy(~sensor.missing[part])]
            detector.spread[at] = raw.square().mean(0).sqrt().clamp(min=1e-6)
            detector.reference[at, : len(raw)] = torch.from_numpy(_size(raw.double().numpy(), detector.spread[at]))
            scores.append(score_reference(self._reference(detector, at), self.config))
        detector.threshold.fill_(threshold(np.concatenate(scores), self.config.false_alarms))

    def _reference(self, detector: Detector, at: int) -> np.ndarray:
        count = list(self.fitted["series"].values())[at]["normal"]
        return detector.reference[at, :count].double().numpy()

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Calibrate the model on the validation part, and judge its alarms on a split."""
        self.calibrate(model)
        return judge(self.scores(model, split), self.sensors, split, self.config)

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Judge three detectors that need no network, calibrated as a model is."""
        found = baselines(self.sensors, split, self.config)
        return {name: judge(scores, self.sensors, split, self.config) for name, scores in found.items()}

    def example(self) -> Batch:
        """Return the last test window."""
        *_, last = self.batches("test", 1)
        return last

    def notes(self) -> list[str]:
        """Say what is normal, what was filled, and how the threshold is set."""
        return [
            *describe_sensors(self.sensors, self.config.labels),
            f"The threshold is the larger of {-np.log10(self.config.false_alarms):.3g} (a tail probability of "
            f"{self.config.false_alarms:g}) and the score that as large a share of the validation part exceeds; it is "
            "one for all series, and no label has a part in it.",
        ]

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the series with most anomalies, its labelled ranges, and each model's alarms below it."""
        figures.draw_alarms(ax, self.sensors, {k: self.scores(m, "test") for k, m in models.items()}, colours)
        ax.set_ylabel(self.dataset.quantity)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return scores over time, what was found in each series, NAB's profiles, and precision over recall."""
        scores = {name: self.scores(model, "test") for name, model in models.items()}
        rivals = baselines(self.sensors, "test", self.config)
        return figures.exhibits(self.sensors, scores, rivals, colours, self.config)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return for each time of a CSV file its value, score, and whether that is an alarm; no label is read.

        The first values of each series have no score: there is nothing before them to judge them by.
        """
        import pandas as pd

        detector, frames = _detector(model), []
        table = read_table(source, self.config, training=False)
        for name, frame in table.series.items():
            trained = self._trained_as(name, source)
            raw = frame[table.target]
            values, known = raw.ffill().bfill().to_numpy("float64"), raw.notna().to_numpy()
            if len(values) <= detector.lag or not known.any():
                raise LstmlabError(
                    f"{source}: series {name!r} has {known.sum()} values. Expected: more than {detector.lag}."
                )
            errors = detector.errors(self.inputs(trained, values, frame.index), detector.lag).double().numpy()
            at = list(self.fitted["series"]).index(trained)
            size, reference = _size(errors, detector.spread[at]), self._reference(detector, at)
            scores = score_errors(size, known[detector.lag :], reference, self.config)
            scores = np.concatenate([np.full(detector.lag, np.nan), np.where(known[detector.lag :], scores, np.nan)])
            answer = {
                "time": frame.index,
                "value": raw.to_numpy(),
                "score": scores,
                "is_anomaly": scores > float(detector.threshold),
            }
            frames.append(pd.DataFrame(({"series": name} if len(table.series) > 1 else {}) | answer))
        return pd.concat(frames, ignore_index=True)

    def _trained_as(self, name: str, source: Path) -> str:
        """Return the series of the training data that a series of new data is a part of."""
        known = list(self.fitted["series"])
        for candidate in (name, source.stem):
            if candidate in known:
                return candidate
        if len(known) == 1:
            return known[0]
        raise LstmlabError(
            f"{source}: the model knows the series {', '.join(known)}, each with a scale of its own. Expected: one of "
            f"these as the name of the file, or in the column that task.series names; got {name or source.stem!r}."
        )


def _detector(model: nn.Module) -> Detector:
    assert isinstance(model, Detector)
    return model


def _size(errors: np.ndarray, spread: Tensor) -> np.ndarray:
    """Return the root mean square of each error's components (time, components), in spreads (components,)."""
    return np.sqrt(((errors / spread.double().numpy()) ** 2).mean(axis=1))
