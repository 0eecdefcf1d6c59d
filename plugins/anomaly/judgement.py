"""Scores of several sensors, the alarms that follow from them, and what those are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .likelihood import anomaly_likelihood, log_tail, threshold, windowed_gaussian
from .metrics import PROFILES, nab_score, range_scores
from .sensors import AnomalyConfig, Sensor


@dataclass(frozen=True)
class Scores:
    """What one detector says of one split.

    Attributes:
        series: name -> score at each time of the split (time,); 0 where the value is missing.
        errors: name -> distance of each value from what was expected (time,), in the train part's deviations.
        threshold: there is an alarm where a score exceeds it; from normal data only.
    """

    series: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    threshold: float

    @property
    def alarms(self) -> dict[str, np.ndarray]:
        """Name -> where there is an alarm (time,)."""
        return {name: scores > self.threshold for name, scores in self.series.items()}


def judge(scores: Scores, sensors: dict[str, Sensor], split: str, config: AnomalyConfig) -> dict[str, float]:
    """Return the value of every metric of the task; labels are used here, and nowhere before."""
    parts = {name: s.parts[split] for name, s in sensors.items()}
    truth = {name: s.truth[parts[name]] for name, s in sensors.items()}
    normal = {name: ~(truth[name] | s.missing[parts[name]]) for name, s in sensors.items()}
    alarms = scores.alarms
    ordinary = np.concatenate([alarms[name][normal[name]] for name in sensors])
    errors = np.concatenate([scores.errors[name][normal[name]] for name in sensors])
    common = {"alarms": 1000 * float(ordinary.mean()), "error": float(errors.mean())}
    if config.labels is None:
        return common
    pair = list(truth.values()), [alarms[name] for name in truth]
    nab = nab_score(*pair, PROFILES["standard"])
    return {**range_scores(*pair, config.existence), "NAB score": nab, **common}


def score_errors(errors: np.ndarray, known: np.ndarray, reference: np.ndarray, config: AnomalyConfig) -> np.ndarray:
    """Return the scores of errors (time,) that follow the ``reference`` of normal data; 0 where not ``known``."""
    scores = np.zeros(len(errors))
    scores[known] = anomaly_likelihood(errors[known], reference, config.smooth, config.memory)
    return scores


def score_reference(reference: np.ndarray, config: AnomalyConfig) -> np.ndarray:
    """Return the scores of the normal data itself (time,), from which the threshold is taken."""
    return anomaly_likelihood(reference, reference, config.smooth, 0)


def baselines(sensors: dict[str, Sensor], split: str, config: AnomalyConfig) -> dict[str, Scores]:
    """Return the scores of detectors without a network; their thresholds follow the same rule as the models'."""
    found = {}
    for baseline, score in BASELINES.items():
        scores, errors, normal = {}, {}, []
        for name, sensor in sensors.items():
            part, known = sensor.parts[split], ~sensor.missing
            whole, distance = score(sensor, config)
            scores[name] = np.where(known, whole, 0.0)[part]
            errors[name] = distance[part] / sensor.scale[1]
            normal.append(whole[sensor.parts["validation"]])
        found[baseline] = Scores(scores, errors, threshold(np.concatenate(normal), config.false_alarms))
    return found


def _last_value(sensor: Sensor, config: AnomalyConfig) -> tuple[np.ndarray, np.ndarray]:
    """Score differences to the last value as a model's errors are scored: what a network has to add to."""
    distance, known = np.abs(np.diff(sensor.values, prepend=sensor.values[0])), ~sensor.missing
    part, scores = sensor.parts["validation"], np.zeros(len(distance))
    reference = distance[part][known[part]]
    scores[part][known[part]] = score_reference(reference, config)
    scores[sensor.normal :] = score_errors(distance[sensor.normal :], known[sensor.normal :], reference, config)
    return scores, distance


def _z_score(sensor: Sensor, config: AnomalyConfig) -> tuple[np.ndarray, np.ndarray]:
    """Score the distance from the mean of the train part."""
    mean, deviation = sensor.scale
    distance = np.abs(sensor.values - mean)
    return log_tail(distance / deviation), distance


def _windowed_gaussian(sensor: Sensor, config: AnomalyConfig) -> tuple[np.ndarray, np.ndarray]:
    distance, z = windowed_gaussian(sensor.values)
    return log_tail(z), distance


BASELINES = {"last value": _last_value, "windowed Gaussian": _windowed_gaussian, "z-score": _z_score}
